"""Figures of `fit` and of its benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attention_in_motion.figures.style import COLOURS, label_ends, look, panels
from attention_in_motion.statistics import Estimate


def fitted(
    tracks: Iterable[tuple[NDArray, NDArray]],
    curves: Iterable[tuple[NDArray, NDArray]],
    names: Sequence[str],
) -> Figure:
    """One panel per coordinate: measured (times, values) as points, the law's curve through them.

    Values and curves are (n, dimension), in the units of the data.
    """
    figure, axes = panels(len(names), columns=min(2, len(names)))
    for ticks, pairs in (("o", tracks), ("-", curves)):
        for times, values in pairs:
            for ax, x in zip(axes, values.T, strict=True):
                colour = COLOURS["control" if ticks == "o" else "model"]
                ax.plot(times, x, ticks, color=colour, markersize=4)
    for ax, name in zip(axes, names, strict=True):
        ax.set(xlabel="t", ylabel=name)
    return figure


def compared(
    results: dict[str, dict[str, Sequence[Estimate]]], conditions: Sequence[str], xlabel: str = ""
) -> Figure:
    """Shares with their intervals by condition: {panel: {method: one estimate a condition}}.

    Methods with one name up to a comma ("PySINDy, default", "PySINDy, tuned") share a colour, and
    all but the last of them are dashed.
    """
    figure, axes = panels(len(results), height=2.6, columns=1, sharex=True, sharey=True)
    for ax, (title, methods) in zip(axes, results.items(), strict=True):
        last = {name.partition(",")[0]: name for name in methods}  # by family
        for place, (name, estimates) in enumerate(methods.items()):
            family = name.partition(",")[0]
            colour, weight = look(family, list(last).index(family))
            dashes = "-" if last[family] == name else "--"
            x = np.arange(len(conditions)) + 0.06 * (place - (len(methods) - 1) / 2)
            y = np.array([value for value, _ in estimates])
            sides = np.abs(np.array([interval for _, interval in estimates]).T - y)  # (2, n)
            style = {"color": COLOURS[colour], "linewidth": weight, "markersize": 4}
            ax.errorbar(x, y, sides, fmt="o", elinewidth=0.8, **style)
            ax.plot(x, y, dashes, label=name, **style)
        ax.set(title=title, ylim=(0, 1), ylabel="share of systems")
    axes[-1].set_xticks(range(len(conditions)), conditions)
    axes[-1].set_xlabel(xlabel)
    for ax in axes:
        label_ends(ax)
    return figure


def by_samples(numbers: Sequence[int], curves: dict[str, Sequence[float]]) -> Figure:
    """Shares of systems against the number of samples of which the best is taken."""
    figure, (axes,) = panels(1, height=3.0)
    for place, (name, shares) in enumerate(curves.items()):
        colour, weight = look(name, place)
        style = {"color": COLOURS[colour], "linewidth": weight, "markersize": 4}
        axes.plot(numbers, shares, "o-", label=name, **style)
    axes.set(xscale="log", ylim=(0, 1), xlabel="samples", ylabel="share of systems")
    axes.set_xticks(numbers, map(str, numbers))
    axes.minorticks_off()
    label_ends(axes)
    return figure
