"""What the pages on oscillators share: their parameters, and how runs are made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from attention_in_motion.chapters.page import (
    AtLeastTen,
    Count,
    LearningRate,
    NonNegative,
    Parameters,
    Positive,
    Seeds,
    require,
)
from attention_in_motion.claims import shown

if TYPE_CHECKING:
    from attention_in_motion.training.oscillator import OscillatorRun

HALF_PERIOD = 3.14  # ω0 Δt must stay below: from there on, frequencies cannot be told apart


class Oscillation(Parameters):
    """One underdamped oscillator, sampled finely."""

    omega0: Positive
    gamma: NonNegative
    dt: Positive

    @model_validator(mode="after")
    def sampled_underdamped(self) -> Oscillation:
        require(self.gamma < self.omega0, "gamma", self.gamma, f"< omega0 = {self.omega0:g}")
        finest = HALF_PERIOD / self.omega0
        require(self.dt < finest, "dt", self.dt, f"< 3.14 / omega0 = {finest:.3g}")
        return self


class FrequencyRange(Parameters):
    """A range of frequencies, and the recipe of training on it."""

    omega0_min: Positive
    omega0_max: Positive
    context: Annotated[int, Field(ge=5, le=400)]
    steps: Count
    batch: Count
    lr: LearningRate
    n_seeds: Seeds
    n_test: Annotated[int, Field(ge=16)]
    retrain: bool
    device: Literal["cpu", "cuda"]

    @model_validator(mode="after")
    def a_range(self) -> FrequencyRange:
        low, high = self.omega0_min, self.omega0_max
        require(low < high, "omega0_max", high, f"> omega0_min = {low:g}")
        return self


class OverFrequencies(FrequencyRange):
    """A range of underdamped oscillators, sampled finely."""

    gamma: NonNegative
    dt: Positive

    @model_validator(mode="after")
    def underdamped(self) -> OverFrequencies:
        low, high = self.omega0_min, self.omega0_max
        require(self.gamma < low, "gamma", self.gamma, f"< omega0_min = {low:g}")
        finest = HALF_PERIOD / high
        require(self.dt < finest, "dt", self.dt, f"< 3.14 / omega0_max = {finest:.3g}")
        return self

    @property
    def physics(self) -> dict[str, Any]:
        """What every run of these pages shares, as OscillatorRun fields."""
        limits = {"omega0_min": self.omega0_min, "omega0_max": self.omega0_max}
        damping = {"gamma_min": self.gamma, "gamma_max": self.gamma}
        return {**limits, **damping, "dt": self.dt, "context": self.context, "start": "box"}

    @property
    def recipe(self) -> dict[str, Any]:
        """Those fields and the recipe of the ladder."""
        seeds = tuple(range(self.n_seeds))
        own = {"steps": self.steps, "batch": self.batch, "lr": self.lr, "seeds": seeds}
        return {**self.physics, **own}

    @property
    def motion(self) -> dict[str, Any]:
        """What test sets of one damping share, as arguments of `trajectories.held_out`."""
        return {"gamma": (self.gamma, self.gamma), "dt": self.dt}

    @property
    def middle(self) -> float:
        """√(ω0_min ω0_max) [1/time], inside the trained range: 2 for the post's [1, 4]."""
        return math.sqrt(self.omega0_min * self.omega0_max)

    @property
    def search(self) -> tuple[float, float]:
        """The frequencies [1/time] among which an answer's is sought, [0.05, 8] for [1, 4].

        From far below the trained range to twice its upper end, or to π/Δt, from where on a
        frequency looks like a lower one.
        """
        return 0.05 * self.omega0_min, min(2 * self.omega0_max, math.pi / self.dt)

    @property
    def later(self) -> float:
        """How late a solver's window may begin [time]: five radians of the slowest motion."""
        return 5.0 / self.omega0_min


class VariableDamping(OverFrequencies):
    """Also rollouts, and a range of dampings, [0, gamma_max]."""

    rollout_steps: AtLeastTen
    gamma_max: Positive

    @model_validator(mode="after")
    def underdamped_at_most(self) -> VariableDamping:
        low = self.omega0_min
        require(self.gamma_max < low, "gamma_max", self.gamma_max, f"< omega0_min = {low:g}")
        return self


# The ladder of post 2 by the post's names (d_model/d_head; "open" has no causal mask). The post
# jumps from 8LA 16/8 to 4LA 32/16 open; the two masked rungs of that width are ours.
WIDE = {"d_model": 32, "d_head": 16}
LADDER: dict[str, dict[str, Any]] = {
    "OLA 2/2": {},
    "OLA 8/4": {"d_model": 8, "d_head": 4},
    "8LA 16/8": {"n_layers": 8, "d_model": 16, "d_head": 8},
    "4LA 32/16": {"n_layers": 4, **WIDE},
    "8LA 32/16": {"n_layers": 8, **WIDE},
    "4LA 32/16 open": {"n_layers": 4, "causal": False, **WIDE},
    "8LA 32/16 open": {"n_layers": 8, "causal": False, **WIDE},
}


# What all solvers of the task share, and the shape of the small ones.
SOLVER: dict[str, Any] = {"loss_on": "last", "causal": False, "positions": True}
SOLVER |= {"schedule": "one_cycle", "lr": 3e-3}
SMALL = {"n_layers": 2, "d_model": 12, "d_head": 12, "d_mlp": 24}


def ladder(p: OverFrequencies) -> dict[str, OscillatorRun]:
    """The runs of the ladder by name."""
    from attention_in_motion.training.oscillator import OscillatorRun

    return {name: OscillatorRun(**p.recipe, **shape) for name, shape in LADDER.items()}


def shown_over_seeds(values: Sequence[float]) -> str:
    """Geometric mean of one positive number per seed, with its 95% interval, as text."""
    from attention_in_motion.statistics import over_seeds

    mean, (low, high) = over_seeds(values)
    return f"{shown(mean)} [{shown(low)}, {shown(high)}]"
