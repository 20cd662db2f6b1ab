"""Heads that mark minima and maxima, what they are worth, and in which layer features lie.

Extrema are those of rotations x = a cos(ω t + φ), y = c sin(ω t + φ), whose two coordinates have
them at different times. What is best is chosen on even systems and scored on odd ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attention_in_motion.measures import attention_maps as maps
from attention_in_motion.measures.patching import Change, heads_at_mean, mean_of
from attention_in_motion.models.activations import record
from attention_in_motion.odeformer.inside import Trial, as_batch, encoder_activations
from attention_in_motion.odeformer.network.model import ODEFormer, within
from attention_in_motion.odeformer.sinks import attended
from attention_in_motion.odeformer.slopes import CHOSEN, SCORED, correlations, features, masses
from attention_in_motion.odeformer.systems.sigmoids import Sigmoids, times
from attention_in_motion.odeformer.systems.trajectories import Sample, rescale
from attention_in_motion.odeformer.tables import Row

FREQUENCIES = (0.7, 1.4)  # a quarter of a period is 6 to 11 points of 50
AMPLITUDES = (0.8, 2.0)
LEAST_START = 0.2  # |cos φ| and |sin φ| at the first point, by which the scaler divides
BESIDE = 1  # points to either side of an extremum that count as near
GROUP = 4  # heads of P4.32
MARKED = ("encoder", "decoder", "separate")  # where extrema are marked

Halves = dict[str, Tensor]


def rotations(rng: np.random.Generator, n: int, n_points: int) -> list[Sample]:
    """n rotations x' = −(a ω/c) y, y' = (c ω/a) x in the scaled convention."""
    t, found = times(n_points), []
    while len(found) < n:
        omega, phase = rng.uniform(*FREQUENCIES), rng.uniform(0, 2 * np.pi)
        a, c = rng.uniform(*AMPLITUDES, 2)
        angle = omega * (t - 1) + phase
        if min(abs(np.cos(phase)), abs(np.sin(phase))) < LEAST_START:
            continue
        x = np.column_stack([a * np.cos(angle), c * np.sin(angle)])
        system = [["mul", -a * omega / c, "x_1"], ["mul", c * omega / a, "x_0"]]
        found.append(rescale(Sample(system, t, x, "rotation")))
    return found


def near_extrema(x: NDArray, beside: int = BESIDE) -> NDArray:
    """1 at interior minima and maxima of x (n,) and at the points beside them, else 0.

    Raises ValueError for fewer than three points.
    """
    if len(x) < 3:
        raise ValueError(f"points = {len(x)}: must be at least 3 to have an extremum")
    steps = np.sign(np.diff(x))
    turns = np.flatnonzero(steps[1:] * steps[:-1] < 0) + 1
    marked = np.abs(np.arange(len(x))[:, None] - turns) <= beside  # (n, turns)
    return marked.any(axis=1).astype(float)


def marks(samples: Sequence[Sample]) -> Tensor:
    """`near_extrema` of both coordinates: (system, 2, point)."""
    rows = [[near_extrema(x) for x in sample.values.T] for sample in samples]
    return torch.from_numpy(np.array(rows))


def by_halves(of: Tensor) -> Halves:
    """Means over the even and over the odd systems: (system, …) → {"chosen", "scored"}."""
    return {"chosen": of[CHOSEN].mean(0), "scored": of[SCORED].mean(0)}


def best_by_layer(heads: Mapping[str, Tensor], size: bool = False) -> list[float]:
    """The score of each layer's best head; see `attention_maps.best_head`."""
    halves = (np.asarray(heads[half]) for half in ("chosen", "scored"))
    return [maps.best_head(*pair, size=size)[1] for pair in zip(*halves, strict=True)]


# ---------------------------------------------------------------------------------------------
# Where extrema are marked


