"""What forecasters do with series they have not seen: scores of each seed into one table.

    python -m attention_in_motion.forecaster.scores --out TABLE.json

Trains what is neither shipped nor kept, which takes four minutes a seed and run on a free core and
goes on after an interruption. One row per seed, with its model of one variate and that of two, then
untrained ones with other seeds. The table is written after each row; rows of the same weights and
settings are not computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from attention_in_motion.forecaster.series import Data, Row, Settings, features_of, split_variates
from attention_in_motion.measures import forecasts
from attention_in_motion.measures import grouped_probes as probes
from attention_in_motion.measures.patching import all_at_mean, directions_at_mean, mean_of
from attention_in_motion.measures.sparse_features import CHOSEN, SCORED
from attention_in_motion.models import forecaster
from attention_in_motion.models.activations import replaced
from attention_in_motion.odeformer import tables
from attention_in_motion.training import store
from attention_in_motion.training.forecast import ForecastRun, all_runs

FIRST_UNTRAINED = 1000  # seed of the first network of the null
Pair = tuple[nn.Module, nn.Module]  # of one variate and of two


@torch.no_grad()
def streams(member: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The encoder's stream by place: {place: (series, context, width)}."""
    seen: dict[str, Tensor] = {}

    def keep(place: str) -> Callable[[Tensor], Tensor]:
        return lambda h: seen.setdefault(place, h)

    with ExitStack() as stack:
        for place in forecaster.places(member):
            stack.enter_context(replaced(member, place, keep(place)))
        forecaster.nats(member, x)
    return seen


def forecast_scores(member: nn.Module, data: Data, name: str) -> Row:
    """CRPS, MASE of the median and coverage of 80 % of the forecasts of one set."""
    x, settings = data.sets[name], data.settings
    drawn = forecaster.sampled(member, x, settings.n_samples, settings.seed)
    samples = drawn.movedim(3, 1).flatten(0, 1).double().numpy()  # (series · variates, n, h)
    past, future = split_variates(x, data.past)
    crps = forecasts.crps_of_samples(samples, future).mean(1)
    mase = forecasts.mase(np.median(samples, axis=1), future, past)
    covered = forecasts.coverage(samples, future)
    return data.summary(name, crps, mase) | {"coverage": covered}


def point_scores(data: Data, seen: dict[str, Tensor]) -> Row:
    """Held-out R² of the slope at single points: embedding, then by layer; labels shuffled."""
    at, y, systems = data.positions, data.slopes, data.systems
    local = [h[:, at].flatten(0, 1).double().numpy() for h in seen.values()]
    exchanged = probes.shuffled(y, data.settings.seed)
    return {
        "linear": [probes.held_out_score(probes.linear, x, y, systems) for x in local],
        "mlp": [probes.held_out_score(probes.mlp, x, y, systems) for x in (local[0], local[-1])],
        "shuffled": probes.held_out_score(probes.linear, local[-1], exchanged, systems),
    }


@torch.no_grad()
def slope_costs(member: nn.Module, data: Data, end: Tensor) -> Row:
    """Nats a step lost on odd series without the probe's direction, found on even ones.

    Beside it directions of shuffled labels, and the whole end at its mean.
    """
    x, place = data.probed[SCORED], forecaster.places(member)[-1]
    mean, plain = mean_of(end[CHOSEN]), forecaster.nats(member, x).mean()
    local = end[:, data.positions].flatten(0, 1).double().numpy()
    rows, y = data.systems % 2 == 0, data.slopes

    def cost(change: Callable[[Tensor], Tensor]) -> float:
        with replaced(member, place, change):
            return float(forecaster.nats(member, x).mean() - plain)

    def without(labels: np.ndarray) -> float:
        probe = probes.fitted(probes.linear(), local[rows], labels, data.systems[rows])
        u = torch.from_numpy(probes.direction(probe)).float()[None]
        return cost(directions_at_mean(u, mean))

    seeds = range(data.settings.n_random)
    return {
        "nats": float(plain),
        "direction": without(y[rows]),
        "shuffled": [without(probes.shuffled(y[rows], seed)) for seed in seeds],
        "everything": cost(all_at_mean(mean)),
    }


