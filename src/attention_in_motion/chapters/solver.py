"""Chapter 3, third section: a transformer that solves variable ω, and what it knows of ω0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from attention_in_motion.chapters.oscillators import SMALL, SOLVER, VariableDamping, ladder
from attention_in_motion.chapters.page import Count, Seeds, claim, rules

if TYPE_CHECKING:
    from attention_in_motion.training.oscillator import OscillatorRun

PAGE = "03_variable_omega/solver"


class Parameters(VariableDamping):
    """What the page may be given."""

    page = PAGE
    solver_seeds: Seeds
    solver_steps: Count
    polishing: Annotated[int, Field(ge=0)]
    gamma_seeds: Seeds


RULES = rules(
    PAGE,
    claim(
        "P2.15",
        "can a transformer do it? (at most 16 000 parameters)",
        "MSE, ω0 ∈ [1, 4]",
        at_most=1e-09,
        kind="open",
    ),
    claim(
        "P2.15b",
        "... and roll it out",
        "median e_50",
        at_most=0.01,
        kind="open",
    ),
    claim(
        "P2.15c",
        "the solution is no linear rule in disguise",
        "superposition defect over root-mean-square error",
        at_least=100.0,
        kind="ours",
    ),
    claim(
        "P2.17",
        "the model learns ω0 first, then predicts",
        "share of windows, with the past of one frequency and the last state of another motion, "
        "whose answer is that frequency's (score at least 0.95)",
        at_least=0.9,
    ),
    claim(
        "P2.17c",
        "... and a model that does so passes this test",
        "the same share, of a solver trained on such windows",
        at_least=0.9,
        kind="ours",
    ),
    # Per seed, the place (any before the last block's output) and the number of directions, one to
    # six, are those with the largest share on other pairs than the ones scored; the subspace itself
    # is learnt on a third set.
    claim(
        "P2.17e",
        "there is a subspace that holds ω0, found by search",
        "share of pairs of windows whose answer follows ω0 when at most six directions of the "
        "stream, those that a search finds, are exchanged between them (score at least 0.95)",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.17f",
        "... and in a model that applies ω0 to whatever state it is given, the search finds it",
        "the same share, of a solver trained on windows with foreign last states",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.17g",
        "... and in an untrained network it finds none",
        "the same share, of that solver before training",
        at_most=0.1,
        kind="ours",
    ),
    claim(
        "P2.17d",
        "what a linear probe reads of ω0 is what the answer is made from",
        "share of pairs whose prediction follows ω0 when the residual stream is moved (score "
        "at least 0.95)",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.17b",
        "... and the same move does nothing when the frequencies are shuffled",
        "median score of the map fitted on shuffled ω0",
        at_most=0.3,
        kind="ours",
    ),
    # P2.17h and P2.17i are scored at the place with the highest median score on half of the pairs,
    # every network's own, as P2.17d is.
    claim(
        "P2.17h",
        "... and in a model that applies ω0 to whatever state it is given, the linear move works",
        "the share of P2.17d, of a solver trained on windows with foreign last states",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P2.17i",
        "... and in an untrained network it does not",
        "the share of P2.17d, of that solver before training",
        at_most=0.1,
        kind="ours",
    ),
    claim(
        "P2.18b",
        "the solver handles variable γ as well",
        "median e_50 with γ ~ U[0, 0.5]",
        at_most=0.01,
        kind="ours",
    ),
    claim(
        "P2.22",
        "ω0² stands linearly in the solver's stream before the answer is formed",
        "held-out R² at the last position, best place before the last block's output",
        at_least=0.95,
        kind="ours",
    ),
    claim(
        "P2.22b",
        "... and it takes training to get there",
        "highest held-out R² of ω0² from the raw window, an untrained network, shuffled labels",
        at_most=0.5,
        kind="ours",
    ),
    claim(
        "P2.22c",
        "... also in windows that begin later, where the start does not give ω0 away",
        "held-out R² at the last position, at the same place",
        at_least=0.95,
        kind="ours",
    ),
    claim(
        "P2.22d",
        "... which again takes training",
        "highest held-out R² of the three controls in such windows",
        at_most=0.5,
        kind="ours",
    ),
)


# Ways to solve variable ω with at most 16 000 parameters, from the plainest to the best.
LARGE = {"n_layers": 3, "d_model": 24, "d_head": 24, "d_mlp": 48}
SOLVERS: dict[str, dict[str, Any]] = {
    "plain": {"normalised": False, "later": 0.0, **LARGE},
    "normalised": LARGE,
    "small": SMALL,
    "small, polished": SMALL,
}
BEST = "small, polished"
POSITIVE = "solver small, foreign last state"  # the positive control of P2.17


def runs(p: Parameters) -> dict[str, OscillatorRun]:
    """The four solvers, the best one with variable damping or foreign last states, the ladder."""
    from attention_in_motion.training.oscillator import SolverRun

    budget = {"seeds": tuple(range(p.solver_seeds)), "steps": p.solver_steps}
    shared = {**p.physics, **SOLVER, **budget, "later": p.later}
    polished = {"iterations": p.polishing}
    found: dict[str, OscillatorRun] = {
        f"solver {name}": SolverRun(**{**shared, **shape, **(polished if name == BEST else {})})
        for name, shape in SOLVERS.items()
    }
    damped = {"gamma_min": 0.0, "gamma_max": p.gamma_max, "points": 1024}
    damped |= {"seeds": tuple(range(p.gamma_seeds))}
    found["solver small polished variable gamma"] = SolverRun(
        **{**shared, **SMALL, **polished, **damped}
    )
    briefly = {"iterations": p.polishing // 2, "points": 1024}
    found[POSITIVE] = SolverRun(**{**shared, **SMALL, **briefly}, foreign_last=True)
    return {**found, **ladder(p)}
