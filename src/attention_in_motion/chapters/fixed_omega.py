"""Chapter 1, post 1: one frequency, one layer, one state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attention_in_motion.chapters.oscillators import Oscillation
from attention_in_motion.chapters.page import (
    AtLeastTen,
    Count,
    LearningRate,
    Positive,
    Seeds,
    claim,
    rules,
)

if TYPE_CHECKING:
    from attention_in_motion.training.oscillator import OscillatorRun

PAGE = "01_fixed_omega"


class Parameters(Oscillation):
    """What the page may be given."""

    page = PAGE
    gamma: Positive
    start: Literal["normal", "box"]
    steps: Count
    batch: Count
    lr: LearningRate
    n_seeds: Seeds
    rollout_steps: AtLeastTen
    n_starts: AtLeastTen
    device: Literal["cpu", "cuda"]


# e_n is the phase-space error after n steps: per seed the median over starts, over seeds the
# geometric mean.
RULES = rules(
    PAGE,
    claim(
        "P1.1",
        "rolls out a full undamped trajectory",
        "e_200 at γ = 0",
        at_most=0.0001,
        source="live",
    ),
    claim(
        "P1.2",
        "rolls out a damped trajectory",
        "e_200 at γ > 0",
        at_most=0.0001,
        source="live",
    ),
    claim(
        "P1.3",
        "the error does not grow with time",
        "slope of log e_n on log n, n ≤ 200",
        at_most=0.1,
        source="live",
    ),
    claim(
        "P1.4",
        "generalises to energies above the training range",
        "e_200 at 10 to 100 times the training energy, over e_200 within it",
        at_most=2.0,
        source="live",
    ),
    claim(
        "P1.5",
        "ω = √(ω0² + γ²)",
        "relative error of that ω against the eigenvalue's",
        at_most=1e-12,
        source="exact",
        seeds=False,
    ),
    claim(
        "P1.6",
        "the 2×2 update matrix is the exact one-step map",
        "largest |entry| of K − exp(AΔt), float64",
        at_most=1e-14,
        source="rounding",
        seeds=False,
    ),
    claim(
        "P1.7",
        "the model learns the natural frequency and the damping",
        "larger relative error of ω0 and γ read from the weights, γ > 0",
        at_most=0.0001,
        source="live",
    ),
    claim(
        "P1.7b",
        "the model learns that there is no damping",
        "|γ| read from the weights",
        at_most=1e-05,
        source="live",
    ),
    claim(
        "P1.7c",
        "can they be found by asking the attention layer?",
        "how far the share of the path through attention lies from its mean over seeds, relative",
        at_most=0.1,
        kind="open",
        source="live",
    ),
    claim(
        "P1.8",
        "is the prediction the update rule, or something else?",
        "distance of the learned map to the exact flow, over its distance to the nearest "
        "rival (Euler, symplectic Euler, midpoint, RK4)",
        at_most=0.5,
        kind="open",
        source="live",
    ),
    claim(
        "P1.9",
        "the biases are optional",
        "e_200 without biases over with",
        at_most=2.0,
        source="live",
    ),
    claim(
        "P1.10",
        "the model needs the last point only",
        "one-step MSE of least squares on the last state, float64",
        at_most=1e-25,
        source="rounding",
        seeds=False,
    ),
    claim(
        "P1.11",
        "underdamped means ω > γ",
        "share of underdamped oscillators, γ ~ U[0, ω0), that have ω > γ",
        at_least=1.0,
        source="exact",
        seeds=False,
    ),
)


def runs(p: Parameters) -> dict[str, OscillatorRun]:
    """The three ensembles; the page trains them live, which takes seconds."""
    from attention_in_motion.training.oscillator import OscillatorRun

    fixed = {"omega0_min": p.omega0, "omega0_max": p.omega0, "dt": p.dt, "start": p.start}
    recipe = {"steps": p.steps, "batch": p.batch, "lr": p.lr, "seeds": tuple(range(p.n_seeds))}
    damped = {"gamma_min": p.gamma, "gamma_max": p.gamma}
    return {
        "undamped": OscillatorRun(**fixed, **recipe, gamma_min=0.0, gamma_max=0.0),
        "damped": OscillatorRun(**fixed, **recipe, **damped),
        "no bias": OscillatorRun(**fixed, **recipe, **damped, bias=False),
    }
