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
    from collections.abc import Mapping

    from torch import nn

    from attention_in_motion.training.oscillator import OscillatorRun
    from attention_in_motion.training.store import Trained

PAGE = "02_linear_collapse"
LENGTHS = (2, 5, 10, 20, 40)  # windows whose gradients are compared
CHOICES = ("last scored", "middle and last scored", "first and last scored")
WEIGHT_DECAY = 0.01  # AdamW's in PyTorch, unless told otherwise
LOOKED_AT = (0, 10, 30, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 7000, 10_000)


class Parameters(Oscillation):
    """What the page may be given."""

    page = PAGE
    context: Annotated[int, Field(ge=2, le=400)]
    steps: Count
    batch: Count
    lr: LearningRate
    sgd_lr: LearningRate
    n_seeds: Seeds
    n_fresh: Annotated[int, Field(ge=4, le=1000)]  # a rank correlation needs four
    n_new: Annotated[int, Field(ge=4, le=1000)]
    rollout_steps: AtLeastTen
    n_starts: AtLeastTen
    retrain: bool
    device: Literal["cpu", "cuda"]

    @model_validator(mode="after")
    def matched_targets(self) -> Parameters:
        require(self.batch >= self.context, "batch", self.batch, f">= context = {self.context}")
        return self


# "New seeds" are those of three larger ensembles. What the page calls AdamW has no weight decay, so
# it is Adam, but for P2.5h.
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
        "superposition defect in units of the machine epsilon, float32's over float64's",
        at_least=0.5,
        at_most=2.0,
        source="rounding",
    ),
    claim(
        "P2.2",
        "fixed ω, 40 tokens, loss on all positions: trains well",
        "median e_n over n ≤ 200",
        at_most=0.0001,
    ),
    claim(
        "P2.2b",
        "... in most runs",
        "share of fresh seeds with median e_n ≤ 0.0001, equal targets",
        at_least=0.5,
    ),
    claim(
        "P2.2c",
        "how soon attention falls silent is set by the smallest |eigenvalue| of the imbalance",
        "rank correlation over seeds of that eigenvalue at initialisation with the weight of the "
        "path through attention at the end, plain gradient descent",
        at_most=-0.5,
        kind="ours",
    ),
    claim(
        "P2.2d",
        "are the slow seeds those whose imbalance ends semi-definite?",
        "chance that a slow seed's imbalance has the larger det D / ‖D‖² of a slow and a fast "
        "seed's, AdamW",
        at_least=0.9,
        kind="open",
    ),
    claim(
        "P2.2e",
        "are the slow seeds those whose imbalance ends semi-definite, in a larger ensemble?",
        "the chance of P2.2d, new seeds",
        at_least=0.9,
        kind="open",
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
    # Nothing about the gradient's size can decide this one: AdamW divides by it.
    claim(
        "P2.3c",
        "... because the gradient scales with T",
        "exponent of T in how much clearer (signal over noise) Eq. 3 makes the gradient of "
        "W_V and W_O than Eq. 1, at initialisation, T = 2 … 40",
        at_least=0.25,
        source="live",
    ),
    claim(
        "P2.3d",
        "... because it scores more than one position",
        "share of the gap (in log e_n) between scoring the last position and all that scoring "
        "the first as well closes",
        at_least=0.5,
        kind="ours",
    ),
    claim(
        "P2.3e",
        "... because its gradient is clearer all along",
        "signal over noise of the gradient of W_V and W_O, Eq. 3 over Eq. 1 at the same weights, "
        "those that training on Eq. 1 passes through: geometric mean over its saved steps",
        at_least=2.0,
        kind="ours",
    ),
    claim(
        "P2.3f",
        "... also under plain gradient descent, which feels a gradient's size",
        "median e_n of Eq. 3 over Eq. 1, equal steps, plain gradient descent",
        at_most=1.0,
        kind="ours",
    ),
    claim(
        "P2.3g",
        "... where the first position beside the last does most of what all of them do",
        "share of the gap (in log e_n) between scoring the last position and all that scoring "
        "the first as well closes, plain gradient descent",
        at_least=0.5,
        kind="ours",
    ),
    claim(
        "P2.3h",
        "... or one in the middle",
        "the same share, of the last position and one in the middle, plain gradient descent",
        at_least=0.5,
        kind="ours",
    ),
    claim(
        "P2.3i",
        "... or one in the middle under AdamW",
        "the same share, of the last position and one in the middle, AdamW, fresh seeds",
        at_least=0.5,
        kind="ours",
    ),
    claim(
        "P2.4",
        "the saliency map is diagonal",
        "off-diagonal share of the saliency",
        at_most=0.01,
    ),
    claim(
        "P2.5a",
        "attention writes nothing",
        "‖W_U W_O W_V W_E‖ / ‖W_U W_E‖",
        at_most=0.01,
    ),
    claim(
        "P2.5b",
        "W_O is zero, in all its elements",
        "largest |entry| of W_O over its value at initialisation",
        at_most=0.01,
    ),
    claim(
        "P2.5c",
        "gradient descent conserves the imbalance of W_V and W_O",
        "‖D − D₀‖ / ‖D₀‖ after training, plain gradient descent",
        at_most=0.05,
        kind="ours",
    ),
    claim(
        "P2.5d",
        "... so that the initial weights decide which of W_V and W_O vanish",
        "share of seeds whose ranks of W_V and W_O are the numbers of positive and negative "
        "eigenvalues of D₀, plain gradient descent",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.5e",
        "... and AdamW conserves it, too",
        "‖D − D₀‖ / ‖D₀‖ after training, AdamW",
        at_most=0.05,
        kind="ours",
    ),
    claim(
        "P2.5f",
        "the initial weights decide which of W_V and W_O vanish, in nearly all seeds",
        "the share of P2.5d, new seeds",
        at_least=0.95,
        kind="ours",
    ),
    claim(
        "P2.5g",
        "... so that W_O vanishes about as often as its initial imbalance has no negative part",
        "share of new seeds that end with W_O of rank 0, plain gradient descent",
        at_least=0.04,
        at_most=0.15,
        kind="ours",
    ),
    claim(
        "P2.5h",
        "does weight decay make W_O zero?",
        "share of new seeds that end with W_O of rank 0, AdamW with weight decay",
        at_least=0.5,
        kind="open",
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
    """One token; the losses of Eq. 3 and Eq. 1 on `context` states, and two controls of them.

    Then, with the few trajectories of equal targets: other choices of scored positions, and fresh
    seeds under AdamW and under plain gradient descent.
    """
    from attention_in_motion.training.oscillator import OscillatorRun

    fixed = {"omega0_min": p.omega0, "omega0_max": p.omega0, "dt": p.dt, "start": "box"}
    fixed |= {"gamma_min": p.gamma, "gamma_max": p.gamma}
    recipe = {"steps": p.steps, "batch": p.batch, "lr": p.lr, "seeds": tuple(range(p.n_seeds))}
    one_token = OscillatorRun(**fixed, **recipe)
    snapshots = tuple(step for step in LOOKED_AT if step <= p.steps)
    eq3 = replace(one_token, context=p.context, snapshots=snapshots)
    eq1 = replace(eq3, loss_on="last")
    few = replace(eq3, batch=p.batch // p.context)
    once = replace(few, snapshots=())
    seeds = tuple(range(p.n_seeds, p.n_seeds + p.n_fresh))
    known = {
        "one token": one_token,
        "eq3": eq3,
        "eq1": eq1,
        "eq3 matched targets": few,
        "eq1 rescaled": replace(eq1, loss_factor=float(p.context)),
        "last scored": replace(once, loss_on="last"),
        "middle and last scored": replace(once, scored=(p.context // 2, p.context)),
        "first and last scored": replace(once, scored=(1, p.context)),
        "fresh": replace(once, seeds=seeds),
        "fresh sgd": replace(once, seeds=seeds, optimiser="sgd", lr=p.sgd_lr),
    }
    return known | more_seeds(known, p.n_new)


def more_seeds(known: Mapping[str, OscillatorRun], n_new: int) -> dict[str, OscillatorRun]:
    """The choices of scored positions on the fresh seeds, under AdamW and plain descent; and n_new
    seeds more under either, and under AdamW with weight decay."""
    fresh, descent = known["fresh"], known["fresh sgd"]
    found = {}
    for name in CHOICES:
        chosen = replace(known[name], seeds=fresh.seeds)
        found[f"fresh, {name}"] = chosen
        found[f"fresh sgd, {name}"] = replace(chosen, optimiser="sgd", lr=descent.lr)
    first = fresh.seeds[-1] + 1
    seeds = tuple(range(first, first + n_new))
    found["new"] = replace(fresh, seeds=seeds)
    found["new sgd"] = replace(descent, seeds=seeds)
    found["new decay"] = replace(fresh, seeds=seeds, weight_decay=WEIGHT_DECAY)
    return found


def along_training(trained: Trained) -> dict[int, nn.Module]:
    """The ensemble after each step it was saved at, and at the end: {step: model}.

    Without step 0, for which a logarithmic axis has no place.
    """
    saved = {step: trained.at(step) for step in trained.run.snapshots if step > 0}
    return saved | {trained.run.steps: trained.model}
