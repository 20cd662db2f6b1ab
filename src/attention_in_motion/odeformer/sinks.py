"""Which point the decoder attends to most, and what moves it; sinks of the encoder.

    python -m attention_in_motion.odeformer.sinks ARM… --out data/odeformer/arms.json

scores the two arms that differ in the points that training keeps, at lengths that both have seen;
the rows say which arm a model is of. The models of the page are scored by `odeformer.lenses`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attention_in_motion.measures import attended_points as points
from attention_in_motion.measures import attention_maps as maps
from attention_in_motion.models.activations import record
from attention_in_motion.odeformer import tables
from attention_in_motion.odeformer.inside import as_batch, nats
from attention_in_motion.odeformer.network.model import ODEFormer, within
from attention_in_motion.odeformer.recognise import predict
from attention_in_motion.odeformer.slopes import CHOSEN, SCORED
from attention_in_motion.odeformer.stream import evaluation_samples, twin_mixture
from attention_in_motion.odeformer.systems.sigmoids import times
from attention_in_motion.odeformer.systems.trajectories import Sample
from attention_in_motion.odeformer.tables import Row

LENGTHS = (20, 25, 30, 40, 50, 75, 100, 150, 200)  # training has 13 to 50 points
ARM_LENGTHS = (13, 16, 20, 25)  # seen by both arms, which keep half of 25 to 50 points
SIXTY = (0.55, 0.65)  # of the time between the first and the last point
OTHER_TIME = 4.0  # where the post moves the point to
SHIFTS = (0.01, 0.02, 0.04, 0.06, 0.083, 0.11, 0.17, 0.25, 0.33)  # of scaled values
NEVER = 2 * SHIFTS[-1]  # stands for a point that no shift moves
NEIGHBOURS = 2  # the post gives t[26] … t[30] the time of t[28]
AT_ONCE = 20  # systems of a pass


class Attended(NamedTuple):
    """Cross-attention to points, mean over the words of the right answer, of some systems."""

    plain: Tensor  # (system, layer, head, point), summing to 1
    weighted: Tensor  # the same times |v_j|
    lengths: Tensor  # (system, point) of the encoder's output

    @property
    def mass(self) -> Tensor:
        """Value-weighted, all layers and heads together: (system, point), summing to 1."""
        return points.shares(self.weighted.sum((1, 2)))

    @property
    def plain_mass(self) -> Tensor:
        """Plain, all layers and heads together: (system, point), summing to 1."""
        return points.shares(self.plain.sum((1, 2)))

    @property
    def most(self) -> Tensor:
        """The most attended point: (system,)."""
        return self.mass.argmax(-1)


@torch.no_grad()
def attended(model: ODEFormer, samples: Sequence[Sample]) -> Attended:
    """What the decoder attends to while it reads the right answers; samples of one length."""
    parts = [
        attended_at_once(model, samples[i : i + AT_ONCE]) for i in range(0, len(samples), AT_ONCE)
    ]
    return Attended(*map(torch.cat, zip(*parts, strict=True)))


def attended_at_once(model: ODEFormer, samples: Sequence[Sample]) -> Attended:
    """`attended` in one pass."""
    batch = as_batch(model, samples)
    tokens, n_tokens = batch["tokens"][:, :-1], batch["n_tokens"] - 1
    memory = model.encode(batch["points"], batch["n_points"])
    seen = record(model.decoder, tokens, n_tokens, memory, batch["n_points"])
    real = within(n_tokens, tokens.shape[1]).float() / n_tokens[:, None]  # (system, word)
    plain, weighted = [], []
    for i in range(len(model.decoder.encoder_attn)):
        weights = seen[f"encoder_attn.{i}.weights"]  # (system, head, word, point)
        mass = torch.einsum("shwp,sw->shp", weights, real)
        plain.append(mass)
        weighted.append(mass * seen[f"encoder_attn.{i}.values"].norm(dim=-1))
    return Attended(torch.stack(plain, 1), torch.stack(weighted, 1), memory.norm(dim=-1))


# ---------------------------------------------------------------------------------------------
# Systems at several lengths


def at_lengths(samples: Sequence[Sample], lengths: Sequence[int]) -> dict[int, list[Sample]]:
    """The same systems on so many even times; those that cannot be integrated are left out."""
    finest = max(lengths)
    kept = [s for s in samples if np.isfinite(resampled(s, finest).values).all()]
    return {n: [resampled(sample, n) for sample in kept] for n in lengths}


def resampled(sample: Sample, n_points: int) -> Sample:
    """The trajectory of the sample's system, from its first value, on n_points even times."""
    t = times(n_points)
    return sample._replace(times=t, values=predict(sample.system, sample.values[0], t))


def mixed_systems(n_systems: int, seed: int) -> list[Sample]:
    """Systems of the evaluation, of every kind, without corruption."""
    return evaluation_samples(twin_mixture(50), seed, n_systems)


