"""What is linearly readable where: scores of each model into one table.

    python -m attention_in_motion.odeformer.probes twin-0 twin-1 … --out TABLE.json

One row per model, trained or not, as in `derivative`. Layers are counted through: 0 … of the
encoder, then the decoder's. The encoder's stream is a mean over points; the decoder's is read where
it chooses the first word, or the one after the last. P4.9 takes accurate systems alone, and those
are known for trained models only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from attention_in_motion.measures import grouped_probes as probes
from attention_in_motion.measures.patching import all_at_mean, mean_of, patched
from attention_in_motion.models.activations import record
from attention_in_motion.odeformer import tables
from attention_in_motion.odeformer.derivative import direction_costs
from attention_in_motion.odeformer.inside import as_batch, encode, encoder_activations
from attention_in_motion.odeformer.language.expressions import constants_of
from attention_in_motion.odeformer.network.decode import Decoded, generate, likeliest
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.recognise import distinct, rank
from attention_in_motion.odeformer.slopes import stream_places
from attention_in_motion.odeformer.stream import (
    EVALUATION,
    StreamConfig,
    evaluation_samples,
    family_samples,
    random_samples,
    twin_mixture,
)
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST, Scale
from attention_in_motion.odeformer.systems.sigmoids import draw_sigmoids, times
from attention_in_motion.odeformer.systems.trajectories import Sample
from attention_in_motion.odeformer.tables import Row

MOST_WORDS = 64  # of an answer
WORST, BEST = 2.0, -12.0  # log(1 − R²) is cut there
ACCURATE = 0.9  # R² of a linear system that counts


@dataclass(frozen=True)
class Settings:
    """How much is drawn: curves, pairs, mixed, unseen random and linear systems; controls, answers.

    Raises ValueError in one line for too little.
    """

    n_curves: int = 240
    n_pairs: int = 200
    n_systems: int = 600
    n_unseen: int = 600
    n_linear: int = 13_000
    n_points: int = 40
    n_random: int = 10
    n_decoded: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"n_points": 8, "n_random": 1, "n_decoded": 1, "seed": 0}
        for name, value in vars(self).items():
            if value < least.get(name, 12):
                raise ValueError(f"{name} = {value}: must be at least {least.get(name, 12)}")

    @property
    def config(self) -> StreamConfig:
        """The twin's stream with one number of points and no corruption."""
        return twin_mixture(self.n_points)


class Data:
    """What every model is shown, and what is to be read of it."""

    def __init__(self, settings: Settings) -> None:
        self.settings, seed = settings, settings.seed
        rng = np.random.default_rng([3, seed])
        self.curves = draw_sigmoids(rng, settings.n_curves, settings.n_points)
        self.logistic = list(self.curves.samples())
        self.pairs = matched_pairs(rng, settings.n_pairs, settings.n_points)
        self.mixed = evaluation_samples(settings.config, seed, settings.n_systems)
        draws = random_samples(settings.config, np.random.default_rng([4, seed]), 1, unseen=True)
        self.unseen = [next(draws) for _ in range(settings.n_unseen)]

    @cached_property
    def linear(self) -> list[Sample]:
        """Linear systems in two dimensions, entries U[−2, 2] before the scaler."""
        rng = np.random.default_rng([EVALUATION, self.settings.seed, 1])
        draws = family_samples(self.settings.config, rng, "linear")
        return [next(draws) for _ in range(self.settings.n_linear)]

    @property
    def steepest(self) -> NDArray:
        """Where the slope is largest, within the times that are seen: (curve,)."""
        return np.clip(self.curves.middle, T_FIRST, T_LAST)

    @property
    def log_slope(self) -> NDArray:
        """log of the largest |x′| that is seen of the scaled curve: (curve,)."""
        return np.log(np.abs(self.curves.slope).max(axis=1))

    @cached_property
    def raw(self) -> Row:
        """What the same probes read of the trajectory itself, the better of two forms."""
        curves = self.curves.x
        pairs = np.array([sample.values[:, 0] for sample in self.pairs])
        return {
            "time": best_of_forms(probes.linear, curves, self.steepest, rows(curves)),
            "log slope": best_of_forms(probes.linear, curves, self.log_slope, rows(curves)),
            "exponential": best_of_forms(
                probes.logistic, pairs, kinds(self.pairs), pair_systems(self.pairs)
            ),
        }


