"""Chapter 2, post 2 at fixed ω: forty states, one matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from attention_in_motion.chapters.oscillators import Oscillation
from attention_in_motion.chapters.page import (
    AtLeastTen,
    Count,
    LearningRate,
    Seeds,
    claim,
    require,
    rules,
)

if TYPE_CHECKING:
    from torch import nn

    from attention_in_motion.training.oscillator import OscillatorRun
    from attention_in_motion.training.store import Trained

PAGE = "02_linear_collapse"
LOOKED_AT = (0, 10, 30, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 7000, 10_000)


class Parameters(Oscillation):
    """What the page may be given."""

    page = PAGE
    context: Annotated[int, Field(ge=2, le=400)]
    steps: Count
    batch: Count
    lr: LearningRate
    n_seeds: Seeds
    rollout_steps: AtLeastTen
    n_starts: AtLeastTen
    retrain: bool
    device: Literal["cpu", "cuda"]

    @model_validator(mode="after")
    def matched_targets(self) -> Parameters:
        require(self.batch >= self.context, "batch", self.batch, f">= context = {self.context}")
        return self


RULES = rules(
    PAGE,
    claim(
        "P2.1",
        "with context 1 the model is linear",
        "relative superposition defect at T = 1, float64",
        at_most=1e-14,
        source="rounding",
        seeds=False,
    ),
    claim(
        "P2.1b",
        "with context 1 the model is linear",
        "relative superposition defect at T = 1, float32",
        at_most=1e-06,
        source="rounding",
        seeds=False,
    ),
    claim(
        "P2.2",
        "fixed ω, 40 tokens, loss on all positions: trains well",
        "median e_n over n ≤ 200",
        at_most=0.0001,
    ),
    claim(
        "P2.3",
        "the loss on all positions (Eq. 3) beats the last-position loss (Eq. 1)",
        "median e_n of Eq. 3 over Eq. 1, equal steps",
        at_most=1.0,
    ),
    claim(
        "P2.3b",
        "... also at equal numbers of supervised targets",
        "median e_n of Eq. 3 over Eq. 1, equal targets",
        at_most=1.0,
    ),
    claim(
        "P2.3c",
        "... because the gradient scales with T",
        "share of the gap (in log e_n) closed by multiplying the loss of Eq. 1 by T",
        at_least=0.5,
        source="rounding",  # AdamW cancels the factor: the two runs differ by rounding alone
    ),
    claim(
        "P2.4",
        "the saliency map is diagonal",
        "off-diagonal share of the saliency",
        at_most=0.01,
    ),
    claim(
        "P2.5",
        "W_O is zero: attention writes nothing",
        "‖W_U W_O W_V W_E‖ / ‖W_U W_E‖",
        at_most=0.01,
    ),
    claim(
        "P2.16",
        "at context 1 a linear regression would have been as successful",
        "median e_n of least squares over the trained model's, T = 1",
        at_most=1.0,
        source="rounding",
    ),
)


def runs(p: Parameters) -> dict[str, OscillatorRun]:
    """One token; then the losses of Eq. 3 and Eq. 1 on `context` states, and their two controls."""
    from attention_in_motion.training.oscillator import OscillatorRun

    fixed = {"omega0_min": p.omega0, "omega0_max": p.omega0, "dt": p.dt, "start": "box"}
    fixed |= {"gamma_min": p.gamma, "gamma_max": p.gamma}
    recipe = {"steps": p.steps, "batch": p.batch, "lr": p.lr, "seeds": tuple(range(p.n_seeds))}
    one_token = OscillatorRun(**fixed, **recipe)
    snapshots = tuple(step for step in LOOKED_AT if step <= p.steps)
    eq3 = replace(one_token, context=p.context, snapshots=snapshots)
    eq1 = replace(eq3, loss_on="last")
    return {
        "one token": one_token,
        "eq3": eq3,
        "eq1": eq1,
        "eq3 matched targets": replace(eq3, batch=p.batch // p.context),
        "eq1 rescaled": replace(eq1, loss_factor=float(p.context)),
    }


def along_training(trained: Trained) -> dict[int, nn.Module]:
    """The ensemble after each step it was saved at, and at the end: {step: model}.

    Without step 0, for which a logarithmic axis has no place.
    """
    saved = {step: trained.at(step) for step in trained.run.snapshots if step > 0}
    return saved | {trained.run.steps: trained.model}
