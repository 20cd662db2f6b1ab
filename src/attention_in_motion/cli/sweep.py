"""`sweep`: a page executed with many parameters, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from attention_in_motion.book.points import Point

EXAMPLES = """
\b
Examples:
  attention-in-motion sweep 1 -p gamma 0.1,0.3,1.0 --plot P1.7 --against gamma
  attention-in-motion sweep 5 -p seed 0:32 --workers 4
  attention-in-motion sweep 2 --points points.csv --scheduler tcp://10.0.0.1:8786

Exit status: 0 when every point has run, 2 for bad input, 3 when a point failed.
"""


@click.command(epilog=EXAMPLES)
@click.argument("chapter")
@click.option(
    *("-p", "axes"), nargs=2, multiple=True, metavar="NAME VALUES", help="0.1,0.3 or 0:32 (0 … 31)"
)
@click.option("--points", "file", type=Path, metavar="FILE", help="CSV: a line of names, then rows")
@click.option("--scheduler", metavar="ADDRESS", help="of a running Dask cluster [this machine]")
@click.option("--workers", type=click.IntRange(min=1), help="pages at a time here [one a core]")
@click.option("--plot", "claim", metavar="CLAIM", help="draw this claim …")
@click.option("--against", "name", metavar="NAME", help="… against this parameter")
def sweep(
    chapter: str,
    axes: tuple[tuple[str, str], ...],
    file: Path | None,
    scheduler: str | None,
    workers: int | None,
    claim: str | None,
    name: str | None,
) -> None:
    """Execute CHAPTER once for every combination of VALUES, and make one table of all claims.

    Every point is checked before the first starts. Finished points are not run again; a point that
    fails stops no other and runs again at the next call. Results lie in runs/sweep/.
    """
    from attention_in_motion.book import points, sweep

    asked = points.grid(chapter, points.axes_of(axes), points.rows_of(file) if file else ({},))
    if claim or name:
        name = points.plottable(asked, claim, name)
    failed = {}
    if any(sweep.finished(point) is None for point in asked):
        with sweep.cluster(scheduler, workers) as client:
            click.echo(sweep.cost(asked, sum(client.nthreads().values())))
            failed = sweep.sweep(asked, client, click.echo)
    rows = sweep.table(asked)
    for path in sweep.write_table(asked, rows):
        click.echo(path)
    if claim and rows:
        click.echo(draw(asked, rows, claim, name))
    raise SystemExit(3 if failed else 0)


def draw(asked: list[Point], rows: list[dict], claim: str, name: str) -> Path:
    """Write the picture of one claim against one parameter; its path."""
    from attention_in_motion.book import sweep
    from attention_in_motion.chapters.contents import RULES
    from attention_in_motion.figures.sweep import claim_against
    from attention_in_motion.paths import save_atomically

    found = sweep.against(rows, claim, name)
    columns = {key: [row[key] for row in found] for key in (name, "value", "verdict")}
    intervals = [(row["low"], row["high"]) for row in found]
    figure = claim_against(
        name, columns[name], columns["value"], intervals, columns["verdict"], RULES[claim].text
    )
    path = sweep.stem(asked).with_name(f"{sweep.stem(asked).name}-{claim}-{name}.png")
    save_atomically(lambda partial: figure.savefig(partial, format="png"), path)
    return path
