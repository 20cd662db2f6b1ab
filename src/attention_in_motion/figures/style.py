"""Colours, panels, bands, strips and maps that the figures of all pages share.

A figure function takes arrays and returns a Figure. One colour per thing through the whole book.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

# Okabe and Ito's colour-blind-safe palette.
COLOURS = {
    "truth": "#000000",
    "model": "#0072B2",
    "rival": "#D55E00",
    "linear": "#009E73",
    "control": "#999999",
    "highlight": "#CC79A7",
    "second": "#E69F00",
    "third": "#56B4E9",
}

STYLE = {
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
plt.rcParams.update(STYLE)  # legends and ticks are styled when they are made, and when drawn


def panels(
    n: int, width: float = 4.2, height: float = 3.2, columns: int | None = None, **kwargs
) -> tuple[Figure, list[Axes]]:
    """n axes of that size in the book's style, in rows of `columns` (default: all in one row).

    The figure is closed so that a page shows it once; places without a panel stay empty, and with
    shared axes the panel above such a place keeps its labels.
    """
    columns = n if columns is None else columns
    rows = -(-n // columns)
    size = {"figsize": (width * columns, height * rows), "squeeze": False}
    figure, grid = plt.subplots(rows, columns, **size, **kwargs)
    plt.close(figure)
    axes = list(grid.flat)
    for place, ax in enumerate(axes[n:], start=n):
        ax.set_axis_off()
        axes[place - columns].tick_params(labelbottom=True)
    return figure, axes[:n]


def band(axes: Axes, x: Tensor, runs: Tensor, colour: str, label: str) -> None:
    """The median over seeds of runs (seed, n) and the range of the seeds as a band."""
    axes.plot(x, runs.median(dim=0).values, color=COLOURS[colour], label=label)
    low, high = runs.min(dim=0).values, runs.max(dim=0).values
    axes.fill_between(x, low, high, color=COLOURS[colour], alpha=0.2, linewidth=0)


def strip(axes: Axes, row: float, values: Tensor, colour: str, label: str | None = None) -> None:
    """One point per seed on a horizontal strip, with the median as a bar."""
    y = [row] * len(values)
    axes.plot(values, y, "o", color=COLOURS[colour], alpha=0.6, markersize=5, label=label)
    axes.plot([values.median()] * 2, [row - 0.25, row + 0.25], color=COLOURS[colour], linewidth=2)


def strips(
    rows: dict[str, Tensor], xlabel: str, scale: str = "linear", mark: float | None = None
) -> Figure:
    """One horizontal strip of seeds per row, with a dotted line at `mark`."""
    figure, (axes,) = panels(1, width=6.5, height=0.42 * len(rows) + 0.9)
    if mark is not None:
        axes.axvline(mark, color=COLOURS["truth"], linestyle=":")
    for row, (_, values) in enumerate(rows.items()):
        strip(axes, row, values, "model")
    axes.set(xscale=scale, yticks=range(len(rows)), yticklabels=list(rows), xlabel=xlabel)
    axes.invert_yaxis()
    return figure


def error_curves(
    x: Tensor, curves: dict[str, Tensor], xlabel: str, ylabel: str, limit: float | None = None
) -> Figure:
    """Bands over seeds of several models (seed, n) against x, on a logarithmic axis."""
    figure, (axes,) = panels(1, width=7, height=3.4)
    colours = ("control", "rival", "second", "third", "linear", "highlight", "model", "truth")
    for colour, (name, runs) in zip(colours, curves.items(), strict=False):
        band(axes, x, runs, colour, name)
    if limit is not None:
        axes.axhline(limit, color=COLOURS["control"], linestyle=":")
    axes.set(yscale="log", xlabel=xlabel, ylabel=ylabel)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def probe_maps(maps: dict[str, dict[str, Tensor]], every: int = 1) -> Figure:
    """R² by place (rows) and every `every`-th position: {title: {place: (T',)}}; all end at T."""
    figure, axes = panels(len(maps), width=4.6, height=3.2)
    for ax, (title, rows) in zip(axes, maps.items(), strict=True):
        context = max(map(len, rows.values()))
        image = torch.full((len(rows), context), torch.nan)
        for row, values in enumerate(rows.values()):
            image[row, context - len(values) :] = values
        extent = (0.5, every * context + 0.5, len(rows) - 0.5, -0.5)
        shown = ax.imshow(
            image.numpy(), vmin=0, vmax=1, aspect="auto", extent=extent, cmap="viridis"
        )
        ax.set(title=title, xlabel="position t", yticks=range(len(rows)), yticklabels=list(rows))
        ax.grid(False)
    figure.colorbar(shown, ax=axes, label="held-out R²", shrink=0.85)
    return figure
