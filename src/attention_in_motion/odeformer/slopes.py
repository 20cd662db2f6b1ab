"""What the encoder says about slopes: where its heads look, what its stream holds, its stencils.

Curves are logistic, with exact derivatives; "mixed" systems are those of the evaluation, random and
of every family, with the derivative by their own equation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attention_in_motion.measures import attention_maps as maps
from attention_in_motion.measures import grouped_probes as probes
from attention_in_motion.odeformer.inside import encoder_activations
from attention_in_motion.odeformer.language.expressions import constants_of, vector_field
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.stream import StreamConfig, evaluation_samples
from attention_in_motion.odeformer.systems.sigmoids import Sigmoids, draw_sigmoids
from attention_in_motion.odeformer.systems.trajectories import Sample
from attention_in_motion.statistics import permutation_p

KINDS = ("plain", "value-weighted", "output-weighted")
CHOSEN, SCORED = slice(0, None, 2), slice(1, None, 2)  # curves and systems that choose, and score
LAGS = 10  # a stencil reaches so many points to either side

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What is drawn, and how much of it. Raises ValueError in one line for too little.

    Probes of single points look at `points_each` points of each curve and mixed system; controls
    are `n_random` groups of heads or directions; R² is that of `n_decoded` greedy answers.
    """

    n_curves: int = 240
    n_points: int = 50
    n_systems: int = 600
    n_system_points: int = 40
    points_each: int = 8
    n_random: int = 10
    n_decoded: int = 60
    n_permutations: int = 999
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"n_curves": 12, "n_points": 8, "n_systems": 12, "n_system_points": 8}
        least |= {"points_each": 1, "n_random": 1, "n_decoded": 1, "n_permutations": 19, "seed": 0}
        for name, value in vars(self).items():
            if value < least[name]:
                raise ValueError(f"{name} = {value}: must be at least {least[name]}")


class Data:
    """Curves and systems that every model is shown, with what is to be read: one for all models."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        rng = np.random.default_rng([2, settings.seed])
        self.curves = draw_sigmoids(rng, settings.n_curves, settings.n_points)
        self.logistic = list(self.curves.samples())
        n = settings.n_system_points
        shape = {"min_points": n, "max_points": n, "family_share": 0.5, "extra_steps": 60}
        self.mixed = evaluation_samples(
            StreamConfig(**shape).clean, settings.seed, settings.n_systems
        )

    @cached_property
    def sets(self) -> dict[str, list[Sample]]:
        """The samples whose single points are probed."""
        return {"mixed": self.mixed, "logistic": self.logistic}

    def points(self, samples: Sequence[Sample]) -> NDArray:
        """The points that are probed: (points_each,), two away from either end."""
        last = len(samples[0].times) - 3
        return np.linspace(2, last, self.settings.points_each).round().astype(int)

    def systems(self, samples: Sequence[Sample]) -> NDArray:
        """Which system each probed point belongs to: (samples · points_each,)."""
        return np.repeat(np.arange(len(samples)), self.settings.points_each)

    def slopes(self, samples: Sequence[Sample]) -> NDArray:
        """asinh x_0′ at the probed points, by the system's own equation."""
        at = self.points(samples)
        return np.concatenate([np.arcsinh(slope_of(sample)[at]) for sample in samples])

    def values(self, samples: Sequence[Sample]) -> NDArray:
        """asinh x_0 at the probed points."""
        at = self.points(samples)
        return np.concatenate([np.arcsinh(sample.values[at, 0]) for sample in samples])

    def neighbours(self, samples: Sequence[Sample]) -> NDArray:
        """t, asinh x_0 and asinh of the slopes to the points ±1 and ±2: (rows, 6)."""
        return np.concatenate([differences(sample, self.points(samples)) for sample in samples])

    @cached_property
    def raw(self) -> dict[str, Any]:
        """What the same probes read without a model: the ceiling of P4.23, the rivals of P4.24."""
        local = {
            name: {
                kind: probes.held_out_score(make, self.neighbours(s), self.slopes(s), systems)
                for kind, make in (("linear", probes.linear), ("mlp", probes.mlp))
            }
            for name, s in self.sets.items()
            for systems in [self.systems(s)]
        }
        windows = {"window": self.curves.x, "log window": np.log(self.curves.x)}
        each = np.arange(len(self.logistic))
        width = {
            name: probes.held_out_score(probes.linear, x, self.log_width, each)
            for name, x in windows.items()
        }
        return {"neighbours": local, "width": width}

    @property
    def log_width(self) -> NDArray:
        """log(4/|b|) of each curve."""
        return np.log(self.curves.width)


