"""Chapter 5, post 4: what ODEFormer is, how good ours is, and what it cannot do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from attention_in_motion.chapters.page import (
    Parameters as PageParameters,
)
from attention_in_motion.chapters.page import (
    Positive,
    claim,
    rules,
)

PAGE = "05_odeformer"


class Parameters(PageParameters):
    """What the page may be given."""

    page = PAGE
    model: Annotated[str, Field(min_length=1)]
    n_points: Annotated[int, Field(ge=8, le=200)]
    n_samples: Annotated[int, Field(ge=1, le=200)]
    temperature: Positive
    n_curves: Annotated[int, Field(ge=2, le=200)]
    seed: Annotated[int, Field(ge=0)]


# A trajectory is recognised when the best of ten samples reaches R² > 0.9 on it. One model, so the
# intervals are over systems, not over seeds.
RULES = rules(
    PAGE,
    claim(
        "P4.0",
        "the model has 86 million parameters",
        "parameters of the released sizes [millions]",
        at_least=85.0,
        at_most=87.0,
        source="exact",
        seeds=False,
    ),
    claim(
        "P4.8",
        "the model sometimes gets the dimension of the system wrong",
        "share of held-out systems whose greedy answer has another dimension",
        at_least=0.01,
        seeds=False,
    ),
    claim(
        "P4.15",
        "finished beams go on with one default token",
        "share of finished rows, over random weights, whose logits are the output bias alone",
        at_least=1.0,
        source="exact",
        seeds=False,
    ),
    claim(
        "P4.20",
        "steep sigmoids derail the model",
        "share recognised of sigmoids with steepness 3 and more",
        at_most=0.5,
        seeds=False,
    ),
    claim(
        "P4.20b",
        "... and gentle ones do not",
        "share recognised of sigmoids with steepness 1 and less",
        at_least=0.5,
        seeds=False,
    ),
    claim(
        "P4.34",
        "our model recognises one-dimensional systems",
        "share recognised of the one-dimensional families, without noise",
        at_least=0.8,
        kind="ours",
        seeds=False,
    ),
    claim(
        "P4.35",
        "... and two-dimensional ones",
        "share recognised of the two-dimensional families, without noise",
        at_least=0.6,
        kind="ours",
        seeds=False,
    ),
    claim(
        "P4.36",
        "it writes the right operators and signs",
        "lower of the teacher-forced shares of right operators and right signs, held out",
        at_least=0.9,
        kind="ours",
        seeds=False,
    ),
    claim(
        "P4.37",
        "what it finds is the equation, not the curve",
        "share recognised at a new start over the share at the given start, families",
        at_least=0.9,
        kind="ours",
        seeds=False,
    ),
)


def runs(p: Parameters) -> dict[str, object]:
    """Nothing is trained here: `odeformer.weights` says which file a model's name means."""
    return {}
