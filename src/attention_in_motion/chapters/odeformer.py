"""Chapter 5, post 4: what ODEFormer is, how good ours is, and what it cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from attention_in_motion.chapters.page import (
    Parameters as PageParameters,
)
from attention_in_motion.chapters.page import (
    Positive,
    claim,
    rules,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from attention_in_motion.odeformer.network.model import ODEFormer
    from attention_in_motion.odeformer.recognise import Candidate

PAGE = "05_odeformer"


class Parameters(PageParameters):
    """What the page may be given."""

    page = PAGE
    model: Annotated[str, Field(min_length=1)]
    n_points: Annotated[int, Field(ge=8, le=200)]
    n_samples: Annotated[int, Field(ge=1, le=200)]
    temperature: Positive
    n_curves: Annotated[int, Field(ge=2, le=200)]
    seed: Annotated[int, Field(ge=0)]


# A trajectory is recognised when the best of ten samples reaches R² > 0.9 on it. One model, so the
# intervals are over systems, not over seeds, but for the twins.
RULES = rules(
    PAGE,
    claim(
        "P4.0",
        "the model has 86 million parameters",
        "parameters of the released sizes [millions]",
        at_least=85.0,
        at_most=87.0,
        seeds=False,
    ),
    claim(
        "P4.8",
        "the model sometimes gets the dimension of the system wrong",
        "share of held-out systems whose greedy answer has another dimension",
        at_least=0.01,
        seeds=False,
    ),
    claim(
        "P4.15",
        "finished beams go on with one default token",
        "share of finished rows, over random weights, whose logits are the output bias alone",
        at_least=1.0,
        source="exact",
        seeds=False,
    ),
    claim(
        "P4.20",
        "steep sigmoids derail the model",
        "the released model's share recognised of steep sigmoids, as P4.20m says",
        at_most=0.5,
        seeds=False,
    ),
    claim(
        "P4.20m",
        "steep sigmoids derail ours",
        "share recognised of sigmoids with steepness 4 and 8 whose start is at least e^-6 from 1",
        at_most=0.5,
        kind="ours",
        seeds=False,
    ),
    claim(
        "P4.20b",
        "... what derails it is a start too near the fixed point",
        "share recognised of sigmoids with steepness up to 2 whose start is e^-9 or e^-12 from 1",
        at_most=0.5,
        kind="ours",
        seeds=False,
    ),
    # Read by twins, models that differ in their seed alone; intervals are over them. P4.20e is the
    # control: where it fails, the twins are too weak for the others to say anything.
    claim(
        "P4.20c",
        "steep sigmoids derail models of other seeds, too",
        "share recognised of sigmoids with steepness 4 and 8 whose start is at least e^-6 from 1, "
        "twins",
        at_most=0.5,
        kind="ours",
    ),
    claim(
        "P4.20d",
        "... and so does a start too near the fixed point",
        "share recognised of sigmoids with steepness up to 2 whose start is e^-9 or e^-12 from 1, "
        "twins",
        at_most=0.5,
        kind="ours",
    ),
    claim(
        "P4.20e",
        "... where gentle sigmoids with a free start are recognised",
        "share recognised of sigmoids with steepness 1 and 2 whose start is e^-2 or e^-4 from 1, "
        "twins",
        at_least=0.5,
        kind="ours",
    ),
    claim(
        "P4.20f",
        "at the same steepness, a start nearer to the fixed point is recognised less often",
        "change of the log-odds of recognition when b grows by 1, at fixed steepness, twins",
        at_most=0.0,
        kind="ours",
    ),
    claim(
        "P4.34",
        "our model recognises one-dimensional systems",
        "share recognised of the one-dimensional families on their documented ranges, no noise",
        at_least=0.8,
        kind="ours",
        seeds=False,
    ),
    claim(
        "P4.35",
        "... and two-dimensional ones",
        "share recognised of the two-dimensional families on their documented ranges, no noise",
        at_least=0.6,
        kind="ours",
        seeds=False,
    ),
    claim(
        "P4.35b",
        "... oscillators among them",
        "lower of the shares recognised of undamped and damped oscillators with omega up to 3",
        at_least=0.8,
        kind="ours",
        seeds=False,
    ),
    claim(
        "P4.36",
        "it writes the right operators and signs",
        "lower of the teacher-forced shares of right operators and right signs, held out",
        at_least=0.9,
        kind="ours",
        seeds=False,
    ),
    claim(
        "P4.36b",
        "... of systems whose form it knows",
        "lower of the shares of right operators and right signs, new systems of the families",
        at_least=0.97,
        kind="ours",
        seeds=False,
    ),
    claim(
        "P4.37",
        "what it finds is the equation, not the curve",
        "of the families' systems recognised at the given start, the share also at a new one",
        at_least=0.9,
        kind="ours",
        seeds=False,
    ),
)


RECOGNISED = 0.9  # a trajectory is recognised from this R² on

# The sigmoids x = 1/(1 + e^(a (t − middle))) on [0, 10]: steepness a, and a · middle, by which the
# start is saturated. Middles beyond LATEST would leave no fall to see.
STEEPNESS = (0.5, 1.0, 2.0, 4.0, 8.0)
SATURATION = (2.0, 4.0, 6.0, 9.0, 12.0)
LATEST = 9.5
STEEP, GENTLE = (4.0, 8.0), (0.5, 1.0, 2.0)
FREE, SATURATED = (2.0, 4.0, 6.0), (9.0, 12.0)
CONTROL = (1.0, 2.0), (2.0, 4.0)  # steepness, and saturation, at which curves should be recognised

# name: (system in prefix notation, start, end of the time span)
EXAMPLES: dict[str, tuple[list[list], list[float], float]] = {
    "decay: x' = −0.5 x": ([["mul", -0.5, "x_0"]], [2.0], 6),
    "logistic: x' = 0.8 x (1 − x / 5)": (
        [["mul", "x_0", "add", 0.8, "mul", -0.16, "x_0"]],
        [0.5],
        10,
    ),
    "oscillator: x' = y, y' = −2 x": ([["x_1"], ["mul", -2.0, "x_0"]], [1.0, 0.5], 5),
    "damped: x' = y, y' = −4 x − 0.4 y": (
        [["x_1"], ["add", "mul", -4.0, "x_0", "mul", -0.4, "x_1"]],
        [1.0, 0.5],
        6,
    ),
    "pendulum: x' = y, y' = −2 sin x": (
        [["x_1"], ["mul", -2.0, "sin", "x_0"]],
        [2.0, 0.5],
        8,
    ),
    "Lotka–Volterra: x' = x − 0.5 x y, y' = −y + 0.3 x y": (
        [
            ["add", "x_0", "mul", -0.5, "mul", "x_0", "x_1"],
            ["add", "mul", -1.0, "x_1", "mul", 0.3, "mul", "x_0", "x_1"],
        ],
        [2.0, 1.0],
        9,
    ),
    "van der Pol: x' = y, y' = (1 − x²) y − x": (
        [
            ["x_1"],
            ["add", "mul", "add", 1.0, "mul", -1.0, "pow", "x_0", 2, "x_1", "mul", -1.0, "x_0"],
        ],
        [1.0, 0.5],
        10,
    ),
}


def runs(p: Parameters) -> dict[str, object]:
    """Nothing is trained here: `odeformer.weights` says which file a model's name means."""
    return {}


