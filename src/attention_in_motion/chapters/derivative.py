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

from typing import Annotated

from pydantic import Field

from attention_in_motion.chapters.page import Parameters as PageParameters
from attention_in_motion.chapters.page import claim, rules

PAGE = "05_odeformer/derivative"


class Parameters(PageParameters):
    """What the page may be given."""

    page = PAGE
    model: Annotated[str, Field(min_length=1)]
    table: Annotated[str, Field(min_length=1)]
    n_permutations: Annotated[int, Field(ge=99, le=99_999)]
    seed: Annotated[int, Field(ge=0)]


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
