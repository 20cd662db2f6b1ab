"""Chapter 3, fourth section: by which method does a transformer step an oscillator forward?

The criteria of Kantamneni, Liu and Tegmark (2024) for "the model uses the method g", on a model of
variable ω0 and Δt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import model_validator

from attention_in_motion.chapters.oscillators import FrequencyRange
from attention_in_motion.chapters.page import Positive, claim, require, rules

if TYPE_CHECKING:
    from torch import Tensor

    from attention_in_motion.training.oscillator import OscillatorRun

PAGE = "03_variable_omega/criteria"


class Parameters(FrequencyRange):
    """What the page may be given."""

    page = PAGE
    dt_min: Positive

    @model_validator(mode="after")
    def steps_below_a_period(self) -> Parameters:
        shortest = 2 * math.pi / self.omega0_max
        allowed = f"< 2π / omega0_max = {shortest:.3g}"
        require(self.dt_min < shortest, "dt_min", self.dt_min, allowed)
        return self


# The place is chosen on one half of the trajectories and scored on the other.
RULES = rules(
    PAGE,
    claim(
        "P2.23",
        "(criterion 1) exp(AΔt) is encoded",
        "held-out R² of its entries at the last position",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.23b",
        "... beyond the powers of AΔt that Taylor's method needs",
        "held-out R² of what (AΔt)^1 to (AΔt)^5 leave of it",
        at_least=0.5,
        kind="ours",
    ),
    claim(
        "P2.24",
        "(criterion 2, by proxy) where it is encoded better, the model errs less",
        "rank correlation over positions of its R² with −log10 MSE",
        at_least=0.8,
        kind="ours",
    ),
    claim(
        "P2.25",
        "(criterion 3) it explains the stream better than Taylor's powers do",
        "held-out explained variance, powers of exp(AΔt) minus powers of AΔt, mean over places: "
        "trained minus untrained",
        at_least=0.0,
        kind="ours",
    ),
    claim(
        "P2.26",
        "(criterion 4) moving the stream from one exp(AΔt) to another moves the answer",
        "share of pairs with score at least 0.95, where the model shown the other window follows "
        "on as many as the rule asks for",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.26b",
        "... and the same move does not when the frequencies are shuffled",
        "median score of the map fitted on shuffled ω0",
        at_most=0.3,
        kind="ours",
    ),
    claim(
        "P2.26c",
        "... nor does the same move in an untrained network",
        "median score",
        at_most=0.3,
        kind="ours",
    ),
)


# Built like the models of Kantamneni et al., without damping: over forty steps as long as a period
# nothing would be left to predict.
SHAPE = {"n_layers": 3, "d_model": 32, "d_head": 32, "d_mlp": 128, "positions": True}


N_CANDIDATES = 40_000  # pairs of windows that are drawn for criterion 4
N_PAIRS = 256  # of those that fit, so many are kept
FEWEST_PAIRS = 16


def runs(p: Parameters) -> dict[str, OscillatorRun]:
    """The model of variable time step."""
    from attention_in_motion.training.oscillator import OscillatorRun

    limits = {"omega0_min": p.omega0_min, "omega0_max": p.omega0_max, "dt_min": p.dt_min}
    limits |= {"gamma_min": 0.0, "gamma_max": 0.0, "context": p.context, "start": "box"}
    recipe = {"steps": p.steps, "batch": p.batch, "lr": p.lr, "schedule": "one_cycle"}
    recipe |= {"seeds": tuple(range(p.n_seeds))}
    return {"variable step": OscillatorRun(**limits, **SHAPE, **recipe)}


def pairs_kept(fits: Tensor) -> Tensor:
    """The first N_PAIRS of the candidates (n,) that fit: their places.

    Raises ValueError, in one line, where so few fit that no share of them can be told.
    """
    kept = fits.nonzero()[:N_PAIRS, 0]
    if len(kept) < FEWEST_PAIRS:
        raise ValueError(
            f"{len(kept)} of {len(fits)} pairs of windows start as in training, {FEWEST_PAIRS} are "
            "needed: choose a wider range omega0_min … omega0_max or a smaller context"
        )
    return kept


def table(columns: Mapping[str, Mapping[str, Tensor]]) -> str:
    """{column: {target: R² (seed, 1)}} as Markdown: targets in rows, means over seeds."""
    rows = ["| target | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for target in next(iter(columns.values())):
        means = [f"{scores[target].mean():.3f}" for scores in columns.values()]
        rows.append(f"| {target} | " + " | ".join(means) + " |")
    return "\n".join(rows)