# What the script `odeformer.evaluation` found, picked out of its rows.


def row_of(rows: list[dict], group: str, condition: str, method: str = "10 samples") -> dict:
    """The row of a group of systems under a condition, by a method."""
    keys = {"group": group, "condition": condition, "method": method}
    return next(row for row in rows if keys.items() <= row.items())


def worst_kind(tokens: list[dict], kinds: list[str], systems: str = "all") -> dict:
    """The kind of word that is written right least often: on all held-out systems, or a part."""
    chosen = [row for row in tokens if row["systems"] == systems and row["kind"] in kinds]
    return min(chosen, key=lambda row: row["share"])


def hits(rows: list[dict], condition: str) -> int:
    """How many systems of the families are recognised under a condition."""
    found = [row_of(rows, f"families {dimension}", condition) for dimension in ("1-D", "2-D")]
    return round(sum(row["share"] * row["n"] for row in found))


def twin_scores(table: dict) -> dict[str, list[float]]:
    """What `odeformer.steepness` found of each model, by the claim that asks for it."""
    import numpy as np

    from attention_in_motion.statistics import logistic

    a, cell, b = (np.array(table["raw"][name]) for name in ("steepness", "saturation", "b"))
    asked = {"P4.20c": (STEEP, FREE), "P4.20d": (GENTLE, SATURATED), "P4.20e": CONTROL}
    found: dict[str, list[float]] = {name: [] for name in [*asked, "P4.20f"]}
    for row in table["rows"].values():
        good = np.array(row["r2"]) > RECOGNISED
        for name, (some, starts) in asked.items():
            here = np.isin(a, some) & np.isin(cell, starts)
            found[name].append(float(good[here].mean()))
        _, (by_start, _) = logistic(np.column_stack([np.log2(a), b]), good)
        found["P4.20f"].append(by_start)
    return found


