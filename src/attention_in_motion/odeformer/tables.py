"""One table of scores per page: a row per model, written after each, so that it can be resumed."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from tqdm import tqdm

from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig, order_numbers
from attention_in_motion.odeformer.weights import load, path_of, record_of
from attention_in_motion.paths import read_json, save_atomically

Row = dict[str, Any]
UNTRAINED = "untrained-"


def script(
    module: str,
    settings_of: Callable[..., Any],
    data_of: Callable[[Any], Any],
    row_of: Callable[[Any, ODEFormer, bool], Row],
    little: dict[str, int],
) -> click.Command:
    """The command `python -m attention_in_motion.odeformer.<module>`, which scores into a table.

    data_of(settings) draws what row_of scores; `little` are the settings of --small. Unknown models
    are refused before the work begins.
    """

    @click.command(help="Score MODELS (names or paths of .safetensors) and untrained networks.")
    @click.argument("models", nargs=-1, required=True)
    @click.option("--out", type=click.Path(path_type=Path), required=True, help="table's place")
    @click.option("--untrained", "n_untrained", type=click.IntRange(min=0), default=20)
    @click.option("--seed", type=click.IntRange(min=0), default=0, help="of curves and systems")
    @click.option("--small", is_flag=True, help="few curves and systems, to try it out")
    def main(models: tuple[str, ...], out: Path, n_untrained: int, seed: int, small: bool) -> None:
        settings = settings_of(**(little if small else {}), seed=seed)
        try:
            for model in models:
                path_of(model)
            data = data_of(settings)
            rest = models, n_untrained, lambda: data.raw, partial(row_of, data)
            table = extend(out, asdict(settings), command_line(module), *rest)
        except (OSError, ValueError) as error:
            raise click.UsageError(str(error)) from None
        click.echo(f"{out}: {len(table['rows'])} models")

    return main


def command_line(module: str) -> str:
    """The command that is running, as the table records it."""
    return f"python -m attention_in_motion.odeformer.{module} {shlex.join(sys.argv[1:])}"


def extend(
    path: Path,
    settings: dict[str, Any],
    command: str,
    models: Sequence[str],
    n_untrained: int,
    raw: Callable[[], Row],
    row_of: Callable[[ODEFormer, bool], Row],
) -> dict[str, Any]:
    """The table at `path` with a row for each model and each untrained one; it gains what it lacks.

    `raw` gives what is read without any model, row_of(model, whether it is trained) a row. A table
    of other settings is begun anew; a row is kept if it is of the same weights. The table is
    written after each: {"command", "settings", "raw", "rows": {name: row}}.
    """
    table = read(path) if path.is_file() else {}
    if table.get("settings") != settings:
        table = {"settings": settings, "raw": rounded(raw()), "rows": {}}
    table["command"] = command
    rows = table["rows"]
    for name, (weights, make) in tqdm(jobs(models, n_untrained).items(), disable=None):
        if rows.get(name, {}).get("weights") != weights:
            scores = row_of(make(), not name.startswith(UNTRAINED))
            rows[name] = {"weights": weights, **rounded(scores)}
            write(table, path)
    write(table, path)  # the command, where no row was missing
    return table


def jobs(models: Sequence[str], n_untrained: int) -> dict[str, tuple[str, Callable[[], ODEFormer]]]:
    """{name: (what tells its weights from others, how to have them)}, the untrained ones last."""
    digests = {name: record_of(name)["sha256"] for name in models}
    found = {name: (digest, partial(load, name)) for name, digest in digests.items()}
    for k in range(n_untrained):
        weights = f"step 0 of {digests[models[0]]}, seed {k}"
        found[f"{UNTRAINED}{k}"] = weights, partial(untrained, models[0], k)
    return found


def untrained(like: str, k: int) -> ODEFormer:
    """A model as it is before training: the geometry and the start of `like`, another seed."""
    config = record_of(like)["config"]
    seed = torch.Generator().manual_seed(1_000_000 + k)
    model = ODEFormer(ODEFormerConfig(**config["model"]), seed)
    if config.get("training", {}).get("ordered_numbers", True):
        order_numbers(model)
    return model.eval()


def rounded(value: Any) -> Any:
    """Tensors as lists, numbers to five decimals, whatever they are nested in."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, Tensor):
        return rounded(value.tolist())
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return round(value, 5) if isinstance(value, float) else value


def read(path: Path) -> dict[str, Any]:
    """A table that `write` wrote. Raises ValueError in one line if there is none."""
    if not path.is_file():
        raise ValueError(f"table = {str(path)!r}: no such file")
    return read_json(path)


def write(table: dict[str, Any], path: Path) -> None:
    """One row a line."""
    head = compact({name: value for name, value in table.items() if name != "rows"})
    rows = ",\n".join(f"{json.dumps(name)}:{compact(row)}" for name, row in table["rows"].items())
    text = f'{head[:-1]},\n"rows":{{\n{rows}\n}}}}\n'
    save_atomically(lambda partial: partial.write_text(text, encoding="utf-8"), path)


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
