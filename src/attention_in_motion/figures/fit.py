"""Figures of `fit` and of its benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure
from numpy.typing import NDArray

from attention_in_motion.figures.style import COLOURS, panels


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
