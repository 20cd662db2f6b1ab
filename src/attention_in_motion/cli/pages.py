"""Commands about pages: re-run one with other parameters, write the committed outputs."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click


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
@click.argument("notebooks", nargs=-1, type=Path)
def outputs(notebooks: tuple[Path, ...]) -> None:
    """Rewrite the committed outputs from clean kernels, the boxes and the table of claims."""
    from attention_in_motion.book import pages, tables
    from attention_in_motion.paths import BOOK

    tables.write()
    pages.write_outputs(*(notebooks or pages.pages()))
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