@torch.no_grad()
def extrema_scores(model: ODEFormer, samples: Sequence[Sample]) -> Row:
    """Correlation of attention with nearness to an extremum, by head: {…: {half: (layer, head)}}.

    "encoder": column mass, extrema of either coordinate; "decoder": cross-attention, mean over
    words; "separate": of the words of one equation, extrema of its coordinate less those of the
    other. "avoids": 1 − n times the attention to the most attended point, of the decoder's heads.
    """
    both, n = marks(samples), len(samples[0].times)
    either = both.amax(1)[:, None]  # (system, 1, point)
    seen = encoder_activations(model, samples)
    layers = range(len(model.encoder.attentions))
    encoder = [maps.column_mass(seen[f"attentions.{i}.weights"]).double() for i in layers]
    own = separate_mass(model, samples)  # (equation, system, layer, head, point)
    contrast = (both - both.flip(1)).transpose(0, 1)[:, :, None, None]
    cross = attended(model, samples)
    at = cross.most[:, None, None, None].expand(*cross.plain.shape[:3], 1)
    avoids = 1 - n * cross.plain.double().gather(-1, at)[..., 0]
    return {
        "encoder": by_halves(torch.stack([maps.correlation(m, either) for m in encoder], 1)),
        "decoder": by_halves(maps.correlation(cross.plain.double(), either[:, None])),
        "separate": by_halves(maps.correlation(own, contrast).mean(0)),
        "avoids": by_halves(avoids),
    }


def separate_mass(model: ODEFormer, samples: Sequence[Sample]) -> Tensor:
    """Cross-attention, mean over the words of each equation: (2, system, layer, head, point)."""
    batch, bar = as_batch(model, samples), model.config.vocabulary.ids["|"]
    tokens, n_tokens = batch["tokens"][:, :-1], batch["n_tokens"] - 1
    memory = model.encode(batch["points"], batch["n_points"])
    seen = record(model.decoder, tokens, n_tokens, memory, batch["n_points"])
    second = (tokens == bar).cumsum(1) > 0  # (system, word): | and what follows it is read
    real = within(n_tokens, tokens.shape[1])
    words = torch.stack([real & ~second, real & second]).double()
    words /= words.sum(-1, keepdim=True)
    layers = range(len(model.decoder.encoder_attn))
    weights = [seen[f"encoder_attn.{i}.weights"].double() for i in layers]
    return torch.stack([torch.einsum("shwp,esw->eshp", w, words) for w in weights], 2)


def avoidance(scores: Mapping[str, Halves]) -> float:
    """Of the four decoder heads that mark extrema best, the score of the most avoiding one."""
    chosen = torch.as_tensor(scores["decoder"]["chosen"]).flatten()
    group = chosen.topk(min(GROUP, len(chosen))).indices
    halves = (torch.as_tensor(scores["avoids"][half]) for half in ("chosen", "scored"))
    return maps.best_head(*(half.flatten()[group].numpy() for half in halves))[1]


def head_costs(model: ODEFormer, samples: Sequence[Sample], heads: Halves, n_decoded: int) -> Row:
    """Nats a token lost without each head of encoder layer 0, on the odd systems, and R².

    "best" is the head that marks extrema best; "r2" is that of greedy answers with all heads,
    without the best, and without the head before it in number.
    """
    mean = mean_of(encoder_activations(model, samples[CHOSEN])["attentions.0.heads"])
    trial = Trial(model, samples[SCORED], n_decoded)
    best = int(heads["chosen"][0].argmax())

    def without(head: int) -> dict[str, Change]:
        return {"encoder.attentions.0.heads": heads_at_mean([head], mean)}

    count = len(mean)
    return {
        "best": best,
        "heads": [trial.cost(without(head)) for head in range(count)],
        "r2": trial.r2,
        "r2 without": [trial.r2_with(without(h)) for h in (best, (best - 1) % count)],
    }


# ---------------------------------------------------------------------------------------------
# In which layer features lie


def feature_layers(
    model: ODEFormer, curves: Sigmoids, seen: Mapping[str, Tensor], extrema: Halves
) -> Row:
    """The best head's score by encoder layer: "x" beyond time, "slope" (logistic), "extrema".

    seen are the encoder's activations of the curves.
    """
    given, rows = features(curves), {"x beyond time": [], "slope": []}
    for i in range(len(model.encoder.attentions)):
        found = correlations(masses(model, seen, i)["plain"], given)
        for name, by_head in rows.items():
            by_head.append(found[name])  # (curve, head)
    halves = {name: by_halves(torch.stack(by_head, 1)) for name, by_head in rows.items()}
    return {
        "x": best_by_layer(halves["x beyond time"], size=True),
        "slope": best_by_layer(halves["slope"]),
        "extrema": best_by_layer(extrema),
    }
