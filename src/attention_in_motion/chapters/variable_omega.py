"""Chapter 3, post 2 at variable ω: the post's ladder, and the linear question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from attention_in_motion.chapters.oscillators import (
    LADDER,
    VariableDamping,
    ladder,
    shown_over_seeds,
)
from attention_in_motion.chapters.page import Seeds, claim, require, rules
from attention_in_motion.claims import shown

if TYPE_CHECKING:
    from torch import Tensor

    from attention_in_motion.training.oscillator import OscillatorRun
    from attention_in_motion.training.store import Trained

PAGE = "03_variable_omega"
LAST_RUNG = "8LA 32/16 open"
N_MIDDLE = 128  # held-out trajectories at one frequency, in the middle of the range

# The linear question: Eq. 2 over several contexts, solved on trajectories spread over ω0.
CONTEXTS = (1, 2, 3, 5, 10, 20, 40)
ENOUGH = 5  # tokens
N_FITTED = 4096  # trajectories that the rule is solved on
RCOND = 1e-14  # singular values below this part of the largest are dropped
N_DISCRETE = 120  # at least so many trajectories, where ω0 has a few values


class Parameters(VariableDamping):
    """What the page may be given."""

    page = PAGE
    longer: Annotated[int, Field(ge=2)]
    longer_seeds: Seeds

    @model_validator(mode="after")
    def compared_seed_by_seed(self) -> Parameters:
        fewer = self.longer_seeds <= self.n_seeds
        require(fewer, "longer_seeds", self.longer_seeds, f"<= n_seeds = {self.n_seeds}")
        return self


# A rollout keeps a trajectory for as many steps as it takes until e_n > 0.1 ("steps kept", the mean
# over held-out trajectories, ω0 spread evenly over its range). e_50, the error after 50 steps, is
# shown and judges nothing: a model that has lost the phase is no better than one that answers
# zero, whatever the number. MSE is the squared error of the next state after 40. Ratios compare
# seed by seed, over seeds the geometric mean. "Helps" is read as: a tenth more steps are kept; "a
# lot": twice as many. "Open" means without causal mask.
RULES = rules(
    PAGE,
    claim(
        "P2.6",
        "variable ω: the problem is no longer linear",
        "smallest held-out MSE of Eq. 2 solved, T = 5 to 40, over the square of float64's epsilon",
        at_least=100.0,
        source="rounding",
        seeds=False,
    ),
    claim(
        "P2.6b",
        "... but Eq. 2, solved, predicts the next state as if it were, from five tokens on",
        "largest held-out MSE of Eq. 2 solved, T = 5 to 40, float64",
        at_most=1e-15,
        kind="ours",
        source="rounding",
        seeds=False,
    ),
    claim(
        "P2.7",
        "OLA 2/2 cannot learn variable ω: wrong within about 10 steps",
        "steps kept",
        at_most=10.0,
    ),
    claim(
        "P2.8",
        "OLA 8/4 does not help, seems worse",
        "steps kept by OLA 8/4 over OLA 2/2",
        at_most=1.1,
    ),
    claim(
        "P2.9",
        "8LA 16/8 with the mask does not help",
        "steps kept by 8LA 16/8 over OLA 2/2",
        at_most=1.1,
    ),
    claim(
        "P2.10",
        "removing the causal mask helps a lot",
        "steps kept by 4LA 32/16 open over masked",
        at_least=2.0,
    ),
    claim(
        "P2.10b",
        "... also with eight layers",
        "steps kept by 8LA 32/16 open over masked",
        at_least=2.0,
    ),
    claim(
        "P2.12",
        "more layers help without the mask",
        "steps kept by 8LA 32/16 open over 4LA 32/16 open",
        at_least=1.1,
    ),
    claim(
        "P2.12b",
        "8LA 32/16 open leads by about 1 rad after 50 steps at ω0 = 2",
        "median signed phase lead [rad], mean over seeds",
        at_least=0.5,
        at_most=1.5,
    ),
    claim(
        "P2.12c",
        "more training is not what the ladder lacks",
        "steps kept by 8LA 32/16 open after four times as many training steps, over before",
        at_most=2.0,
        kind="ours",
    ),
    claim(
        "P2.13",
        "the n-LA tracks better than linear regression",
        "steps kept by 8LA 32/16 open over Eq. 2 solved, T = 40",
        at_least=1.0,
    ),
    claim(
        "P2.13b",
        "... than linear regression as the post trained it",
        "steps kept by 8LA 32/16 open over Eq. 2 by AdamW, T = 40",
        at_least=1.0,
    ),
    claim(
        "P2.14",
        "the n-LA is not linear",
        "relative superposition defect of 8LA 32/16 open",
        at_least=0.01,
    ),
    claim(
        "P2.14b",
        "... because the rollout of its linear surrogate diverges",
        "distance of rollouts after 50 steps, surrogate to teacher, both by AdamW: 8LA 32/16 open "
        "over Eq. 2 by AdamW",
        at_least=3.0,
    ),
    claim(
        "P2.18",
        "variable γ can be learned as well",
        "steps kept by 4LA 32/16 open with γ ~ U[0, 0.5] over γ = 0.1",
        at_least=0.8,
    ),
    claim(
        "P2.21",
        "in-context least squares is the ceiling",
        "MSE in float32, T = 40",
        at_most=1e-13,
        kind="ours",
        source="rounding",
        seeds=False,
    ),
)


def contexts(p: Parameters) -> list[int]:
    """The contexts of the linear models, none longer than the window."""
    return [t for t in CONTEXTS if t <= p.context]


def runs(p: Parameters) -> dict[str, OscillatorRun]:
    """The ladder; its last rung trained longer; one with variable damping; Eq. 2 descended."""
    from attention_in_motion.training.oscillator import LinearRun, OscillatorRun

    few = {**p.recipe, "seeds": tuple(range(p.longer_seeds))}
    damped = {"gamma_min": 0.0, "gamma_max": p.gamma_max}
    found = ladder(p)
    longer = {**few, **LADDER[LAST_RUNG], "steps": p.longer * p.steps}
    found[f"{LAST_RUNG} longer"] = OscillatorRun(**longer)
    varied = {**few, **LADDER["4LA 32/16 open"], **damped}
    found["4LA 32/16 open variable gamma"] = OscillatorRun(**varied)
    for t in contexts(p):
        found[f"linear {t}"] = LinearRun(**{**p.recipe, "context": t, "loss_on": "last"})
    return found


def ladder_table(
    trained: dict[str, Trained], mse: dict[str, Tensor], errors: dict[str, Tensor]
) -> str:
    """The ladder in numbers, as Markdown: MSE (seed,) and e_n (seed, n, steps) of every rung.

    The errors of rollouts that diverged are cut at 10⁶, so that one seed does not make the mean
    infinite.
    """
    from attention_in_motion.measures.trajectories import median_error, steps_kept

    columns = "one-step MSE | steps kept | $e_{50}$ | $e_{50}$, 90% | training minutes"
    lines = [f"| model | parameters | {columns} |", "|---" * 7 + "|"]
    for name, error in errors.items():
        size = sum(weights[0].numel() for weights in trained[name].model.parameters())
        tail = error[..., -1].quantile(0.9, dim=1).clamp(max=1e6)
        numbers = [mse[name], steps_kept(error), median_error(error)[:, -1], tail]
        minutes = f"{trained[name].provenance['seconds'] / 60:.0f}"
        cells = [name, str(size), *map(shown_over_seeds, numbers), minutes]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def discrete_table(p: Parameters, most: int = 5) -> str:
    """Held-out one-step MSE of Eq. 2 solved for 1 to `most` frequencies and T below that."""
    import torch

    from attention_in_motion.measures.linear_rules import solved_mse
    from attention_in_motion.measures.trajectories import held_out

    contexts = range(1, most)
    heads = [f"T = {t}" for t in contexts]
    lines = [f"| frequencies | {' | '.join(heads)} |", "|---" * most + "|"]
    for n in range(1, most + 1):
        few = torch.linspace(p.omega0_min, p.omega0_max, n, dtype=torch.float64)
        omega0, cells = few.repeat(-(-N_DISCRETE // n)), []
        for t in contexts:
            options = {**p.motion, "context": t, "dtype": torch.float64}
            fitted, unseen = (held_out(omega0, **options, seed=seed) for seed in (1, 2))
            cells.append(shown(solved_mse(fitted, unseen, RCOND)))
        lines.append(f"| {n} | {' | '.join(cells)} |")
    return "\n".join(lines)
