"""Trained things: training them again, shipping them, ODEFormer's own steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import click

FORWARDED = {"ignore_unknown_options": True, "help_option_names": []}
REST = click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="...")


@click.command()
@click.argument("name", required=False)
@click.option("--rotate", is_flag=True, help="only one run, chosen by today's date")
def retrain(name: str | None, rotate: bool) -> None:
    """Train shipped runs again and compare each with the stored spread of its seeds.

    NAME is a run's name or the beginning of one (02, 03-solver); all when omitted. Exit status 1
    if one left its spread. Interrupted, the same command goes on.

    \b
    Example:
      attention-in-motion retrain 03-linear
    """
    from attention_in_motion.book import cost

    rows = cost.shipped(name)
    longest = sum(row["seconds"] for row in rows)
    what = f"one of {len(rows)} runs" if rotate else ", ".join(row["name"] for row in rows)
    click.echo(f"trains {what}: {cost.about(longest)} in all", err=True)
    from attention_in_motion.training import store

    raise SystemExit(store.retrain(name, rotate))


@click.command()
@click.argument("files", nargs=-1, type=Path)
def ship(files: tuple[Path, ...]) -> None:
    """Put finished runs into data/, with their rows in the manifest.

    A chapter's run is a .safetensors of runs/weights; ODEFormer's weights have a record, a .json,
    beside them, and are stored as float16. Without any FILE only the sums are written anew, in
    data/SHA256SUMS and data/odeformer/SHA256SUMS, with which every file there is compared when it
    is read: after a file was written by hand, or brought by a merge.

    \b
    Examples:
      attention-in-motion ship runs/odeformer/ours.safetensors
      attention-in-motion ship
    """
    must_exist(*files)
    from attention_in_motion.book import cost
    from attention_in_motion.paths import DATA, require_checkout, write_sums

    require_checkout()
    recorded = [file for file in files if file.with_suffix(".json").is_file()]
    click.echo(f"{shipping(files, recorded)}: {cost.about(cost.shipping(len(recorded)))}", err=True)
    if not files:
        for folder in (DATA, DATA / "odeformer"):
            write_sums(folder)
        return
    from attention_in_motion.odeformer import train
    from attention_in_motion.training import store

    store.ship([file for file in files if file not in recorded])
    for file in recorded:
        click.echo(train.ship(file))


def shipping(files: Sequence[Path], recorded: Sequence[Path]) -> str:
    """What `ship` will do, in words."""
    if not files:
        return "writes the sums of all files in data/"
    rounded = f", checking {len(recorded)} after rounding to float16" if recorded else ""
    return f"puts {', '.join(file.name for file in files)} into data/{rounded}"


@click.command("convert-official")
@click.argument("file", type=Path)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="where to [runs/official]",
)
def convert_official(file: Path, out: Path | None) -> None:
    """Make safetensors of the released odeformer.pt, executing nothing in it.

    \b
    Example:
      attention-in-motion convert-official odeformer.pt
    """
    must_exist(file)
    from attention_in_motion.paths import RUNS

    out = out or RUNS / "official"
    from attention_in_motion.book import cost

    duration = cost.about(cost.conversion(file))
    click.echo(f"reads the tensors of {file} and writes them to {out}: {duration}", err=True)
    from attention_in_motion.odeformer import official

    click.echo(official.convert(file, out))


TRAINING = """\b
Example:
  attention-in-motion train configs/odeformer/twin.toml --out runs/odeformer/ours.safetensors
"""


@click.command(context_settings=FORWARDED, add_help_option=False, epilog=TRAINING)
@REST
@click.pass_context
def train(context: click.Context, words: tuple[str, ...]) -> None:
    """Train ODEFormer as a file of configs/odeformer/ says; `train --help` lists the options."""
    from attention_in_motion.book import cost

    for config in named(words):
        duration = cost.odeformer(config, number_after("--steps", words, 0))
        click.echo(f"trains what {config} describes: {cost.about(duration)}", err=True)
    from attention_in_motion.odeformer import train

    forward(train.main, context, words)


EVALUATION = """\b
Example:
  attention-in-motion evaluate runs/odeformer/ours.safetensors --out runs/ours.evaluation.json
"""


@click.command(context_settings=FORWARDED, add_help_option=False, epilog=EVALUATION)
@REST
@click.pass_context
def evaluate(context: click.Context, words: tuple[str, ...]) -> None:
    """Evaluate an ODEFormer; `evaluate --help` lists the options."""
    from attention_in_motion.book import cost

    for weights in named(words):
        n = number_after("-n", words, 100)
        what = f"evaluates {weights} on systems that it has not seen, {n} of each group"
        click.echo(f"{what}: {cost.about(cost.evaluation(n))}", err=True)
    from attention_in_motion.odeformer import evaluation

    forward(evaluation.main, context, words)


def number_after(option: str, words: tuple[str, ...], default: int) -> int:
    """The whole number that follows an option; the default where none does."""
    text = dict(pairwise(words)).get(option, "")
    return int(text) if text.isdecimal() else default


def named(words: tuple[str, ...]) -> list[str]:
    """The file that stands first among the words, if one does; it must be there."""
    files = [word for word in words[:1] if not word.startswith("-")]
    must_exist(*files)
    return files


def must_exist(*files: str | Path) -> None:
    """Raise FileNotFoundError in one line, before anything heavy is loaded to read them."""
    for file in files:
        if not Path(file).is_file():
            raise FileNotFoundError(f"{file}: no such file")


def forward(command: click.Command, context: click.Context, words: tuple[str, ...]) -> None:
    """Hand the words to a command that also stands as a module of its own."""
    command.epilog = context.command.epilog
    command.main(list(words), prog_name=context.command_path, standalone_mode=False)
