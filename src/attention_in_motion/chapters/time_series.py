"""Chapter 5, last section: what a time-series transformer learns of simple functions.

What is measured, on whom and where, was fixed before any of the models measured was trained.

- Replicates are six seeds, each with one model of one variate and one of two; the null are twenty
  networks at step 0 of the same training.
- Series are functions drawn afresh from a stream that no training reads, with the noise of
  training. Ratios of scores are geometric means over series, so that no single series decides.
- The rivals forecast without a network: the last value, the last season, and an autoregression
  fitted to the same window; each with a normal distribution whose width it takes from that window.
- Probes and features are chosen on other series than they are scored on.
- A tested claim has one p-value, corrected by Holm for the others of the page: readings by the rank
  sum of the seeds against the null, differences within a model (c, h, j, k) by Student's t.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from attention_in_motion.chapters.page import Parameters as PageParameters
from attention_in_motion.chapters.page import claim, rules
from attention_in_motion.chapters.twins import Table, needed_direction, share_of_the_way

if TYPE_CHECKING:
    from attention_in_motion.training.run import Run

PAGE = "05_odeformer/time_series"


class Parameters(PageParameters):
    """What the page may be given."""

    page = PAGE

    member: Annotated[int, Field(ge=0, le=5)]
    table: Table
    n_shown: Annotated[int, Field(ge=1, le=12)]
    n_permutations: Annotated[int, Field(ge=99, le=99_999)]
    seed: Annotated[int, Field(ge=0)]


RULES = rules(
    PAGE,
    claim(
        "P4.22",
        "a time-series transformer learns sines, polynomials, exponentials, hyperbolic functions "
        "and their combinations",
        "1 − CRPS over that of the last value, one variate, series it has not seen",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.22b",
        "... in two variates as well",
        "1 − CRPS over that of the last value, two variates, series it has not seen",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.22c",
        "... better than a forecast without a network",
        "1 − CRPS over that of the best of three rivals, one variate",
        at_least=0.1,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.22d",
        "... and knows how sure it may be",
        "share of values within its 80 % interval, one variate",
        at_least=0.7,
        at_most=0.9,
        kind="ours",
    ),
    claim(
        "P4.22e",
        "... every kind of function",
        "1 − CRPS over that of the last value, one variate, the kind with the smallest",
        at_least=0.25,
        tested=True,
    ),
    claim(
        "P4.22f",
        "... and one that was not in training",
        "1 − CRPS over that of the last value, damped oscillations, one variate",
        at_least=0.25,
        kind="open",
        tested=True,
    ),
    claim(
        "P4.22g",
        "it works out derivatives, point by point",
        "linear probe of the slope at the encoder's end: share of the way from the embedding to "
        "the neighbouring points, in held-out R², one variate",
        at_least=0.5,
        kind="open",
        tested=True,
    ),
    claim(
        "P4.22h",
        "... and its forecast uses what the probe reads",
        "nats a step lost without the probe's direction at the encoder's end, less those lost "
        "without one of shuffled labels",
        at_least=0.01,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.22i",
        "an autoencoder finds features for kinds of functions",
        "area under the ROC curve of the best feature for a kind, mean over kinds; TopK "
        "autoencoder at the encoder's end",
        at_least=0.9,
        tested=True,
    ),
    claim(
        "P4.22j",
        "... that the series itself does not have",
        "that area less that of the same autoencoder on pieces of the series",
        at_least=0.02,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.22k",
        "... and that take a dictionary to be seen",
        "that area less the larger one of single coordinates and of a frozen random decoder",
        at_least=0.02,
        kind="ours",
        tested=True,
    ),
)


def runs(p: Parameters) -> dict[str, Run]:
    """One variate, two, and the post's own run: copies of one decaying exponential."""
    from attention_in_motion.training import forecast

    return dict(forecast.all_runs())


READ = ("P4.22", "P4.22b", "P4.22e", "P4.22f", "P4.22g", "P4.22i")  # have a null
RIVAL = "last value"


def table_of(p: Parameters) -> dict:
    """The scores of all models: "shipped" with the weights, or the path of a table.

    Raises ValueError, in one line, for one that is not there or lacks seeds or untrained models.
    """
    from attention_in_motion.chapters.twins import checked
    from attention_in_motion.paths import DATA

    return checked(p.table, DATA / "time_series.json")


def skill(ours: dict, rival: dict, kind: int | None = None) -> float:
    """1 − the ratio of two scores' CRPS, geometric means over series, or over those of a kind."""
    pair = [s["log crps"] if kind is None else s["by kind"][kind] for s in (ours, rival)]
    return 1 - math.exp(pair[0] - pair[1])


def skills(row: dict, raw: dict, rival: str = RIVAL) -> dict[str, float]:
    """The skill of a model over a rival on every set of series: {set: skill}."""
    sets = row["forecast"]
    return {name: skill(sets[name], raw["forecast"][name][rival]) for name in sets}


def by_kind(row: dict, raw: dict, rival: str = RIVAL) -> list[float]:
    """The skill of a model over a rival, by kind of function."""
    ours, theirs = row["forecast"]["one variate"], raw["forecast"]["one variate"][rival]
    return [skill(ours, theirs, kind) for kind in range(len(ours["by kind"]))]


def reading(row: dict, raw: dict) -> dict[str, float]:
    """What one model, trained or not, has for the claims that are read off it: {id: score}."""
    found = skills(row, raw)
    return {
        "P4.22": found["one variate"],
        "P4.22b": found["two variates"],
        "P4.22e": min(by_kind(row, raw)),
        "P4.22f": found["damped"],
        "P4.22g": share_of_the_way(row["points"]["linear"], raw["neighbours"]),
        "P4.22i": mean_area(row["features"]["topk"]),
    }


def differences(row: dict, raw: dict) -> dict[str, float]:
    """What one trained model has for the claims that compare within it: {id: difference}."""
    features, rivals = row["features"], raw["forecast"]["one variate"]
    best = min(rivals.values(), key=lambda scores: scores["log crps"])
    area = mean_area(features["topk"])
    plain = max(mean_area(features[name]) for name in ("coordinates", "frozen"))
    return {
        "P4.22c": skill(row["forecast"]["one variate"], best),
        "P4.22h": needed_direction(row["slope costs"]),
        "P4.22j": area - mean_area(raw["features"]),
        "P4.22k": area - plain,
    }


def untested(row: dict) -> dict[str, float]:
    """What one trained model has for the claim without a test: {id: score}."""
    return {"P4.22d": row["forecast"]["one variate"]["coverage"]}


def mean_area(found: dict) -> float:
    """Mean over kinds of the area of each kind's best feature."""
    return sum(found["areas"]) / len(found["areas"])


def areas_by_kind(rows: dict[str, dict], decoder: str) -> list[list[float]]:
    """The area of the best feature by kind: one list a model."""
    return [row["features"][decoder]["areas"] for row in rows.values()]


def mean_skill(rows: dict[str, dict], name: str, rival: dict) -> float:
    """The mean over models of their skill over a rival's scores on one set."""
    return sum(skill(row["forecast"][name], rival) for row in rows.values()) / len(rows)


def skills_by_kind(rows: dict[str, dict], raw: dict) -> list[list[float]]:
    """The skill over the last value by kind of function: one list a model."""
    return [by_kind(row, raw) for row in rows.values()]


def slopes_by_place(rows: dict[str, dict]) -> list[list[float]]:
    """Held-out R² of the slope after the embedding, then by layer: one list a model."""
    return [row["points"]["linear"] for row in rows.values()]
