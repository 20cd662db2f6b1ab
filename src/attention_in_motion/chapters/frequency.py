"""Chapter 3, second section: where a model without order has its frequency from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attention_in_motion.chapters.oscillators import LADDER, OverFrequencies, ladder
from attention_in_motion.chapters.page import claim, rules

if TYPE_CHECKING:
    from attention_in_motion.training.oscillator import OscillatorRun

PAGE = "03_variable_omega/frequency"


class Parameters(OverFrequencies):
    """What the page may be given."""

    page = PAGE
    examined: Literal[*LADDER]


RULES = rules(
    PAGE,
    claim(
        "P2.20",
        "the model reads ω0 off the ratio of mean squares",
        "partial R² of its error on that estimator's error, given ω0",
        at_least=0.5,
        kind="ours",
    ),
)


def runs(p: Parameters) -> dict[str, OscillatorRun]:
    """The rung that is taken apart."""
    return {p.examined: ladder(p)[p.examined]}