def shares_by_cell(table: dict) -> list[list[float]]:
    """Mean over models of the share recognised, a row a saturation; NaN where there is no curve."""
    import numpy as np

    a, cell = (np.array(table["raw"][name]) for name in ("steepness", "saturation"))
    good = np.array([row["r2"] for row in table["rows"].values()]) > RECOGNISED  # (model, curve)
    here = [[(a == one) & (cell == start) for one in STEEPNESS] for start in SATURATION]
    return [[good[:, k].mean() if k.any() else float("nan") for k in row] for row in here]


def wrong_dimensions(rows: list[dict], condition: str) -> tuple[int, int]:
    """Greedy answers with another dimension than the system's, and all of them."""
    greedy = [r for r in rows if r["condition"] == condition and r["method"] == "greedy"]
    whole = [row for row in greedy if row["group"].endswith("-D")]  # every system once
    wrong = sum(row["wrong_dimension"] * row["n"] for row in whole)
    return round(wrong), sum(row["n"] for row in whole)


def tokens_table(tokens: list[dict]) -> str:
    """Shares of right words by kind as Markdown: all held-out systems beside the families'."""
    by_kind: dict[str, list[str]] = {}
    for row in tokens:
        entry = f"{row['share']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        by_kind.setdefault(row["kind"], []).append(entry)
    lines = ["| word | right, all held-out systems | families alone |", "|---|---|---|"]
    return "\n".join(lines + [f"| {kind} | {' | '.join(e)} |" for kind, e in by_kind.items()])


def families_table(result: dict, conditions: list[str]) -> str:
    """Markdown, a row a family: the share kept, and recognised shares of ten samples and ceilings.

    `result` is the evaluation's; the conditions are the given start and both starts.
    """
    given, both = conditions
    columns = [("10 samples", given), ("10 samples", both)]
    columns += [(f"true form, {how}", both) for how in ("written", "refined")]
    lines = [
        "| family | kept of those drawn | recognised | at both starts "
        "| true form, its constants as words | refined |",
        "|---|---|---|---|---|---|",
    ]
    for name, counts in result["population"].items():
        found = [row_of(result["rows"], name, at, method) for method, at in columns]
        shares = " | ".join(f"{row['share']:.2f}" for row in found)
        lines.append(f"| {name} | {counts['kept'] / counts['drawn']:.2f} | {shares} |")
    return "\n".join(lines)


def shown(candidate: Candidate) -> str:
    """A candidate's equations and R² as two cells of a table."""
    from attention_in_motion.odeformer.language.expressions import to_infix

    equations = to_infix(candidate.system, 3).replace(" | ", "; ")
    return f"`{equations}` | {candidate.r2:.4f}"


def logits_after_the_end(network: ODEFormer, rng: torch.Generator) -> Tensor:
    """Logits of a row that has ended while another goes on: (places, words).

    Random points and words, two rows of 6 and 15 words; the places after the first row's end.
    """
    import torch

    points = torch.randint(0, 100, (2, 9, 9), generator=rng)
    tokens = torch.randint(0, 100, (2, 15), generator=rng)
    return network(points, torch.tensor([9, 9]), tokens, torch.tensor([6, 15]))[0, 6:]
