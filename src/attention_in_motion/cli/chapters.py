"""What there is to run, what it may be given, and running it."""

from __future__ import annotations

from pathlib import Path

import click

PARAMETER = click.option(
    *("-p", "given"), nargs=2, multiple=True, metavar="NAME VALUE", help="a parameter; repeatable"
)
COLUMNS = ("parameter", "type", "default", "allowed", "unit", "what it is")


@click.command("list")
def list_chapters() -> None:
    """List the chapters: their names, number of claims, and about how long they take.

    A chapter answers to its name, to the end of it (solver), and to its number (1).

    \b
    Example:
      attention-in-motion list
    """
    from attention_in_motion.book import cost
    from attention_in_motion.chapters import contents

    seconds = cost.seconds()
    rows = [("chapter", "in short", "claims", "takes")]
    for page, module in contents.PAGES.items():
        short = min(contents.names(page) - {page}, key=len, default=page)
        rows.append((page, short, str(len(module.RULES)), cost.about(seconds.get(page))))
    click.echo("\n".join(aligned(rows)))


@click.command()
@click.argument("chapter")
def show(chapter: str) -> None:
    """Show every parameter of CHAPTER: type, default, what is allowed, unit, meaning.

    \b
    Example:
      attention-in-motion show solver
    """
    from attention_in_motion.book.parameters import parameters
    from attention_in_motion.chapters import contents

    page = contents.named(chapter)
    click.echo(f"{page.PAGE}: {page.__doc__.splitlines()[0]}")
    rows = [COLUMNS]
    for one in parameters(chapter):
        rows.append((one.name, one.type, repr(one.default), one.allowed, one.unit, one.help))
    click.echo("\n".join(aligned(rows)))


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of text as lines with columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[cell.ljust(w) for cell, w in zip(row, widths, strict=True)] for row in rows]
    return ["  ".join(row).rstrip() for row in padded]


def once(given: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """The pairs as a mapping. Raises ValueError for a name that is given two values."""
    for name, text in given:
        if others := [other for key, other in given if key == name and other != text]:
            raise ValueError(f"{name} = {text!r}: must be given once, not also {others[0]!r}")
    return dict(given)


@click.command()
@click.argument("chapter")
@PARAMETER
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="where to [runs/CHAPTER/digest]",
)
@click.option("--open", "opened", is_flag=True, help="open the page in a browser")
def run(chapter: str, given: tuple[tuple[str, str], ...], out: Path | None, opened: bool) -> None:
    """Execute CHAPTER with other parameters and say what moved.

    They are checked before a kernel starts. DIR then holds the executed notebook, a page of HTML
    that needs nothing beside it, and reading.json: parameters, claims, seeds, versions.

    \b
    Examples:
      attention-in-motion run 1 -p omega0 3.3 -p gamma 0.7
      attention-in-motion run solver -p n_test 256 --out runs/solver-256 --open
    """
    from attention_in_motion.book import parameters
    from attention_in_motion.chapters import contents

    page = contents.named(chapter).PAGE
    values = parameters.checked(page, once(given))  # refused within a second: nothing is loaded yet

    from attention_in_motion.book import cost, rerun

    click.echo("\n".join(cost.plan(page, values)), err=True)
    html, table = rerun.rerun(page, values, out)
    click.echo("\n".join(table))
    click.echo(f"written: {html}, with its notebook and reading.json beside it")
    if opened:
        click.launch(html.resolve().as_uri())