def row_of(data: Data, pair: Pair, trained: bool) -> Row:
    """All scores of a model of one variate, and the forecasts of its like with two."""
    one, two = pair
    seen = streams(one, data.probed)
    end = seen[forecaster.places(one)[-1]]
    models = {"one variate": one, "two variates": two, "damped": one}
    row = {
        "forecast": {name: forecast_scores(m, data, name) for name, m in models.items()},
        "points": point_scores(data, seen),
        "features": features_of(end, data),
    }
    return row | ({"slope costs": slope_costs(one, data, end)} if trained else {})


def of_copies(model: nn.Module, run: ForecastRun, settings: Settings) -> Row:
    """What the post's run makes of its own function, and of other decaying exponentials."""
    other = replace(run, only_decay=False, noise=0.0, seeds=(0,))
    rng = torch.Generator().manual_seed(settings.seed)
    own, _ = run.series(rng, settings.n_forecast)
    others, _ = other.series(rng, settings.n_forecast, ("exponentials",))
    found = {}
    for name, x in (("own", own[:1]), ("others", others)):
        drawn = forecaster.sampled(model, x, settings.n_samples, settings.seed)
        past, future = split_variates(x, x.shape[1] - run.horizon)
        crps = forecasts.crps_of_samples(drawn[..., 0].double().numpy(), future).mean(1)
        last = forecasts.crps_of_normal(forecasts.naive(past, run.horizon), future).mean(1)
        found[name] = {"log crps": float(np.log(crps).mean()), "last": float(np.log(last).mean())}
    return found


def pairs(one: nn.Module, two: nn.Module, untrained: Pair) -> Iterator[tuple[str, Pair]]:
    """The models of each seed, then those of the null, by their names in the table."""
    for name, ensembles in (("seed", (one, two)), ("untrained", untrained)):
        members = zip(*(ensemble.members for ensemble in ensembles), strict=True)
        yield from ((f"{name}-{k}", pair) for k, pair in enumerate(members))


def extend(
    path: Path, settings: Settings, runs: dict[str, ForecastRun], n_untrained: int, command: str
) -> Row:
    """The table at `path` with a row for each seed and each of the null; it gains what it lacks.

    {"command", "settings", "raw", "decay", "rows": {name: row}}; of other settings it is new.
    """
    trained = {name: store.load_or_train(run, f"05-{name}") for name, run in runs.items()}
    one, two, decay = (found.model for found in trained.values())
    run, pair, copies = runs.values()
    null = tuple(range(FIRST_UNTRAINED, FIRST_UNTRAINED + n_untrained))
    untrained = tuple(replace(r, seeds=null).model().requires_grad_(False) for r in (run, pair))
    data = Data(settings, run, pair)
    table = tables.read(path) if path.is_file() else {}
    if table.get("settings") != asdict(settings):
        table = {"settings": asdict(settings), "raw": tables.rounded(data.raw), "rows": {}}
    table["command"] = command
    table["decay"] = tables.rounded(of_copies(decay.members[0], copies, settings))
    rows = table["rows"]
    for name, models in tqdm(list(pairs(one, two, untrained)), disable=None):
        weights = store.digest_of(*models)
        if rows.get(name, {}).get("weights") != weights:
            scores = row_of(data, models, not name.startswith("untrained"))
            rows[name] = {"weights": weights, **tables.rounded(scores)}
            tables.write(table, path)
    return table


@click.command(help="Train what is missing, then score seeds and untrained networks.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="where the table goes")
@click.option("--untrained", "n_untrained", type=click.IntRange(min=1), default=20)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="of the series")
def main(out: Path, n_untrained: int, seed: int) -> None:
    """python -m attention_in_motion.forecaster.scores; see the module's text."""
    command = "python -m attention_in_motion.forecaster.scores"
    command += f" --out {out} --untrained {n_untrained} --seed {seed}"
    try:
        found = extend(out, Settings(seed=seed), all_runs(), n_untrained, command)
        click.echo(f"{out}: {len(found['rows'])} models")
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None


if __name__ == "__main__":
    main()
