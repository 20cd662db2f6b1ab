"""Chapter 3, fifth section: which algorithm does the solver use, and does noise choose it?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from attention_in_motion.chapters.oscillators import (
    SMALL,
    SOLVER,
    OverFrequencies,
    shown_over_seeds,
)
from attention_in_motion.chapters.page import Positive, claim, require, rules
from attention_in_motion.claims import shown

if TYPE_CHECKING:
    from torch import Tensor

    from attention_in_motion.training.oscillator import OscillatorRun

PAGE = "03_variable_omega/algorithm"
POLISHED = "solver small, polished"
FRESH = "solver small, fresh seeds"  # at the noise `loud`


class Parameters(OverFrequencies):
    """What the page may be given."""

    page = PAGE
    noise: Positive
    polishing: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def noise_below_the_signal(self) -> Parameters:
        require(self.noise <= 0.1, "noise", self.noise, "<= 0.1, a tenth of a start's size")
        return self

    @property
    def noises(self) -> tuple[float, ...]:
        """Standard deviations of the noise in training: none, up to the one judged, and beyond."""
        return 0.0, round(self.noise / 3, 12), self.noise, self.loud, 10 * self.noise

    @property
    def loud(self) -> float:
        """Three times the noise that is judged first, and a little more."""
        return round(self.noise / 0.3, 12)


# The likeness of two maps from windows to next states is the mean cosine of their Jacobians at the
# positions before the last, on clean windows. At first the last was in it, less the identity; but a
# map that does not use the last state resembles maximum likelihood by that alone (a linear rule of
# rank 10 by 0.76), as a first run showed. P2.27f and P2.27g were written when one set of seeds was
# known; they are judged on another. P2.27h and P2.27i were written when the likeness of the same
# solvers to maximum likelihood was known.
RULES = rules(
    PAGE,
    claim(
        "P2.27",
        "does noise choose the algorithm? (trained on noisy windows, the solver fits the orbit)",
        "likeness to maximum likelihood, trained at noise 0.03",
        at_least=0.9,
        kind="open",
    ),
    claim(
        "P2.27b",
        "... and all seeds come to the same",
        "likeness between seeds, trained at noise 0.03",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.27f",
        "with three times that noise it does",
        "likeness to maximum likelihood, trained at noise 0.1, fresh seeds",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.27g",
        "... and all seeds come to the same",
        "likeness between fresh seeds, trained at noise 0.1",
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
    claim(
        "P2.27h",
        "with the most noise, the solver is the Bayes answer, which knows the range of ω0",
        "likeness to the posterior mean, trained at noise 0.3",
        at_least=0.9,
        kind="open",
    ),
    claim(
        "P2.27i",
        "... and with a third of it",
        "likeness to the posterior mean, trained at noise 0.1, fresh seeds",
        at_least=0.9,
        kind="open",
    ),
)


def runs(p: Parameters) -> dict[str, OscillatorRun]:
    """The small solver of the section before, with and without polishing, and with noise."""
    from attention_in_motion.training.oscillator import SolverRun

    recipe = {"steps": p.steps, "batch": p.batch, "lr": p.lr, "seeds": tuple(range(p.n_seeds))}
    small = SolverRun(**{**p.physics, **SOLVER, **SMALL, **recipe, "later": p.later})
    noisy = {name_of(noise): replace(small, noise=noise) for noise in p.noises}
    fresh = {"seeds": tuple(range(p.n_seeds, 2 * p.n_seeds)), "noise": p.loud}
    polished = replace(small, iterations=p.polishing)
    return {POLISHED: polished, **noisy, FRESH: replace(small, **fresh)}


def name_of(noise: float) -> str:
    """What the solver trained with that noise is called."""
    return f"solver small, noise {noise:g}" if noise else "solver small"


def grid(p: Parameters, noise: float) -> Tensor:
    """Frequencies of the range of training for a posterior mean, a tenth of the noise apart: (n,).

    The posterior of a window of some time units is about as wide as the noise, or a few times less.
    """
    from attention_in_motion.measures.trajectories import evenly

    span = p.omega0_max - p.omega0_min
    return evenly(p.omega0_min, p.omega0_max, math.ceil(10 * span / noise))


def losses_table(noises: Sequence[float], lost: Mapping[str, Sequence[Tensor]]) -> str:
    """{method: MSE / σ² by noise, () or (seed,)} as Markdown, geometric means over seeds."""
    cells = {
        name: [shown(float(v)) if v.dim() == 0 else shown_over_seeds(v) for v in values]
        for name, values in lost.items()
    }
    return by_noise(noises, cells, "MSE / σ²")


def by_noise(noises: Sequence[float], cells: Mapping[str, Sequence[str]], corner: str = "") -> str:
    """{row: a cell for each noise} as Markdown."""
    rows = [f"| {corner} | " + " | ".join(f"σ = {noise:g}" for noise in noises) + " |"]
    rows.append("|---" * (len(noises) + 1) + "|")
    rows += [f"| {name} | " + " | ".join(row) + " |" for name, row in cells.items()]
    return "\n".join(rows)
