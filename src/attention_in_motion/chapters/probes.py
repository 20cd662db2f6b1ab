"""Chapter 5, second section: what is linearly readable where.

Replicates, null, splits and tests are those of `derivative`. Probes are linear, fitted on other
systems than they are scored on, at one fixed place per claim: layers are counted as in the post,
0 to 3 in the encoder and 4 to 15 in the decoder, whose stream is read where it chooses the word
that is named: the first, or the one after the last. Where the raw trajectory has a probe of its
own, it reads the points as they are and their logarithm, whichever is better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_in_motion.chapters.page import claim, rules
from attention_in_motion.chapters.twins import Scored, needed_direction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_in_motion.odeformer.systems.trajectories import Sample

PAGE = "05_odeformer/probes"


class Parameters(Scored):
    """What the page may be given."""

    page = PAGE


RULES = rules(
    PAGE,
    claim(
        "P4.3",
        "a linear probe reads the time of maximum slope from the encoder",
        "held-out R² at the encoder's end, mean over points, logistic curves",
        at_least=0.9,
        seeds=False,
    ),
    claim(
        "P4.3m",
        "... and so it does from ours",
        "held-out R² of the time of maximum slope at the encoder's end, mean over points",
        at_least=0.9,
        tested=True,
    ),
    claim(
        "P4.3b",
        "... better than from the trajectory itself",
        "that R² less that of the same probe on the raw trajectory",
        at_least=0.02,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.3c",
        "... and the decoder uses what the probe reads",
        "nats a token lost without the probe's direction at the encoder's end, less those lost "
        "without one of shuffled labels",
        at_least=0.01,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.4",
        "the value of the maximum slope cannot be read",
        "largest difference between what the model reads of two curves whose slopes differ 32-fold",
        at_most=1e-12,
        source="rounding",
        seeds=False,
    ),
    claim(
        "P4.4b",
        "... a part of it can, for it varies with the steepness, which is there to be read",
        "R² of the slope a b/4 by its mean at each steepness b, the post's grid of 800 curves",
        at_least=0.42,
        at_most=0.44,
        kind="ours",
        source="exact",
        seeds=False,
    ),
    claim(
        "P4.4c",
        "... the slope of the scaled curve can be read",
        "held-out R² of the log of the scaled maximum slope at the encoder's end",
        at_least=0.9,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.5",
        "the R² of the equation is not clearly linearly encoded",
        "held-out R² of log(1 − R²) of the greedy answer at layer 7, last word",
        at_most=0.5,
        seeds=False,
    ),
    claim(
        "P4.5m",
        "... nor is it in ours",
        "held-out R² of log(1 − R²) of the greedy answer at layer 7, last word",
        at_most=0.5,
    ),
    claim(
        "P4.5b",
        "... layer 7 reads it best",
        "share of models whose best decoder layer, on other systems, is layer 7",
        at_least=0.5,
        seeds=False,
    ),
    claim(
        "P4.5c",
        "... the model knows more of it than its own probability says",
        "the R² of layer 7 less that of the answer's log-probability and length",
        at_least=0.05,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.6",
        "exponential or hyperbolic is read almost perfectly in the decoder",
        "held-out share right at layer 15, first word",
        at_least=0.95,
        seeds=False,
    ),
    claim(
        "P4.6m",
        "... and so it is in ours",
        "held-out share right at layer 15, first word; balanced, matched in sign and range",
        at_least=0.95,
        tested=True,
    ),
    claim(
        "P4.6b",
        "... the encoder adds to it",
        "share right at the encoder's end less that at the embedding, means over points",
        at_least=0.05,
        tested=True,
    ),
    claim(
        "P4.6c",
        "... more than the raw trajectory says",
        "share right at the encoder's end less that of the same probe on the raw trajectory",
        at_least=0.02,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.7",
        "one dimension or two is read fairly well in the decoder",
        "held-out share right at layer 15, first word",
        at_least=0.9,
        seeds=False,
    ),
    claim(
        "P4.7m",
        "... and so it is in ours",
        "held-out share right at layer 15, first word",
        at_least=0.9,
        tested=True,
    ),
    claim(
        "P4.7b",
        "... after a dip in the first three decoder layers",
        "share right, mean of layers 7 to 15, less the mean of layers 4 to 6",
        at_least=0.02,
        tested=True,
    ),
    claim(
        "P4.9",
        "eigenvalues are read worse than the coefficients of a linear system",
        "mean R² of the four coefficients less that of the sorted eigenvalues, encoder's end",
        at_least=0.05,
        seeds=False,
    ),
    claim(
        "P4.9m",
        "... and so they are in ours",
        "mean R² of the four coefficients less that of the sorted eigenvalues' parts, each target "
        "made normal by its ranks, encoder's end, accurate systems",
        at_least=0.05,
        tested=True,
    ),
    claim(
        "P4.9b",
        "... eigenvalues are read as trace and discriminant are, which they are made of",
        "mean R² of trace and discriminant less that of the eigenvalues' parts, same targets",
        at_least=-0.05,
        at_most=0.05,
        kind="ours",
    ),
    claim(
        "P4.29",
        "the + comes first because training numbers are mostly positive",
        "share of positive constants in the targets of training",
        at_least=0.6,
        seeds=False,
    ),
    claim(
        "P4.29b",
        "... a model that must guess says +",
        "mean probability of + at the first sign of an answer, over that of both signs, "
        "encoder's output at its mean",
        at_least=0.6,
        kind="ours",
    ),
)


def runs(p: Parameters) -> dict[str, object]:
    """Nothing is trained here: `odeformer.weights` says which file a model's name means."""
    return {}