def slope_of(sample: Sample) -> NDArray:
    """x_0′ at every point, by the sample's equation: (n_points,)."""
    constants = np.array(constants_of(sample.system))[:, None]
    constants = np.tile(constants, len(sample.times))  # (n_constants, n_points)
    return vector_field(sample.system)(sample.values.T, constants)[0]


def differences(sample: Sample, at: NDArray) -> NDArray:
    """Rows t, asinh x, asinh of divided differences to ±1 and ±2, at these points: (n, 6)."""
    t, x = sample.times, sample.values[:, 0]
    slopes = [(x[at + k] - x[at]) / (t[at + k] - t[at]) for k in (-2, -1, 1, 2)]
    return np.column_stack([t[at], np.arcsinh(x[at]), *np.arcsinh(slopes)])


# ---------------------------------------------------------------------------------------------
# What heads look at


def features(curves: Sigmoids) -> dict[str, Tensor]:
    """What column mass may go with: {name: (curve, 1, n_points)}."""
    found = {
        "slope": np.abs(curves.slope),
        "curvature": np.abs(curves.curvature),
        "distance": np.abs(curves.x - 1),
        "x": curves.x,
        "time": np.broadcast_to(curves.times, curves.x.shape),
        "growth": curves.slope / curves.x,
    }
    return {name: torch.from_numpy(values.copy())[:, None] for name, values in found.items()}


def masses(model: ODEFormer, seen: Mapping[str, Tensor], layer: int) -> dict[str, Tensor]:
    """Column mass of a layer's heads in the three kinds: {kind: (curve, head, point)}."""
    weights, values = (seen[f"attentions.{layer}.{name}"] for name in ("weights", "values"))
    W_O = model.encoder.attentions[layer].out_lin.weight
    found = (
        maps.column_mass(weights),
        maps.value_weighted(weights, values),
        maps.output_weighted(weights, values, W_O),
    )
    return {kind: mass.detach().double() for kind, mass in zip(KINDS, found, strict=True)}


