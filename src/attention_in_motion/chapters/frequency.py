"""Chapter 3, second section: where a model without order has its frequency from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attention_in_motion.chapters.oscillators import LADDER, OverFrequencies, ladder
from attention_in_motion.chapters.page import claim, rules

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attention_in_motion.measures.trajectories import TestSet
    from attention_in_motion.training.oscillator import OscillatorRun

PAGE = "03_variable_omega/frequency"
N_PROBED = 512  # trajectories of the linear probes: half to fit on, half to score
EVERY = 4  # the probes look at every fourth position, and at the last


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


def r2_by_place(
    model: nn.Module, seen: TestSet, targets: Tensor, fitted: Tensor
) -> dict[str, Tensor]:
    """Held-out R² of linear probes on the stream, {layer's place: (positions, k)}, mean over seeds.

    targets (n, k); fitted on the rows where `fitted` (n,); at every `EVERY`-th position, counted
    back from the last.
    """
    from attention_in_motion.measures.probes import encoding, streams

    looked_at = slice((seen.context - 1) % EVERY, None, EVERY)
    found = {}
    for name, stream in streams(model, seen).items():
        if name.endswith(("pre", "post")):  # between the blocks, not inside them
            chosen = stream[:, :, looked_at]
            found[name.removeprefix("blocks.")] = encoding(chosen, targets, fitted).mean(0)
    return found
