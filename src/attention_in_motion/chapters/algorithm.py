"""Chapter 3, fifth section: which algorithm does the solver use, and does noise choose it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from attention_in_motion.chapters.oscillators import OverFrequencies
from attention_in_motion.chapters.page import Count, Positive, claim, require, rules
from attention_in_motion.chapters.solver import SHARED, SMALL

if TYPE_CHECKING:
    from attention_in_motion.training.oscillator import OscillatorRun

PAGE = "03_variable_omega/algorithm"


class Parameters(OverFrequencies):
    """What the page may be given."""

    page = PAGE
    noise_max: Positive
    solver_steps: Count
    polishing: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def noise_below_the_signal(self) -> Parameters:
        require(self.noise_max < 1, "noise_max", self.noise_max, "< 1, the size of a start")
        return self

    @property
    def later(self) -> float:
        """How late a window of training may begin [time]: five radians of the slowest motion."""
        return 5.0 / self.omega0_min

    @property
    def noises(self) -> tuple[float, ...]:
        """The standard deviations of the windows' noise: none, and three up to the largest."""
        return 0.0, self.noise_max / 30, self.noise_max / 3, self.noise_max


# The fingerprint of a map from windows to next states is its Jacobian, without that of the last
# state itself, on clean windows; the likeness of two maps the mean cosine of their fingerprints.
RULES = rules(
    PAGE,
    claim(
        "P2.27",
        "does noise choose the algorithm? (trained on noisy windows, the solver fits the orbit)",
        "likeness to maximum likelihood, trained at the largest noise",
        at_least=0.9,
        kind="open",
    ),
    claim(
        "P2.27b",
        "... and all seeds come to the same",
        "likeness between seeds, trained at the largest noise",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.27c",
        "without noise every seed has an algorithm of its own",
        "likeness between seeds of the polished solver",
        at_most=0.8,
        kind="ours",
    ),
    claim(
        "P2.27d",
        "... which is not least squares in context",
        "likeness of the polished solver to the nearer of the two least squares",
        at_most=0.8,
        kind="ours",
    ),
    claim(
        "P2.27e",
        "... nor a linear rule",
        "likeness of the polished solver to the nearest linear rule",
        at_most=0.3,
        kind="ours",
    ),
)


def runs(p: Parameters) -> dict[str, OscillatorRun]:
    """The polished solver of the section before, and one unpolished for every noise."""
    from attention_in_motion.training.oscillator import SolverRun

    shared = {**p.physics, **SHARED, **SMALL, "later": p.later, "seeds": tuple(range(p.n_seeds))}
    polished = SolverRun(**{**shared, "steps": p.solver_steps}, iterations=p.polishing)
    recipe = {"steps": p.steps, "batch": p.batch, "lr": p.lr}
    noisy = {
        f"solver noise {noise:g}": SolverRun(**{**shared, **recipe}, noise=noise)
        for noise in p.noises
    }
    return {"solver small, polished": polished, **noisy}
