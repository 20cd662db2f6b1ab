"""Commands about weights: retrain what is shipped, ship what was trained, convert ODEFormer's."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("name", required=False)
@click.option("--rotate", is_flag=True, help="only one run, chosen by today's date")
def retrain(name: str | None, rotate: bool) -> None:
    """Train shipped runs again and compare each with the stored spread of its seeds.

    NAME is a run's name or the beginning of one (02, 03-solver); all when omitted.
    """
    from attention_in_motion.training import shipping

    raise SystemExit(shipping.retrain(name, rotate))


@click.command()
@click.argument("files", nargs=-1, required=True, type=Path)
def ship(files: tuple[Path, ...]) -> None:
    """Put finished runs into data/, with their rows in the manifest."""
    from attention_in_motion.training import shipping

    shipping.ship(files)


@click.command("convert-official")
@click.argument("file", type=Path)
@click.option("--out", type=Path, metavar="DIR", help="where to [runs/official]")
def convert_official(file: Path, out: Path | None) -> None:
    """Make safetensors of the released odeformer.pt, executing nothing in it."""
    from attention_in_motion.odeformer import official
    from attention_in_motion.paths import RUNS

    click.echo(official.convert(file, out or RUNS / "official"))
