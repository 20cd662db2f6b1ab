"""The subspace search in shipped solvers, place by place, in a table that the page reads.

    python -m attention_in_motion.measures.subspace_table NAME … --out data/subspaces.json

NAMEs are those of data/manifest.json, or files of weights. Each is searched on pairs of windows
like those it was trained on: whole ones, or ones with a foreign last state; the first is searched
as it was before training, too. A place takes about half a minute of a free core. The table is
written after each place, so that it can be resumed; what it holds of the same weights is not
computed again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from tqdm import tqdm

from attention_in_motion.measures.interventions import distant_pairs, hybrid, share_following
from attention_in_motion.measures.subspaces import (
    Pairs,
    Search,
    best_of,
    exchange_at,
    exchange_scores,
    search,
)
from attention_in_motion.measures.trajectories import TestSet, held_out
from attention_in_motion.models.activations import places
from attention_in_motion.paths import DATA, read_json, save_atomically
from attention_in_motion.training import store
from attention_in_motion.training.descent import one_thread
from attention_in_motion.training.oscillator import SolverRun

TABLE = DATA / "subspaces.json"
KINDS = ("heads", "resid_mid", "resid_post")  # places; where the stream begins stands no ω0
Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """Pairs to fit on, to choose place and size on, and to score; and how subspaces are sought."""

    n_fitted: int = 256
    n_choosing: int = 256
    n_scored: int = 512
    seed: int = 0
    search: Search = field(default_factory=lambda: Search(restarts=2))


def pairs_like(run: SolverRun, n: int, seed: int) -> Pairs:
    """n pairs of windows as a run was trained on, their frequencies far apart.

    With foreign last states, if the run was trained so; these are of further orbits.
    """
    draw = distant_pairs(run.omega0_min, run.omega0_max, n, seed)
    base, source = (windows_like(run, omega0, seed + i) for i, omega0 in enumerate(draw[:2], 1))
    if run.foreign_last:
        foreign = [windows_like(run, draw[2], seed + i).windows[:, -1] for i in (3, 4)]
        base, source = hybrid(base, foreign[0]), hybrid(source, foreign[1])
    return Pairs(base, source)


def windows_like(run: SolverRun, omega0: Tensor, seed: int) -> TestSet:
    """Windows with the run's damping, time step and length."""
    physics = {"gamma": (run.gamma_min, run.gamma_max), "dt": run.dt, "context": run.context}
    return held_out(omega0, **physics, seed=seed)


def searched_places(model: nn.Module) -> list[str]:
    """The places before the answer stands: all but the last block's output."""
    return [place for place in places(model) if place.endswith(KINDS)][:-1]


def row_of(model: nn.Module, place: str, pairs: Pairs, settings: Settings) -> Row:
    """Shares that follow and median scores at one place: {"choosing", "share", "median"}.

    Each by number of directions and seed. "choosing" is the share on the pairs that place and size
    are chosen on, "share" and "median" are of those that are scored.
    """
    sizes = [settings.n_fitted, settings.n_choosing, settings.n_scored]
    exchange = exchange_at(model, place, pairs)
    fitted, choosing, scored = map(exchange.rows, torch.arange(sum(sizes)).split(sizes))
    bases = search(model, place, fitted, settings.search)
    on_choosing = [exchange_scores(model, place, choosing, basis) for basis in bases]
    on_scored = [exchange_scores(model, place, scored, basis) for basis in bases]
    return {
        "choosing": [rounded(share_following(scores)) for scores in on_choosing],
        "share": [rounded(share_following(scores)) for scores in on_scored],
        "median": [rounded(scores.median(dim=1).values) for scores in on_scored],
    }


def rounded(values: Tensor) -> list[float]:
    """Four decimals of each value: (n,) → n numbers."""
    return [round(value, 4) for value in values.tolist()]


def best(rows: dict[str, Row], what: str = "share") -> Tensor:
    """Each seed's value at its best place and size, chosen on other pairs: (seed,)."""
    choosing, found = (
        torch.tensor([values for row in rows.values() for values in row[name]])
        for name in ("choosing", what)
    )
    return best_of(choosing, found)