def rows(x: Sequence) -> NDArray:
    """Every row a system of its own."""
    return np.arange(len(x))


def best_of_forms(make, x: NDArray, y: NDArray, systems: NDArray) -> float:
    """The better held-out score of a probe of positive x (n, points) and of their logarithm."""
    return max(probes.held_out_score(make, form, y, systems) for form in (x, np.log(x)))


def matched_pairs(rng: np.random.Generator, n: int, n_points: int) -> list[Sample]:
    """n exponentials and n hyperbolas by turns, each two with the same last value, from x(1) = 1.

    e^(k (t − 1)) and 1/(1 − q (t − 1)); the last value is log-uniform, in [1.5, 50] or, for one in
    two, in [0.04, 0.7].
    """
    t, found = times(n_points), []
    growing = np.exp(rng.uniform(math.log(1.5), math.log(50), n))
    falling = np.exp(rng.uniform(math.log(0.04), math.log(0.7), n))
    span = T_LAST - T_FIRST
    for last in np.where(np.arange(n) % 2, growing, falling).tolist():
        k, q = math.log(last) / span, (1 - 1 / last) / span
        exponential = np.exp(k * (t - T_FIRST))[:, None]
        hyperbola = 1 / (1 - q * (t - T_FIRST))[:, None]
        found.append(Sample([["mul", k, "x_0"]], t, exponential, "exponential"))
        found.append(Sample([["mul", q, "pow", "x_0", 2]], t, hyperbola, "hyperbolic"))
    return found


def kinds(samples: Sequence[Sample]) -> NDArray:
    """1 for the exponentials: (n,)."""
    return np.array([int(sample.source == "exponential") for sample in samples])


def pair_systems(samples: Sequence[Sample]) -> NDArray:
    """The two of a pair belong together, so that a last value never stands on both sides."""
    return np.arange(len(samples)) // 2


def dimensions(samples: Sequence[Sample]) -> NDArray:
    """1 or 2: (n,)."""
    return np.array([sample.values.shape[1] for sample in samples])


# ---------------------------------------------------------------------------------------------
# Streams


def pooled(model: ODEFormer, samples: Sequence[Sample]) -> list[NDArray]:
    """The encoder's stream, mean over points: after the embedding, then by layer (n, width)."""
    parts = [pooled_at_once(model, samples[i : i + 200]) for i in range(0, len(samples), 200)]
    return [np.concatenate(layer) for layer in zip(*parts, strict=True)]


@torch.no_grad()
def pooled_at_once(model: ODEFormer, samples: Sequence[Sample]) -> list[NDArray]:
    """`pooled` in one pass, which keeps all that the encoder computes of every sample."""
    seen = encoder_activations(model, samples)
    return [seen[place].mean(1).double().numpy() for place in stream_places(model)]


@torch.no_grad()
def chosen_at(
    model: ODEFormer, samples: Sequence[Sample], written: list[list[int]]
) -> list[NDArray]:
    """The decoder's stream where it chooses the word after those written: by layer (n, width).

    Each sample has its own words; samples with equally many share a pass.
    """
    layers, width = len(model.decoder.ffns), model.config.decoder_width
    found = np.zeros((layers, len(samples), width))
    points, n_points = encode(model, samples)
    lengths = np.array([len(words) for words in written])
    for length in np.unique(lengths):
        at = np.flatnonzero(lengths == length)
        tokens = torch.tensor([[model.config.vocabulary.eos, *written[i]] for i in at])
        memory = model.encode(points[at], n_points[at])
        n_tokens = torch.full((len(at),), int(length) + 1)
        seen = record(model.decoder, tokens, n_tokens, memory, n_points[at])
        for i in range(layers):
            found[i, at] = seen[f"layer_norm2.{i}.after"][:, -1].double().numpy()
    return list(found)


def through(model: ODEFormer, samples: Sequence[Sample]) -> list[NDArray]:
    """Encoder layers, then the decoder's at the first word: by layer, counted through."""
    first = [[] for _ in samples]
    return pooled(model, samples)[1:] + chosen_at(model, samples, first)


