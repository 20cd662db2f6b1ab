"""The commands that read claims, execute pages, and train and ship weights."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click


@click.command()
@click.option("--from", "source", type=Path, metavar="PATH", help="a folder or file [book]")
@click.option("--json", "as_json", is_flag=True, help="print readings as JSON")
@click.option("--compare", nargs=2, type=Path, metavar="OLD NEW", help="fail on what moved")
@click.option("--write", is_flag=True, help="write book/claims.md and the boxes of the pages")
def claims(
    source: Path | None, as_json: bool, compare: tuple[Path, Path] | None, write: bool
) -> None:
    """List the claims of every executed page, with verdicts and values.

    OLD and NEW are folders of executed pages, single pages, or files written by --json.
    """
    if write:
        from attention_in_motion.book import tables

        tables.write()
    elif compare:
        report(*compare)
    else:
        show(source, as_json)


def show(source: Path | None, as_json: bool) -> None:
    from attention_in_motion.book import pages, reading
    from attention_in_motion.paths import BOOK

    found = reading.collect(source or BOOK)
    if as_json:
        click.echo(reading.as_json(found))
    else:
        defaults = {one.page: pages.defaults(one.page) for one in found}
        click.echo("\n".join(reading.table(found, defaults)))


def report(old: Path, new: Path) -> None:
    from attention_in_motion.book import reading

    before = reading.collect(old)
    lines = reading.compare(before, reading.collect(new))
    count = sum(len(one.claims) for one in before)
    click.echo("\n".join(lines) or f"{count} claims on {len(before)} pages agree")
    raise SystemExit(1 if lines else 0)


@click.command()
@click.argument("chapter")
@click.option(
    *("-p", "parameters"), nargs=2, multiple=True, metavar="NAME VALUE", help="one parameter"
)
def run(chapter: str, parameters: tuple[tuple[str, str], ...]) -> None:
    """Re-execute CHAPTER with other parameters, into runs/.

    CHAPTER is a page's name, the end of it (solver), or its number (1). What it is given is checked
    before a kernel starts.
    """
    from attention_in_motion.book import pages

    click.echo(pages.run(chapter, dict(parameters)))


@click.command()
@click.argument("chapters", nargs=-1)
def outputs(chapters: tuple[str, ...]) -> None:
    """Rewrite the committed outputs from clean kernels, the boxes and the table of claims.

    Of all pages, or of those named, as `run` names them.
    """
    from attention_in_motion.book import pages, tables
    from attention_in_motion.chapters import contents
    from attention_in_motion.paths import BOOK

    named = [BOOK / f"{contents.named(name).PAGE}.ipynb" for name in chapters]
    tables.write()
    pages.write_outputs(*(named or pages.pages()))
    picture = pages.figure("01_fixed_omega", "fig-rollouts")
    (BOOK / "images" / "rollouts.png").write_bytes(picture)  # the README's figure


@click.command("check-builder", hidden=True)
def check_builder() -> None:
    """Fail unless Jupyter Book 1 is installed."""
    found = version("jupyter-book")
    if found.split(".")[0] != "1":
        raise ValueError(
            f"jupyter-book = {found}: must be 1.x; version 2 builds nothing here and exits 0"
        )


@click.command()
@click.argument("name", required=False)
@click.option("--rotate", is_flag=True, help="only one run, chosen by today's date")
def retrain(name: str | None, rotate: bool) -> None:
    """Train shipped runs again and compare each with the stored spread of its seeds.

    NAME is a run's name or the beginning of one (02, 03-solver); all when omitted.
    """
    from attention_in_motion.training import store

    raise SystemExit(store.retrain(name, rotate))


@click.command()
@click.argument("files", nargs=-1, required=True, type=Path)
def ship(files: tuple[Path, ...]) -> None:
    """Put finished runs into data/, with their rows in the manifest."""
    from attention_in_motion.training import store

    store.ship(files)


@click.command("convert-official")
@click.argument("file", type=Path)
@click.option("--out", type=Path, metavar="DIR", help="where to [runs/official]")
def convert_official(file: Path, out: Path | None) -> None:
    """Make safetensors of the released odeformer.pt, executing nothing in it."""
    from attention_in_motion.odeformer import official
    from attention_in_motion.paths import RUNS

    click.echo(official.convert(file, out or RUNS / "official"))
