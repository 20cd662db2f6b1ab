"""Chapter 5, first section: does the encoder look for slopes, and does it hold the derivative?

What is measured, on whom and where, was fixed before any of the models measured was loaded.

- Replicates are the six seeds of the twin; the null are at least twenty networks at step 0 of its
  training, whose scores are found by the same steps. Heads are not aligned over seeds, so a score
  is that of the best head of a layer, in the null as well.
- Curves are logistic, half of them falling and half rising, inside the range of training. Heads
  are chosen on the even curves and scored on the odd ones; probes are fitted, and their penalties
  chosen, on other systems than they are scored on.
- A tested claim has one p-value; Holm's correction runs over those of the page. Readings are tested
  by the rank sum of the seeds against the null, one-sided; differences within a model (the claims
  with c, and P4.24b) by Student's t over the seeds, one-sided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_in_motion.chapters.page import claim, rules
from attention_in_motion.chapters.twins import (
    Scored,
    needed_direction,
    over_models,
    seeds,
    share_of_the_way,
    untrained,
)

if TYPE_CHECKING:
    from torch import Tensor

    from attention_in_motion.odeformer.network.model import ODEFormer
    from attention_in_motion.odeformer.slopes import Data

PAGE = "05_odeformer/derivative"


class Parameters(Scored):
    """What the page may be given."""

    page = PAGE


SLOPE_LAYER, SLOPE_HEAD = 2, 7  # the post's derivative head
TRACE_LAYER, TRACE_HEAD = 0, 8  # the post's head that traces the trajectory

RULES = rules(
    PAGE,
    claim(
        "P4.1",
        "encoder head 7 of layer 2 attends to the region of high slope",
        "correlation of its column mass with |x′| over a logistic curve, mean over curves",
        at_least=0.5,
        seeds=False,
    ),
    claim(
        "P4.1m",
        "... so does a head of layer 2 in ours",
        "correlation of column mass with |x′|, best head of layer 2, mean over held-out curves",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.1b",
        "... it is the slope, and not what goes with it",
        "the same correlation beyond time, x, |x″| and x′/x, best head of layer 2",
        at_least=0.2,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.1c",
        "... and the answer needs that head",
        "nats a token lost without it, less those lost without another head of layer 2",
        at_least=0.01,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.2",
        "encoder head 8 of layer 0 traces the trajectory",
        "size of the correlation of its column mass with x beyond time, mean over curves",
        at_least=0.5,
        seeds=False,
    ),
    claim(
        "P4.2m",
        "... so does a head of layer 0 in ours",
        "size of the correlation of column mass with x beyond time, best head of layer 0, "
        "mean over held-out curves",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.2c",
        "... and the answer needs that head",
        "nats a token lost without it, less those lost without another head of layer 0",
        at_least=0.01,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.23",
        "derivatives come first: the encoder works them out, point by point",
        "linear probe of asinh x′ at the encoder's end: share of the way from the embedding to "
        "the neighbouring points, in held-out R², mixed systems",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.23b",
        "... or holds them in a form that a linear probe cannot read",
        "the same share by a probe with one hidden layer",
        at_least=0.5,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.23c",
        "... and the decoder uses what the linear probe reads",
        "nats a token lost without the probe's direction at the encoder's end, less those lost "
        "without one of shuffled labels, mixed systems",
        at_least=0.01,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.24",
        "the width of the transition region can be inferred",
        "held-out R² of a linear probe of log width on the mean of the encoder's output",
        at_least=0.9,
        tested=True,
    ),
    claim(
        "P4.24b",
        "... better than from the trajectory itself",
        "that R² less the better one of the same probe on the window and on its logarithm",
        at_least=0.02,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.24c",
        "... and the decoder uses what the probe reads",
        "nats a token lost without the probe's direction at the encoder's end, less those lost "
        "without one of shuffled labels, logistic curves",
        at_least=0.01,
        kind="ours",
        tested=True,
    ),
)


def runs(p: Parameters) -> dict[str, object]:
    """Nothing is trained here: `odeformer.weights` says which file a model's name means."""
    return {}


MISSING = "the released file; with it, “run derivative -p model official” answers"
READ = ("P4.1m", "P4.1b", "P4.2m", "P4.23", "P4.23b", "P4.24")  # have a null of untrained models