def length_scores(model: ODEFormer, by_length: Mapping[int, Sequence[Sample]]) -> Row:
    """By number of points: where the most attended point lies, and how it stands out.

    "at": its index, system by system; "commonest" and "share": the index that most systems have;
    "sixty": the share from 55 to 65 % of the time; "peak": its mass over an equal share; "longer":
    share of the points whose encoding is longer; "mass" and "plain": means over systems, by point.
    """
    found: Row = {}
    for n, samples in by_length.items():
        seen = attended(model, samples)
        at = seen.most
        index, share = points.commonest(at)
        place = at.double() / (n - 1)
        found[str(n)] = {
            "at": at,
            "commonest": index,
            "share": share,
            "sixty": float(((place >= SIXTY[0]) & (place <= SIXTY[1])).double().mean()),
            "peak": float(points.peak(seen.mass).mean()),
            "longer": float(points.larger_elsewhere(seen.lengths, at).mean()),
            "mass": seen.mass.mean(0),
            "plain": seen.plain_mass.mean(0),
        }
    return found


def smoothness(seen: Attended) -> Row:
    """Share of the steps away from the most attended point that go down: by both kinds of mass.

    Each kind is followed away from its own largest point.
    """
    masses = {"weighted": seen.mass, "plain": seen.plain_mass}
    return {
        name: float(points.falls_away(mass, mass.argmax(-1)).mean())
        for name, mass in masses.items()
    }


# ---------------------------------------------------------------------------------------------
# What moves the most attended point

Change = Callable[[Sample, int], Sample]


def changed(samples: Sequence[Sample], at: Tensor, change: Change) -> list[Sample]:
    """Each sample with a change at its own point: at (system,)."""
    return [change(sample, int(i)) for sample, i in zip(samples, at, strict=True)]


def with_time(sample: Sample, at: int, time: float = OTHER_TIME) -> Sample:
    """The point keeps its value and gets another time."""
    t = sample.times.copy()
    t[at] = time
    return sample._replace(times=t)


def with_value(sample: Sample, at: int, value: NDArray | float) -> Sample:
    """The point keeps its time and gets another value."""
    x = sample.values.copy()
    x[at] = value
    return sample._replace(values=x)


def shifted(sample: Sample, at: int, by: float) -> Sample:
    """The point's value, in scaled units, plus `by`."""
    return with_value(sample, at, sample.values[at] + by)


def twice(sample: Sample, at: int) -> Sample:
    """The point stands there a second time, at the end."""
    t, x = np.append(sample.times, sample.times[at]), np.vstack([sample.values, sample.values[at]])
    return sample._replace(times=t, values=x)


def one_time(sample: Sample, at: int) -> Sample:
    """The points beside it get its time and keep their values."""
    t = sample.times.copy()
    t[max(at - NEIGHBOURS, 0) : at + NEIGHBOURS + 1] = sample.times[at]
    return sample._replace(times=t)


def without(sample: Sample, at: int) -> Sample:
    """The sample without that point."""
    keep = np.arange(len(sample.times)) != at
    return sample._replace(times=sample.times[keep], values=sample.values[keep])


def reordered(sample: Sample, order: NDArray) -> Sample:
    """The same points in another order."""
    return sample._replace(times=sample.times[order], values=sample.values[order])


def moves(model: ODEFormer, samples: Sequence[Sample], seed: int) -> Row:
    """What becomes of the most attended point when it, or the order of all points, is changed.

    "time" and "value": share of systems in which another point takes over once its time is 4, or
    its value that of the next system; "one time": once its neighbours have its time; "copy": mass
    of the point and its copy over that of the point; "order": largest difference of a point's mass
    in another order; "shifts", "moved", "kept": by shift of its value up and down, the share in
    which another point takes over and its mass over what it was; "smallest": the median of the
    smallest shift that makes another point take over.
    """
    seen = attended(model, samples)
    at, rows = seen.most, torch.arange(len(samples))
    own, n = seen.mass[rows, at], len(samples[0].times)

    def after(change: Change) -> Tensor:
        return attended(model, changed(samples, at, change)).mass

    def left(mass: Tensor) -> float:
        return float((mass.argmax(-1) != at).double().mean())

    following = [*samples[1:], samples[0]]
    foreign = [
        with_value(sample, int(i), other.values[int(i)])
        for sample, other, i in zip(samples, following, at, strict=True)
    ]
    copied = after(twice)
    order = np.random.default_rng(seed).permutation(n)
    other = attended(model, [reordered(sample, order) for sample in samples]).mass
    return {
        "time": left(after(with_time)),
        "value": left(attended(model, foreign).mass),
        "one time": left(after(one_time)),
        "copy": float(((copied[rows, at] + copied[:, -1]) / own).mean()),
        "order": float((other - seen.mass[:, order]).abs().max()),
        **responses(after, at, own),
    }


