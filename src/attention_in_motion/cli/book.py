"""The book as a whole: under a parameter file, and its committed outputs."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click


@click.command()
@click.option(
    *("--params", "file"), type=Path, required=True, metavar="FILE", help="TOML; see above"
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="where to [runs/book/digest]",
)
@click.option("--open", "opened", is_flag=True, help="open its front page in a browser")
def book(file: Path, out: Path | None, opened: bool) -> None:
    """Build the whole book with the parameters of FILE; the book in book/ is not touched.

    A name at the top of FILE goes to every chapter that knows it, a section to one chapter; names
    that nobody knows are refused. Chapters that FILE changes are executed, the others shown as
    committed. The front page says what was changed and which verdicts moved.

    \b
    Example, FILE:
      gamma = 0.3
      [solver]
      n_test = 256
    and then:
      attention-in-motion book --params FILE --out runs/stronger
    """
    from attention_in_motion.book import parameter_file

    changes = parameter_file.read(file)  # refused within a second: nothing is loaded yet

    from attention_in_motion.book import cost, variant

    plans = [line for page, values in changes.items() for line in cost.plan(page, values)]
    click.echo("\n".join([*plans, "and builds the book from them"]), err=True)
    front, lines = variant.build(changes, out)
    click.echo("\n".join(lines))
    click.echo(f"written: {front}")
    if opened:
        click.launch(front.resolve().as_uri())


@click.command()
@click.argument("chapters", nargs=-1)
def outputs(chapters: tuple[str, ...]) -> None:
    """Rewrite the committed outputs from clean kernels, the boxes and the table of claims.

    Of all pages, and the front page's picture; or of those named, as `run` names them.

    \b
    Examples:
      attention-in-motion outputs
      attention-in-motion outputs solver
    """
    from attention_in_motion.book import cost
    from attention_in_motion.chapters import contents
    from attention_in_motion.paths import BOOK, require_checkout

    require_checkout()
    names = [contents.named(name).PAGE for name in chapters] or list(contents.PAGES)
    known = cost.seconds()
    click.echo(f"executes {', '.join(names)}: {cost.about(cost.total(map(known.get, names)))} of "
               "one core", err=True)  # fmt: skip
    from attention_in_motion.book import pages, tables

    cost.keep(pages.write_outputs(*(BOOK / f"{name}.ipynb" for name in names)))
    tables.write()  # from what the pages have recorded
    if not chapters:
        from attention_in_motion.book import front_picture

        front_picture.write()


@click.command("check-builder", hidden=True)
def check_builder() -> None:
    """Fail unless Jupyter Book 1 is installed."""
    found = version("jupyter-book")
    if found.split(".")[0] != "1":
        raise ValueError(
            f"jupyter-book = {found}: must be 1.x; version 2 builds nothing here and exits 0"
        )