def reading(row: dict, raw: dict) -> dict[str, float]:
    """What one model, trained or not, has for the claims that are read off it: {id: score}."""
    from attention_in_motion.odeformer.slopes import best

    heads, mixed = row["heads"], row["points"]["mixed"]
    ceiling = raw["neighbours"]["mixed"]
    return {
        "P4.1m": best(heads, "slope", SLOPE_LAYER)[1],
        "P4.1b": best(heads, "slope beyond", SLOPE_LAYER)[1],
        "P4.2m": best(heads, "x beyond time", TRACE_LAYER)[1],
        "P4.23": share_of_the_way(mixed["linear"], ceiling["linear"]),
        "P4.23b": share_of_the_way(mixed["mlp"], ceiling["mlp"]),
        "P4.24": row["width"]["linear"][-1],
    }


def differences(row: dict, raw: dict) -> dict[str, float]:
    """What one trained model has for the claims that compare within it: {id: difference}."""
    rival = max(raw["width"].values())
    return {
        "P4.1c": needed_head(row, "slope", SLOPE_LAYER),
        "P4.2c": needed_head(row, "x beyond time", TRACE_LAYER),
        "P4.23c": needed_direction(row["slope costs"]),
        "P4.24b": row["width"]["linear"][-1] - rival,
        "P4.24c": needed_direction(row["width costs"]),
    }


def needed_head(row: dict, feature: str, layer: int) -> float:
    """Nats a token lost without the best head, less the mean of the layer's other heads."""
    own, others = costs_of_heads({"": row}, feature, layer)
    return float(own - others)


# What figures and tables show of the rows


def best_by_layer(rows: dict[str, dict], feature: str, kind: str = "plain") -> list[list[float]]:
    """The score of each layer's best head: one list a model."""
    from attention_in_motion.odeformer.slopes import best

    layers = [range(len(row["heads"]["scored"][kind][feature])) for row in rows.values()]
    pairs = zip(rows.values(), layers, strict=True)
    return [[best(row["heads"], feature, i, kind)[1] for i in places] for row, places in pairs]


def mean_scores(table: dict, feature: str, layer: int, kind: str) -> str:
    """Trained with its interval, and untrained, of the best head of a layer: two cells."""
    from attention_in_motion.claims import estimate, shown
    from attention_in_motion.statistics import mean_over_seeds

    ours, null = (
        [one[layer] for one in best_by_layer(rows, feature, kind)]
        for rows in (seeds(table), untrained(table))
    )
    return f"{estimate(*mean_over_seeds(ours))} | {shown(sum(null) / len(null))}"


def costs_of_heads(rows: dict[str, dict], feature: str, layer: int) -> tuple[Tensor, Tensor]:
    """Nats a token lost without a layer's best head, and without another: (model,) each."""
    import torch

    from attention_in_motion.odeformer.slopes import best

    costs = torch.tensor([row["head costs"]["heads"][layer] for row in rows.values()])
    heads = [best(row["heads"], feature, layer)[0] for row in rows.values()]
    own = costs[torch.arange(len(costs)), heads]  # (model,)
    return own, (costs.sum(1) - own) / (costs.shape[1] - 1)


def r2_rows(rows: dict[str, dict]) -> dict[str, float]:
    """Mean R² of the greedy answers, whole and with a part taken away: {part: R²}."""
    found = {}
    for what in ("head costs", "slope costs", "width costs"):
        systems = "mixed systems" if what == "slope costs" else "logistic curves"
        found[f"{systems}: nothing"] = float(over_models(rows, what, "r2").mean())
        for part in next(iter(rows.values()))[what]["r2 without"]:
            name = f"{systems}: {part}" if what == "head costs" else f"{systems}: {what[:5]} {part}"
            found[name] = float(over_models(rows, what, "r2 without", part).mean())
    return found


def of_the_posts_head(network: ODEFormer, data: Data, seen: dict, feature: str) -> list[float]:
    """The correlation of the head that the post names, curve by curve, all of its sign positive."""
    from attention_in_motion.odeformer.slopes import correlations, features, masses

    slope = feature == "slope"
    layer, head = (SLOPE_LAYER, SLOPE_HEAD) if slope else (TRACE_LAYER, TRACE_HEAD)
    mass = masses(network, seen, layer)["plain"]
    found = correlations(mass, features(data.curves))[feature][:, head]  # (curve,)
    return (found if slope or found.mean() >= 0 else -found).tolist()