def correlations(mass: Tensor, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of mass (curve, head, point) with each feature, over the points: {name: (curve, head)}."""
    found = {name: maps.correlation(mass, feature) for name, feature in given.items()}
    others = [given[name] for name in ("time", "x", "curvature", "growth")]
    beside = torch.stack(others, dim=-2)  # (curve, 1, 4, point)
    found["slope beyond"] = maps.partial_correlation(mass, given["slope"], beside)
    time = given["time"][..., None, :]
    found["x beyond time"] = maps.partial_correlation(mass, given["x"], time)
    return found


def head_scores(model: ODEFormer, data: Data, seen: Mapping[str, Tensor]) -> Row:
    """{"chosen" or "scored": {kind: {feature: (layer, head)}}}, means over half of the curves.

    "permutation p": by layer, that of the largest correlation of plain mass with |x′| among heads.
    """
    given, by_layer, p_values = features(data.curves), [], []
    for layer in range(len(model.encoder.attentions)):
        mass = masses(model, seen, layer)
        by_layer.append({kind: correlations(m, given) for kind, m in mass.items()})
        slope, options = given["slope"][:, 0], (data.settings.n_permutations, data.settings.seed)
        found, permuted = maps.permuted_maxima(mass["plain"], slope, *options)
        p_values.append(permutation_p(float(found), permuted))
    scores = {
        half: {
            kind: {
                name: torch.stack([layer[kind][name][rows].mean(0) for layer in by_layer])
                for name in by_layer[0][kind]
            }
            for kind in KINDS
        }
        for half, rows in (("chosen", CHOSEN), ("scored", SCORED))
    }
    return {**scores, "permutation p": p_values}


def best(heads: Row, feature: str, layer: int, kind: str = "plain") -> tuple[int, float]:
    """The head of a layer that half of the curves choose, and its score on the others.

    For x the size of the correlation counts. Raises ValueError for a layer that is not there.
    """
    halves = (heads[half][kind][feature] for half in ("chosen", "scored"))
    chosen, scored = (torch.as_tensor(half, dtype=torch.float64).numpy() for half in halves)
    if not 0 <= layer < len(chosen):
        raise ValueError(f"layer = {layer}: must lie in 0 ... {len(chosen) - 1}")
    return maps.best_head(chosen[layer], scored[layer], size=feature.startswith("x"))


# ---------------------------------------------------------------------------------------------
# What the stream holds


def stream_places(model: ODEFormer) -> list[str]:
    """The stream of the encoder: after the embedding, then after each layer."""
    layers = range(len(model.encoder.ffns))
    return ["layer_norm_emb.after", *(f"layer_norm2.{i}.after" for i in layers)]


def point_scores(data: Data, samples: list[Sample], streams: Mapping[str, NDArray]) -> Row:
    """Held-out R² of asinh x_0′ at single points, by place; streams {place: (rows, width)}.

    The probe with a hidden layer reads the first and the last place; "shuffled" is the last with
    labels in another order.
    """
    slopes, systems, found = data.slopes(samples), data.systems(samples), list(streams.values())
    mixed_up, score = probes.shuffled(slopes), probes.held_out_score
    return {
        "linear": linear_scores(data, samples, streams),
        "mlp": [score(probes.mlp, x, slopes, systems) for x in (found[0], found[-1])],
        "shuffled": score(probes.linear, found[-1], mixed_up, systems),
    }


def linear_scores(data: Data, samples: list[Sample], streams: Mapping[str, NDArray]) -> list[float]:
    """Held-out R² of asinh x_0′ at single points by a linear probe of each place."""
    slopes, systems = data.slopes(samples), data.systems(samples)
    return [probes.held_out_score(probes.linear, x, slopes, systems) for x in streams.values()]


def at_points(seen: Mapping[str, Tensor], places: Sequence[str], at: NDArray) -> dict[str, NDArray]:
    """The stream at some points, system by system: {place: (systems · points, width)}."""
    return {place: seen[place][:, at].flatten(0, 1).double().numpy() for place in places}


def width_scores(data: Data, seen: Mapping[str, Tensor], places: Sequence[str]) -> Row:
    """Held-out R² of the log width from the mean of the stream over points, by place."""
    pooled = [seen[place].mean(1).double().numpy() for place in places]
    each, y = np.arange(len(data.logistic)), data.log_width
    scores = [probes.held_out_score(probes.linear, x, y, each) for x in pooled]
    shuffled = probes.held_out_score(probes.linear, pooled[-1], probes.shuffled(y), each)
    return {"linear": scores, "shuffled": shuffled}


def stencils(model: ODEFormer, data: Data, seen: Mapping[str, Tensor]) -> Row:
    """What each layer adds to the readable slope of a point when a point so many later has more x.

    Σ_h (d W_O^h W_V^h e) · attention_h(lag): e is how the layer's input changes with asinh x, d the
    probe of asinh x′ on its output. "lags" in points, "by layer" (layer, lag), "odd" the odd share.
    """
    times = torch.from_numpy(data.curves.times)
    lags = torch.arange(-LAGS, LAGS + 1)
    edges = (torch.arange(-LAGS, LAGS + 2) - 0.5) * (times[1] - times[0])
    places, at = stream_places(model), data.points(data.logistic)
    streams = at_points(seen, places, at)
    found = []
    for layer, attention in enumerate(model.encoder.attentions):
        before, after = streams[places[layer]], streams[places[layer + 1]]
        read = encoding_direction(before, data.values(data.logistic))
        probe = probes.fitted(
            probes.linear(), after, data.slopes(data.logistic), data.systems(data.logistic)
        )
        weights = (attention.v_lin.weight, attention.out_lin.weight)
        W_V, W_O = (weight.detach().double() for weight in weights)
        directions = (torch.from_numpy(d) for d in (read, probes.direction(probe)))
        gain = maps.gains(W_V, W_O, attention.n_heads, *directions)
        lagged = maps.by_lag(seen[f"attentions.{layer}.weights"].double(), times, edges)
        found.append(maps.stencil(lagged, gain))
    odd = [maps.odd_share(one) for one in found]
    return {"lags": lags, "by layer": torch.stack(found), "odd": odd}


def encoding_direction(x: NDArray, y: NDArray) -> NDArray:
    """How activations change with y: Cov(x, y)/Var(y), x (n, d) and y (n,) → (d,)."""
    centred = y - y.mean()
    return centred @ (x - x.mean(0)) / (centred @ centred)


def readings(model: ODEFormer, data: Data) -> tuple[Row, dict[str, dict[str, Tensor]]]:
    """What heads look at and what the stream holds, and the activations it was read from."""
    places = stream_places(model)
    mixed = encoder_activations(model, data.mixed)
    seen = {"mixed": {place: mixed[place] for place in places}}  # its maps would fill the memory
    del mixed
    seen["logistic"] = encoder_activations(model, data.logistic)
    local = {
        name: point_scores(data, s, at_points(seen[name], places, data.points(s)))
        for name, s in data.sets.items()
    }
    row = {
        "heads": head_scores(model, data, seen["logistic"]),
        "points": local,
        "width": width_scores(data, seen["logistic"], places),
        "stencils": stencils(model, data, seen["logistic"]),
    }
    return row, seen