# ---------------------------------------------------------------------------------------------
# Scores


def curve_scores(model: ODEFormer, data: Data) -> Row:
    """Held-out R² of the time and of the log of the largest slope: embedding, then by layer."""
    streams, each = pooled(model, data.logistic), rows(data.logistic)

    def by_place(y: NDArray) -> list[float]:
        return [probes.held_out_score(probes.linear, x, y, each) for x in streams]

    shuffled = probes.shuffled(data.steepest)
    return {
        "time": by_place(data.steepest),
        "log slope": by_place(data.log_slope),
        "shuffled": probes.held_out_score(probes.linear, streams[-1], shuffled, each),
    }


def class_scores(model: ODEFormer, samples: list[Sample], y: NDArray, systems: NDArray) -> Row:
    """Held-out share right of two classes, by layer counted through; "embedding" beside it."""
    layers = through(model, samples)
    score = partial(probes.held_out_score, probes.logistic)
    return {
        "embedding": score(pooled(model, samples)[0], y, systems),
        "by layer": [score(x, y, systems) for x in layers],
        "shuffled": score(layers[-1], probes.shuffled(y), systems),
    }


def answers(model: ODEFormer, samples: Sequence[Sample], at_once: int = 200) -> list[Decoded]:
    """The greedy answer to each sample."""
    found: list[Decoded] = []
    for i in range(0, len(samples), at_once):
        inputs = encode(model, samples[i : i + at_once])
        found += (d for [d] in generate(model, *inputs, 1, likeliest, MOST_WORDS))
    return found


def r2_of(model: ODEFormer, samples: Sequence[Sample], written: Sequence[Decoded]) -> NDArray:
    """R² of each answer on its own trajectory: (n,); −∞ where it says nothing readable."""
    found = np.full(len(samples), -np.inf)
    for i, (sample, answer) in enumerate(zip(samples, written, strict=True)):
        scale = Scale.of(sample.times, sample.values)
        ended = [answer] if len(answer.tokens) < MOST_WORDS else []
        systems = distinct(model.config.vocabulary, ended, sample.values.shape[1], scale)
        for candidate in rank(systems, sample.times, sample.values):
            found[i] = -np.inf if math.isnan(candidate.r2) else candidate.r2
    return found


def log_error(r2: NDArray) -> NDArray:
    """log(1 − R²), between −12 and 2."""
    return np.log(np.clip(1 - r2, math.exp(BEST), math.exp(WORST)))


def error_scores(model: ODEFormer, data: Data) -> Row:
    """Held-out R² and Spearman of log(1 − R²) of the row's own greedy answer, by layer.

    Encoder layers by their mean over points, decoder layers after the last word; "own" is the same
    probe of the answer's log-probability, in all and a word, and length. Answers that do not end or
    cannot be read are left out; "kept" is the share of the others.
    """
    written = answers(model, data.unseen)
    r2 = r2_of(model, data.unseen, written)
    kept = np.flatnonzero(np.isfinite(r2))
    if len(kept) < 2 * probes.FOLDS:
        return {"kept": len(kept) / len(r2)}
    samples, texts = [data.unseen[i] for i in kept], [written[i] for i in kept]
    y, each = log_error(r2[kept]), rows(kept)
    layers = pooled(model, samples)[1:] + chosen_at(model, samples, [d.tokens for d in texts])
    said = [probes.held_out(probes.linear, x, y, each) for x in layers]
    own = np.array([[d.log_probability, len(d.tokens)] for d in texts])
    own = np.column_stack([own, own[:, 0] / (own[:, 1] + 1)])
    return {
        "kept": len(kept) / len(r2),
        "r2": [probes.score(y, one) for one in said],
        "spearman": [float(stats.spearmanr(y, one).statistic) for one in said],
        "own": probes.held_out_score(probes.linear, own, y, each),
    }