MISSING = "the released file; with it, “run probes -p model official” answers"
ENCODER = 4  # layers; the decoder's follow
LAYER = 7  # of the post, through both
DIPPING = 3  # decoder layers in which the post sees a dip

# What is known of the post's own curves by layer, from the outputs of its published notebooks; its
# systems and splits are not ours. None where there is nothing.
THE_POSTS = {
    "exponential": (
        *(0.925, 0.940, 0.985, 0.993, 1.0, 1.0, 1.0, 0.993),
        *(1.0, 1.0, 1.0, 0.993, 0.993, 1.0, 0.978, 1.0),
    ),
    "dimension": (
        *(None, None, None, None, 0.854, 0.825, 0.775, 0.817),
        *(0.900, 0.979, 0.979, 0.975, 0.988, 0.942, 0.917, 0.933),
    ),
    "errors": (
        *(None, None, None, None, 0.128, 0.344, 0.429, 0.746),
        *(0.532, 0.231, 0.332, 0.046, 0.025, 0.294, 0.120, 0.143),
    ),
}


def reading(row: dict, raw: dict) -> dict[str, float]:
    """What one model, trained or not, has for the claims that are read off it: {id: score}.

    An untrained model answers nothing, so its linear systems are all of them.
    """
    exponential, dimension = (row[name]["by layer"] for name in ("exponential", "dimension"))
    early = dimension[ENCODER : ENCODER + DIPPING]
    late = dimension[ENCODER + DIPPING :]
    linear = row["linear"].get("accurate", row["linear"]["all"])
    return {
        "P4.3m": row["curves"]["time"][-1],
        "P4.4c": row["curves"]["log slope"][-1],
        "P4.6m": exponential[-1],
        "P4.6b": exponential[ENCODER - 1] - row["exponential"]["embedding"],
        "P4.7m": dimension[-1],
        "P4.7b": sum(late) / len(late) - sum(early) / len(early),
        "P4.9m": linear["coefficients"] - linear["eigenvalues"],
    }


def differences(row: dict, raw: dict) -> dict[str, float]:
    """What one trained model has for the claims that compare within it: {id: difference}."""
    errors, encoded = row["errors"], row["exponential"]["by layer"][ENCODER - 1]
    return {
        "P4.3b": row["curves"]["time"][-1] - raw["time"],
        "P4.3c": needed_direction(row["time costs"]),
        "P4.5c": errors["r2"][LAYER] - errors["own"],
        "P4.6c": encoded - raw["exponential"],
    }


def untested(row: dict) -> dict[str, float]:
    """What one trained model has for the claims without a null: {id: score}."""
    linear = row["linear"]["accurate"]
    made_of = (linear["trace"] + linear["discriminant"]) / 2
    return {
        "P4.5m": row["errors"]["r2"][LAYER],
        "P4.9b": made_of - linear["eigenvalues"],
        "P4.29b": row["plus"],
    }


def best_decoder_layer(row: dict) -> int:
    """The layer, counted through, whose decoder stream reads the error best."""
    decoder = row["errors"]["r2"][ENCODER:]
    return ENCODER + decoder.index(max(decoder))


def by_layer(rows: dict[str, dict], *path: str) -> list[list[float]]:
    """The list at a path of each row: one list a model."""
    found = []
    for row in rows.values():
        for name in path:
            row = row[name]
        found.append(row)
    return found


def the_posts(name: str, n_layers: int) -> list[float]:
    """The post's curve over as many layers: NaN where nothing is known."""
    return [float("nan") if v is None else v for v in THE_POSTS[name][:n_layers]]


def seen_of(amplitude: float, steepness: float, times: NDArray) -> NDArray:
    """What a model reads of the post's logistic curve of this amplitude, centred at 5.5: (n, 1)."""
    import numpy as np

    from attention_in_motion.odeformer.systems.scale import Scale

    x = amplitude / (1 + np.exp(steepness * (5.5 - times)))[:, None]
    return Scale.of(times, x).apply(times, x)[1]


def explained_by_steepness() -> float:
    """Var(E[a b/4 | b])/Var(a b/4) on the post's grid: a = 1 … 32, 25 values of b in [0.04, 1]."""
    import numpy as np

    slopes = np.arange(1, 33)[:, None] * np.linspace(0.04, 1, 25) / 4  # (a, b)
    return float(slopes.mean(axis=0).var() / slopes.var())


def positive_constants(samples: list[Sample]) -> tuple[int, int]:
    """How many constants of the samples' targets are positive, and how many there are."""
    from attention_in_motion.odeformer.language.expressions import constants_of

    constants = [c for sample in samples for c in constants_of(sample.system)]
    return sum(c > 0 for c in constants), len(constants)
