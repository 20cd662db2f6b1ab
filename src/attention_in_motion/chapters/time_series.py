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

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from attention_in_motion.chapters.page import Parameters as PageParameters
from attention_in_motion.chapters.page import claim, rules

if TYPE_CHECKING:
    from attention_in_motion.training.run import Run

PAGE = "05_odeformer/time_series"


class Parameters(PageParameters):
    """What the page may be given."""

    page = PAGE

    member: Annotated[int, Field(ge=0, le=5)]
    table: Annotated[str, Field(min_length=1)]
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
    from attention_in_motion.training.forecast import ForecastRun

    return {
        "forecaster univariate": ForecastRun(),
        "forecaster bivariate": ForecastRun(variates=2),
        "forecaster decay": ForecastRun(seeds=(0,), only_decay=True, steps=1000),
    }


READ = ("P4.22", "P4.22b", "P4.22e", "P4.22f", "P4.22g", "P4.22i")  # have a null
