"""Chapter 3, first section: is it cheating without the causal mask, and is it the mask at all?"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from attention_in_motion.chapters.oscillators import (
    WIDE,
    OverFrequencies,
    ladder,
    shown_over_seeds,
)
from attention_in_motion.chapters.page import claim, rules

if TYPE_CHECKING:
    from torch import Tensor

    from attention_in_motion.measures.trajectories import TestSet
    from attention_in_motion.training.oscillator import OscillatorRun
    from attention_in_motion.training.store import Trained

PAGE = "03_variable_omega/mask"
MASKED, OPEN = "4LA 32/16", "4LA 32/16 open"  # the rungs that differ in the mask alone
DEEPEST = "8LA 32/16 open"
N_LEAK = 128  # held-out trajectories on which copying is measured
N_PLACES = 13  # at about so many positions


class Parameters(OverFrequencies):
    """What the page may be given."""

    page = PAGE
    examined: Literal[  # the open cells of the factorial
        "4LA 32/16 open",
        "4LA 32/16 open positions",
        "4LA 32/16 open last loss",
        "4LA 32/16 open last loss positions",
    ]


# "Open" means without causal mask; MSE is the squared error of the next state at the last position.
RULES = rules(
    PAGE,
    claim(
        "P2.11",
        "there is no cheating in removing the mask",
        "MSE at positions before the last with the answer removed from the window, a later state "
        "of the same trajectory in its place, over without (4LA 32/16 open)",
        at_most=1.1,
    ),
    claim(
        "P2.11f",
        "what the future tells an open model is the frequency, not the answer",
        "MSE there with another trajectory's future but the answer left in, over without the "
        "answer too",
        at_least=0.8,
        kind="ours",
    ),
    claim(
        "P2.11b",
        "removing the mask improves the last position",
        "main effect of the mask's removal on log10 MSE",
        at_most=0.0,
        kind="ours",
    ),
    claim(
        "P2.11c",
        "a loss on the last position alone improves it",
        "main effect on log10 MSE",
        at_most=0.0,
        kind="ours",
    ),
    claim(
        "P2.11d",
        "positions improve it",
        "main effect on log10 MSE",
        at_most=0.0,
        kind="ours",
    ),
    claim(
        "P2.11e",
        "with the mask, positions and the last-position loss nothing is lost",
        "MSE of that cell over the post's (open, all positions, no embedding)",
        at_most=1.0,
        kind="ours",
    ),
    claim(
        "P2.19",
        "without mask and positions the past is a set",
        "relative change of the prediction when the first 39 states are shuffled, float64",
        at_most=1e-06,
        kind="ours",
        source="rounding",
        seeds=False,
    ),
)


# Mask × loss × positions on 4LA 32/16; two of the eight cells are rungs of the ladder.
FACTORS = {"causal": (True, False), "loss_on": ("all", "last"), "positions": (False, True)}
NAMES = {"causal": "open", "loss_on": "last loss", "positions": "positions"}
CHANGES = ["mask removed", "loss on the last position", "positions"]  # the second levels


def factorial() -> dict[str, dict[str, Any]]:
    """The eight cells by name, each factor named where it is at its second level."""
    cells = {}
    for levels in itertools.product(*FACTORS.values()):
        chosen = dict(zip(FACTORS, levels, strict=True))
        words = [NAMES[f] for f, level in chosen.items() if level == FACTORS[f][1]]
        cells[" ".join([MASKED, *words])] = {"n_layers": 4, **WIDE, **chosen}
    return cells


def runs(p: Parameters) -> dict[str, OscillatorRun]:
    """The eight cells of the factorial, and the last rung of the ladder."""
    from attention_in_motion.training.oscillator import OscillatorRun

    cells = {name: OscillatorRun(**p.recipe, **cell) for name, cell in factorial().items()}
    return {**cells, DEEPEST: ladder(p)[DEEPEST]}


def places(context: int) -> list[int]:
    """Positions, from the first on, at which copying is measured."""
    return list(range(0, context, max(1, context // N_PLACES)))


def cells_table(trained: dict[str, Trained], mse: dict[str, Tensor], few: TestSet) -> str:
    """The cells in numbers, as Markdown: MSE (seed,), and how much an open one attends to t + 1."""
    from attention_in_motion.measures.mask import mass_on_next

    lines = ["| cell | MSE | attention to t + 1, strongest layer |", "|---|---|---|"]
    for name, values in mse.items():
        cell = trained[name]
        mass = "masked" if cell.run.causal else shown_over_seeds(mass_on_next(cell.model, few))
        lines.append(f"| {name} | {shown_over_seeds(values)} | {mass} |")
    return "\n".join(lines)
