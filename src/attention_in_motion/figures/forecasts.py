"""Figures of the page on the time-series transformer."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from attention_in_motion.figures.style import COLOURS, panels

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles that are drawn: two bands and the median


def fans(
    examples: dict[str, tuple[NDArray, NDArray, NDArray, NDArray | None]], columns: int = 2
) -> Figure:
    """One panel per series: (past (T,), future (h,), samples (n, h), a rival's mean (h,) or None).

    Bands hold half and nine tenths of the samples; the line in them is their median.
    """
    figure, axes = panels(len(examples), height=2.2, columns=columns, sharex=True)
    for ax, (name, (past, future, samples, rival)) in zip(axes, examples.items(), strict=True):
        ahead = len(past) + np.arange(len(future))
        low, quarter, middle, three, high = np.quantile(samples, LEVELS, axis=0)
        ax.plot(past, color=COLOURS["truth"], linewidth=1, label="given")
        ax.plot(ahead, future, ".", color=COLOURS["truth"], markersize=4, label="what came")
        ax.fill_between(ahead, low, high, color=COLOURS["model"], alpha=0.15, linewidth=0)
        ax.fill_between(ahead, quarter, three, color=COLOURS["model"], alpha=0.3, linewidth=0)
        ax.plot(ahead, middle, color=COLOURS["model"], label="forecast")
        if rival is not None:
            ax.plot(ahead, rival, "--", color=COLOURS["rival"], label="autoregression")
        ax.set_title(name)
    for ax in axes[-columns:]:
        ax.set_xlabel("time step")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def by_kind(
    kinds: list[str], groups: dict[str, tuple[ArrayLike, str]], ylabel: str, level: float
) -> Figure:
    """One dot a model for each kind: {name: (scores (model, kind), colour)}; dotted: `level`."""
    figure, (ax,) = panels(1, height=3.2)
    shifts = np.linspace(-0.25, 0.25, len(groups)) if len(groups) > 1 else [0.0]
    for shift, (name, (scores, colour)) in zip(shifts, groups.items(), strict=True):
        values = np.asarray(scores, dtype=float)  # (model, kind)
        x = np.broadcast_to(np.arange(len(kinds)) + shift, values.shape)
        style = {"color": COLOURS[colour], "alpha": 0.6, "markersize": 4}
        ax.plot(x.T, values.T, "o", **style)
        ax.plot([], [], "o", **style, label=name)
    ax.axhline(level, color=COLOURS["truth"], linestyle=":", label="rule")
    ax.set(xticks=range(len(kinds)), xticklabels=kinds, ylabel=ylabel)
    figure.legend(loc="outside upper center", ncols=4)
    return figure