def linear_targets(samples: Sequence[Sample]) -> dict[str, NDArray]:
    """Coefficients, sorted eigenvalues' parts, trace, determinant and discriminant: (n, k) each.

    Of the scaled system x′ = A x. Eigenvalues are sorted by real, then by imaginary part; the
    imaginary parts are opposite, so one of them is given.
    """
    A = np.array([constants_of(sample.system) for sample in samples]).reshape(-1, 2, 2)
    values = np.sort_complex(np.linalg.eigvals(A).astype(complex))  # (n, 2)
    trace, determinant = np.trace(A, axis1=1, axis2=2), np.linalg.det(A)
    return {
        "coefficients": A.reshape(-1, 4),
        "eigenvalues": np.column_stack([values.real, values.imag[:, 1]]),
        "trace": trace[:, None],
        "determinant": determinant[:, None],
        "discriminant": (trace**2 - 4 * determinant)[:, None],
    }


def normal(y: NDArray) -> NDArray:
    """A target (n,) with a normal distribution in the order of its own: all have one entropy."""
    return stats.norm.ppf((stats.rankdata(y) - 0.5) / len(y))


def linear_scores(model: ODEFormer, data: Data, accurate: bool) -> Row:
    """Held-out R² of what linear systems are made of, at the encoder's end, over all and accurate.

    Each number is made normal by its ranks; a kind's score is the mean over its numbers.
    """
    samples = [s for s in data.linear if len(constants_of(s.system)) == 4]
    x = pooled(model, samples)[-1]
    chosen = {"all": np.arange(len(samples))}
    if accurate:
        r2 = r2_of(model, samples, answers(model, samples))
        chosen["accurate"] = np.flatnonzero(r2 >= ACCURATE)
    found: Row = {}
    for name, at in chosen.items():
        found[name] = {"n": len(at)}
        if len(at) >= 2 * probes.FOLDS:
            targets = linear_targets([samples[i] for i in at])
            found[name] |= {kind: mean_score(x[at], y) for kind, y in targets.items()}
    return found


def mean_score(x: NDArray, y: NDArray) -> float:
    """Mean held-out R² over the columns of y (n, k)."""
    columns = (normal(column) for column in y.T)
    return float(np.mean([probes.held_out_score(probes.linear, x, c, rows(x)) for c in columns]))


@torch.no_grad()
def plus_when_guessing(model: ODEFormer, data: Data) -> float:
    """p(+)/(p(+) + p(−)) at the first sign of the right answer, the encoder's end at its mean."""
    batch, vocabulary = as_batch(model, data.mixed), model.config.vocabulary
    place = stream_places(model)[-1]
    mean = mean_of(encoder_activations(model, data.mixed)[place])
    with patched(model, {f"encoder.{place}": all_at_mean(mean)}):
        tokens, n_tokens = batch["tokens"], batch["n_tokens"] - 1
        logits = model(batch["points"], batch["n_points"], tokens[:, :-1], n_tokens)
    signs = torch.tensor([vocabulary.ids["+"], vocabulary.ids["-"]])
    is_sign = (tokens[:, 1:, None] == signs).any(-1)  # (systems, length)
    which = is_sign.any(1).nonzero()[:, 0]
    first = is_sign[which].int().argmax(1)
    return float(logits[which, first][:, signs].softmax(-1)[:, 0].mean())


def row_of(data: Data, model: ODEFormer, trained: bool) -> Row:
    """All scores of one model; answers are asked of a trained one alone."""
    mixed, pairs = data.mixed, data.pairs
    found: dict[str, Any] = {
        "curves": curve_scores(model, data),
        "exponential": class_scores(model, pairs, kinds(pairs), pair_systems(pairs)),
        "dimension": class_scores(model, mixed, dimensions(mixed), rows(mixed)),
        "linear": linear_scores(model, data, accurate=trained),
    }
    if trained:
        end = encoder_activations(model, data.logistic)[stream_places(model)[-1]]
        x = end.mean(1).double().numpy()
        costs = direction_costs(model, data.logistic, end, x, data.steepest, data)
        found |= {"errors": error_scores(model, data), "time costs": costs}
        found["plus"] = plus_when_guessing(model, data)
    return found


LITTLE = {"n_curves": 48, "n_pairs": 24, "n_systems": 60, "n_unseen": 60, "n_linear": 60}
LITTLE |= {"n_random": 2, "n_decoded": 8}
main = tables.script("probes", Settings, Data, row_of, LITTLE)


if __name__ == "__main__":
    main()
