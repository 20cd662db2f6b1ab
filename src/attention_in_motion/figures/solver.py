"""The figure of chapter 3's page on the solver."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from attention_in_motion.figures.style import COLOURS, panels

WAYS = ("third", "second", "highlight", "model")  # colours of the four ways, plainest first


def frontier(rows: dict[str, tuple[int, float, Tensor, str]], target: float) -> Figure:
    """One-step MSE of every seed against parameters and training minutes, one colour per way.

    Rows are (parameters, minutes, MSE (seed,), colour); without minutes (0) only the left has them.
    """
    figure, (left, right) = panels(2, width=4.2, height=3.6, sharey=True)
    for name, (size, minutes, values, colour) in rows.items():
        look = {"color": COLOURS[colour], "label": "_" if colour == "control" else name}
        left.plot([size] * len(values), values, "o", alpha=0.7, markersize=5, **look)
        if minutes:
            right.plot([minutes] * len(values), values, "o", alpha=0.7, markersize=5, **look)
    left.plot([], [], "o", color=COLOURS["control"], label="the ladder")
    for ax, xlabel in ((left, "parameters"), (right, "minutes of training per seed, one core")):
        ax.axhline(target, color=COLOURS["control"], linestyle="--")
        ax.set(xscale="log", yscale="log", xlabel=xlabel)
    left.set(ylabel="one-step MSE")
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, loc="outside right upper")
    return figure
