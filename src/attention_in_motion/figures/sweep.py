"""The drawing of a sweep: one claim against one parameter."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from attention_in_motion.figures.style import COLOURS, panels

MARKS = {"holds": "o", "holds_in_part": "s", "does_not_hold": "x"}  # by verdict


def claim_against(
    name: str,
    values: Sequence,
    estimates: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    verdicts: Sequence[str],
    rule: str,
) -> Figure:
    """Estimates with their intervals over the values of a parameter; the marks are verdicts.

    Entry i of each sequence is one point of the sweep; `name` is the parameter, `rule` the title. A
    logarithmic axis is taken where positive estimates span more than a factor of a hundred.
    """
    figure, (ax,) = panels(1, height=3.8)
    for verdict, mark in MARKS.items():
        chosen = [i for i, found in enumerate(verdicts) if found == verdict]
        x, y = [values[i] for i in chosen], [estimates[i] for i in chosen]
        below = [estimates[i] - intervals[i][0] for i in chosen]
        above = [intervals[i][1] - estimates[i] for i in chosen]
        colour, label = COLOURS["model"], verdict.replace("_", " ")
        if chosen:
            ax.errorbar(x, y, (below, above), fmt=mark, color=colour, capsize=3, label=label)
    if min(estimates) > 0 and max(estimates) > 100 * min(estimates):
        ax.set_yscale("log")
    ax.set(xlabel=name, title=rule)
    ax.legend()
    return figure
