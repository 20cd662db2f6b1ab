"""Claims: listing them, and comparing two readings."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--from", "source", type=Path, metavar="PATH", help="a folder or file [book]")
@click.option("--json", "as_json", is_flag=True, help="print readings as JSON")
@click.option("--compare", "pair", nargs=2, type=Path, metavar="OLD NEW", help="as `compare`")
@click.option("--write", is_flag=True, help="write book/claims.md and the boxes of the pages")
def claims(source: Path | None, as_json: bool, pair: tuple[Path, Path] | None, write: bool) -> None:
    """List the claims of every executed page, with verdicts and values.

    \b
    Examples:
      attention-in-motion claims
      attention-in-motion claims --json --from runs/01_fixed_omega > before.json
    """
    if write:
        from attention_in_motion.book import tables

        tables.write()
    elif pair:
        report(*pair)
    else:
        show(source, as_json)


@click.command()
@click.argument("old", type=Path)
@click.argument("new", type=Path)
def compare(old: Path, new: Path) -> None:
    """Compare two readings page by page; exit status 1 if a claim moved.

    OLD and NEW are folders of executed pages, single pages, or files written by `claims --json` or
    by `run` (reading.json).

    \b
    Example:
      attention-in-motion compare book runs/01_fixed_omega/ID/reading.json
    """
    report(old, new)


def show(source: Path | None, as_json: bool) -> None:
    from attention_in_motion.book import parameters, reading
    from attention_in_motion.paths import BOOK

    found = reading.collect(source or BOOK)
    if as_json:
        click.echo(reading.as_json(found))
    else:
        defaults = {one.page: parameters.defaults(one.page) for one in found}
        click.echo("\n".join(reading.table(found, defaults)))


def report(old: Path, new: Path) -> None:
    from attention_in_motion.book import reading

    before = reading.collect(old)
    lines = reading.compare(before, reading.collect(new))
    count = sum(len(one.claims) for one in before)
    click.echo("\n".join(lines) or f"{count} claims on {len(before)} pages agree")
    raise SystemExit(1 if lines else 0)
