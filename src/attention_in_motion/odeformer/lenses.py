"""Lenses, signs, sinks, extrema and OV diagonals: scores of each model into one table.

    python -m attention_in_motion.odeformer.lenses twin-0 twin-1 … --out TABLE.json

One row per model, trained or not, as in `derivative`; what an answer needs is asked of trained ones
alone. The measures stand in `decisions`, `signs`, `sinks`, `extrema` and `subtraction`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from attention_in_motion.odeformer import decisions, extrema, signs, sinks, subtraction, tables
from attention_in_motion.odeformer.inside import encoder_activations
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.stream import StreamConfig, evaluation_samples, twin_mixture
from attention_in_motion.odeformer.systems.sigmoids import draw_sigmoids
from attention_in_motion.odeformer.systems.trajectories import Sample
from attention_in_motion.odeformer.tables import Row


@dataclass(frozen=True)
class Settings:
    """How much is drawn. Raises ValueError in one line for too little.

    `n_systems` of all kinds, with `n_system_points` points, for the lenses; `n_attended` of all
    kinds for the most attended point, on up to `longest` points; pairs of exponentials, rotations
    and logistic curves, with `n_points` points; controls and greedy answers.
    """

    n_systems: int = 640
    n_system_points: int = 40
    n_attended: int = 120
    n_pairs: int = 60
    n_rotations: int = 60
    n_curves: int = 120
    n_points: int = 50
    longest: int = 200
    n_random: int = 10
    n_decoded: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"n_points": 12, "n_system_points": 8, "longest": 50, "n_pairs": 4}
        least |= {"n_rotations": 4, "n_random": 1, "n_decoded": 1, "seed": 0}
        for name, value in vars(self).items():
            if value < least.get(name, 12):
                raise ValueError(f"{name} = {value}: must be at least {least.get(name, 12)}")

    @property
    def config(self) -> StreamConfig:
        """The twin's stream with one number of points and no corruption."""
        return twin_mixture(self.n_system_points)


class Data:
    """What every model is shown."""

    def __init__(self, settings: Settings) -> None:
        self.settings, n = settings, settings.n_points
        rng = np.random.default_rng([5, settings.seed])
        self.exponentials = signs.exponentials(rng, settings.n_pairs, n)
        self.rotations = extrema.rotations(rng, settings.n_rotations, n)
        self.curves = draw_sigmoids(rng, settings.n_curves, n)
        self.logistic = list(self.curves.samples())
        self.raw: Row = {}  # nothing is read without a model

    @property
    def falling(self) -> list[Sample]:
        """The falling exponentials."""
        return self.exponentials[: self.settings.n_pairs]

    @cached_property
    def mixed(self) -> list[Sample]:
        """Systems of every kind, for the lenses."""
        return evaluation_samples(self.settings.config, self.settings.seed, self.settings.n_systems)

    @cached_property
    def attended(self) -> dict[int, list[Sample]]:
        """Systems of every kind by number of points."""
        lengths = [n for n in sinks.LENGTHS if n <= self.settings.longest]
        systems = sinks.mixed_systems(self.settings.n_attended, self.settings.seed)
        return sinks.at_lengths(systems, lengths)


def sign_scores(model: ODEFormer, data: Data, trained: bool) -> Row:
    """When the sign is decided, which heads follow the size; of a trained model what carries it."""
    settings, pairs = data.settings, signs.Signs(model, data.exponentials)
    heads = signs.magnitude_heads(pairs)
    found = {"lens": signs.sign_scores(pairs), "magnitude": extrema.best_by_layer(heads)}
    found["magnitude best"] = best_of_all(heads)
    if trained:
        found["costs"] = signs.costs(pairs, heads, settings.n_random, settings.seed)
    return found


def best_of_all(heads: extrema.Halves) -> float:
    """The score of the head that is best of all layers; chosen on one half, scored on the other."""
    together = {half: values.reshape(1, -1) for half, values in heads.items()}
    return extrema.best_by_layer(together)[0]


def sink_scores(model: ODEFormer, data: Data, seen: dict[str, torch.Tensor]) -> Row:
    """Sinks of the encoder on logistic curves, and the most attended point of the decoder."""
    heads = sinks.sink_scores(seen, len(model.encoder.attentions))
    standard = sinks.attended(model, data.attended[50])
    return {
        "sinks": extrema.best_by_layer(heads),
        "sinks best": best_of_all(heads),
        "lengths": sinks.length_scores(model, data.attended),
        "smooth": sinks.smoothness(standard),
        "moves": sinks.moves(model, data.falling, data.settings.seed),
    }


def row_of(data: Data, model: ODEFormer, trained: bool) -> Row:
    """All scores of one model; costs only of a trained one."""
    settings = data.settings
    seen = encoder_activations(model, data.logistic)
    marked = extrema.extrema_scores(model, data.rotations)
    times = torch.from_numpy(data.curves.times)
    found: dict[str, Any] = {
        "words": decisions.lens_scores(model, data.mixed),
        "sign": sign_scores(model, data, trained),
        "attended": sink_scores(model, data, seen),
        "extrema": {name: extrema.best_by_layer(marked[name]) for name in extrema.MARKED},
        "avoids": extrema.avoidance(marked),
        "layers": extrema.feature_layers(model, data.curves, seen, marked["encoder"]),
        "diagonals": subtraction.diagonals(model, settings.seed),
        "subtracted": subtraction.parts(model, seen).mean(0),
        "stencils": subtraction.stencils(model, seen, times),
    }
    if trained:
        asked = data.attended[50], settings.n_random, settings.seed
        found["point costs"] = sinks.point_costs(model, *asked)
        decoded = data.rotations, marked["encoder"], settings.n_decoded
        found["head costs"] = extrema.head_costs(model, *decoded)
        found["subtraction costs"] = subtraction.costs(model, data.mixed)
    return found


LITTLE = {"n_systems": 60, "n_attended": 24, "n_pairs": 12, "n_rotations": 12, "n_curves": 24}
LITTLE |= {"longest": 50, "n_random": 2, "n_decoded": 4}
main = tables.script("lenses", Settings, Data, row_of, LITTLE)


if __name__ == "__main__":
    main()