def responses(after: Callable[[Change], Tensor], at: Tensor, own: Tensor) -> Row:
    """The part of `moves` about shifts of the point's value."""
    rows, by = torch.arange(len(at)), [sign * s for s in SHIFTS for sign in (-1, 1)]
    masses = [after(partial(shifted, by=one)) for one in by]
    moved = torch.stack([mass.argmax(-1) != at for mass in masses])  # (shift, system)
    either = moved.unflatten(0, (-1, 2)).any(1)  # (size, system)
    sizes = torch.tensor(SHIFTS)[:, None].expand_as(either)
    smallest = torch.where(either, sizes, NEVER).amin(0)
    return {
        "shifts": by,
        "moved": moved.double().mean(1),
        "kept": torch.stack([(mass[rows, at] / own).mean() for mass in masses]),
        "smallest": float(smallest.median()),
    }


@torch.no_grad()
def point_costs(model: ODEFormer, samples: Sequence[Sample], n_random: int, seed: int) -> Row:
    """Nats a token lost without the most attended point, and without other points inside."""
    at, rng = attended(model, samples).most, np.random.default_rng(seed)
    plain, n = nats(model, as_batch(model, samples)), len(samples[0].times)

    def cost(which: Tensor) -> float:
        fewer = as_batch(model, changed(samples, which, without))
        return float((nats(model, fewer) - plain).mean())

    draws = torch.from_numpy(rng.integers(1, n - 1, (n_random, len(samples))))
    others = [torch.where(draw == at, (draw + 1) % n, draw) for draw in draws]
    return {"point": cost(at), "others": [cost(draw) for draw in others]}


# ---------------------------------------------------------------------------------------------
# Sinks of the encoder


def sink_scores(seen: Mapping[str, Tensor], n_layers: int) -> dict[str, Tensor]:
    """Share of systems with a sink, of the encoder's heads: {"chosen", "scored": (layer, head)}.

    seen are the encoder's recorded activations.
    """
    rows = []
    for i in range(n_layers):
        weights, values = seen[f"attentions.{i}.weights"], seen[f"attentions.{i}.values"]
        weighted = maps.value_weighted(weights, values)
        rows.append(points.has_sink(maps.column_mass(weights), weighted).double())
    found = torch.stack(rows, 1)  # (system, layer, head)
    return {"chosen": found[CHOSEN].mean(0), "scored": found[SCORED].mean(0)}


# ---------------------------------------------------------------------------------------------
# The two arms


def arm_of(record_: Mapping[str, Any]) -> Row:
    """Which arm a model is of, by the record of its training, and its seed.

    Raises ValueError in one line for a model of neither.
    """
    stream = record_["config"].get("stream", {})
    if not stream.get("published_corruption"):
        raise ValueError("model: must be trained with published_corruption, this one is not")
    arm = "random" if stream.get("random_survivors") else "published"
    return {"arm": arm, "seed": record_["seed"]}


def arm_differences(rows: Mapping[str, Row], n_points: int = 25) -> list[float]:
    """Share at the commonest point, published less random arm, for each seed that both have."""
    shares: dict[str, dict[int, float]] = {"published": {}, "random": {}}
    for row in rows.values():
        shares[row["arm"]][row["seed"]] = row["lengths"][str(n_points)]["share"]
    published, random = shares["published"], shares["random"]
    return [published[seed] - random[seed] for seed in sorted(published.keys() & random.keys())]


def score_arms(models: Sequence[str], out: Path, n_systems: int, seed: int, command: str) -> Row:
    """The table of the arms at `out`; it gains what it lacks, and says which arm each row is of."""
    facts = {name: arm_of(tables.record_of(name)) for name in models}
    by_length = at_lengths(mixed_systems(n_systems, seed), ARM_LENGTHS)

    def row_of(model: ODEFormer, trained: bool) -> Row:
        return {"lengths": length_scores(model, by_length)}

    settings = {"n_systems": n_systems, "seed": seed}
    table = tables.extend(out, settings, command, models, 0, dict, row_of)
    for name, fact in facts.items():
        table["rows"][name] |= fact
    tables.write(table, out)
    return table


@click.command(help="Score the two arms of the twin's training, MODELS by name or path.")
@click.argument("models", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="where the table goes")
@click.option("--systems", "n_systems", type=click.IntRange(min=12), default=120)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="of the systems")
def main(models: tuple[str, ...], out: Path, n_systems: int, seed: int) -> None:
    """python -m attention_in_motion.odeformer.sinks; see the module's text."""
    command = tables.command_line("sinks")
    try:
        table = score_arms(models, out, n_systems, seed, command)
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"{out}: {len(table['rows'])} models")


if __name__ == "__main__":
    main()