def rows_for(table: Row, model: nn.Module) -> dict[str, Row]:
    """What a table holds of these very weights, {place: row}; empty unless it has every place."""
    found = table.get("rows", {}).get(store.digest_of(model), {}).get("places", {})
    return found if set(searched_places(model)) <= set(found) else {}


def shares(table: Row, models: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """What is judged, {name: (seed,)}; empty unless the table has all of the models."""
    rows = {name: rows_for(table, model) for name, model in models.items()}
    return {name: best(found) for name, found in rows.items()} if all(rows.values()) else {}


def medians(table: Row, models: Mapping[str, nn.Module]) -> dict[str, dict[str, Tensor]]:
    """Median scores with the most directions: {name: {place: (seed,)}}, of the models it has."""
    rows = {name: rows_for(table, model) for name, model in models.items()}
    return {
        name: {
            place.removeprefix("core."): torch.tensor(row["median"][-1])
            for place, row in found.items()
        }
        for name, found in rows.items()
        if found
    }


def read(path: Path = TABLE) -> Row:
    """The table, empty where there is none. Raises ValueError for a file that is no JSON."""
    return read_json(path) if path.is_file() else {}


def write(table: Row, path: Path) -> None:
    """The table as JSON, written whole or not at all."""
    text = json.dumps(table, ensure_ascii=False) + "\n"
    save_atomically(lambda partial: partial.write_text(text, encoding="utf-8"), path)


def trained(name: str) -> store.Trained:
    """A solver by its name in the manifest or by its file. Raises ValueError for what is none."""
    rows = {row["name"]: row for row in store.manifest()}
    if name in rows:
        found = store.read(DATA / rows[name]["file"], store.run_of(rows[name]))
    else:
        found = store.opened(Path(name))
    if not isinstance(found.run, SolverRun):
        raise ValueError(f"{name}: must be a solver, is a {type(found.run).__name__}")
    return found


def models_of(names: Sequence[str]) -> dict[str, tuple[nn.Module, SolverRun]]:
    """The models to search, and what they were trained on: the named ones, the first untrained."""
    found = {name: trained(name) for name in names}
    models = {name: (one.model, one.run) for name, one in found.items()}
    first = found[names[0]].run
    return models | {f"{names[0]}, untrained": (first.model().requires_grad_(False), first)}


@one_thread()
def extend(path: Path, names: Sequence[str], settings: Settings) -> Row:
    """The table at `path` with a row for each model, place by place; it gains what it lacks.

    {"settings", "rows": {digest of the weights: {"name", "places": {place: row}}}}; of other
    settings it is begun anew.
    """
    table = read(path)
    if table.get("settings") != asdict(settings):
        table = {"settings": asdict(settings), "rows": {}}
    sizes = settings.n_fitted + settings.n_choosing + settings.n_scored
    for name, (model, run) in models_of(names).items():
        pairs = pairs_like(run, sizes, settings.seed)
        row = table["rows"].setdefault(store.digest_of(model), {"name": name, "places": {}})
        for place in tqdm(searched_places(model), desc=name, disable=None):
            if place not in row["places"]:
                row["places"][place] = row_of(model, place, pairs, settings)
                write(table, path)
    return table


@click.command(help="Search NAMES (of the manifest, or files of weights) for a subspace of ω0.")
@click.argument("names", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--small", is_flag=True, help="few pairs and steps, to try it out")
def main(names: tuple[str, ...], out: Path, small: bool) -> None:
    """python -m attention_in_motion.measures.subspace_table; see the module's text."""
    settings = Settings()
    if small:
        brief = Search(most=2, restarts=1, iterations=3)
        settings = replace(settings, n_fitted=16, n_choosing=8, n_scored=8, search=brief)
    try:
        table = extend(out, names, settings)
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"{out}: {len(table['rows'])} models")


if __name__ == "__main__":
    main()
