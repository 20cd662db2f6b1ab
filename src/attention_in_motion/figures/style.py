"""Colours, panels, bands, strips and maps that the figures of all pages share.

A figure function takes arrays and returns a Figure. One colour per thing through the whole book. A
page shows an inch as 96 px, so a figure as wide as the text is shown as it was drawn, and its
smallest letters are of 14 px.
"""

from __future__ import annotations

from collections.abc import Collection

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import set_matplotlib_formats
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

# What has a name in more than one figure: its colour, and how heavy its line is. The rungs of the
# ladder with a mask are of one colour, those without of another; more layers, a heavier line.
THINGS = {
    "exact": ("truth", 2.0),
    "with the mask": ("rival", 1.8),
    "OLA 2/2": ("rival", 0.7),
    "OLA 8/4": ("rival", 1.1),
    "8LA 16/8": ("rival", 1.5),
    "4LA 32/16": ("rival", 2.0),
    "8LA 32/16": ("rival", 2.6),
    "open": ("model", 1.8),
    "4LA 32/16 open": ("model", 1.1),
    "8LA 32/16 open": ("model", 1.8),
    "open, answer removed": ("third", 1.8),
    "open, future exchanged": ("highlight", 1.8),
    "open, exchanged, answer kept": ("control", 1.8),
    "Eq. 2, AdamW": ("second", 1.5),
    "Eq. 2, solved": ("linear", 1.5),
    "in-context least squares": ("third", 1.5),
    "surrogate of the n-LA": ("highlight", 1.5),
    "the solver": ("model", 1.2),
    "trained on hybrids": ("linear", 1.2),
    "untrained": ("control", 1.2),
}
REST = ("model", "linear", "second", "highlight", "third", "control")  # of what has no such name

WIDTH = 7.0  # inches: the width of the text
SMALLEST = 10.5  # points, of any label
STYLE = {
    "figure.dpi": 96,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": SMALLEST,
    "axes.titlesize": SMALLEST,
    "axes.labelsize": SMALLEST,
    "xtick.labelsize": SMALLEST,
    "ytick.labelsize": SMALLEST,
    "legend.fontsize": SMALLEST,
    "legend.title_fontsize": SMALLEST,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
plt.rcParams.update(STYLE)  # legends and ticks are styled when they are made, and when drawn
if get_ipython() is not None:  # a page: twice as many pixels as are shown, and no margin cut off
    set_matplotlib_formats("retina", bbox_inches=None)


def panels(
    n: int, width: float | None = None, height: float = 3.0, columns: int | None = None, **kwargs
) -> tuple[Figure, list[Axes]]:
    """n axes of that size in the book's style, in rows of `columns` (default: all in one row).

    Without a width a row is as wide as the text. The figure is closed so that a page shows it once;
    places without a panel stay empty, and with shared axes the panel above such a place keeps its
    labels.
    """
    columns = n if columns is None else columns
    rows = -(-n // columns)
    width = WIDTH / columns if width is None else width
    size = {"figsize": (width * columns, height * rows), "squeeze": False}
    figure, grid = plt.subplots(rows, columns, **size, **kwargs)
    plt.close(figure)
    axes = list(grid.flat)
    for place, ax in enumerate(axes[n:], start=n):
        ax.set_axis_off()
        axes[place - columns].tick_params(labelbottom=True)
    return figure, axes[:n]


def ink(colour: str) -> tuple[float, ...]:
    """A colour, as dark as letters on white have to be."""
    return tuple(0.65 * part for part in to_rgb(colour))


def look(name: str, place: int = 0) -> tuple[str, float]:
    """Colour and weight of a thing's line: as in the whole book, else by its place in a figure."""
    return THINGS.get(name, (REST[place % len(REST)], 1.5))


def label_ends(axes: Axes) -> None:
    """Write the name of every named line beside its right end, apart; limits are set before."""
    lines = [line for line in axes.lines if line.get_label()[0] != "_" and len(line.get_xdata())]
    ends = [line.get_xydata()[np.isfinite(line.get_ydata().astype(float))][-1] for line in lines]
    heights = axes.transAxes.inverted().transform(axes.transData.transform(ends))[:, 1]
    apart = 1.3 * SMALLEST / 72 / (0.8 * axes.get_position().height * axes.figure.get_figheight())
    for line, y in zip(lines, spread(heights, apart), strict=True):
        text = {"color": ink(line.get_color()), "va": "center", "transform": axes.transAxes}
        axes.text(1.02, y, line.get_label(), **text)


def spread(places: np.ndarray, apart: float) -> np.ndarray:
    """The places moved, as little as it takes, until neighbours are `apart`, within 0 and 1."""
    order = np.argsort(places, kind="stable")
    steps = apart * np.arange(len(places))
    free = np.clip(places, 0, 1)[order] - steps
    level = [np.mean([free[: k + 1].max(), free[k:].min()]) for k in range(len(free))]
    top = max(0.0, 1 - steps[-1])
    moved = np.empty(len(places))
    moved[order] = np.clip(level, 0, top) + steps
    return moved


def band(axes: Axes, x: Tensor, runs: Tensor, colour: str, weight: float, label: str) -> None:
    """The median over seeds of runs (seed, n) and the range of the seeds as a band."""
    middle, line = runs.median(dim=0).values, {"color": COLOURS[colour], "linewidth": weight}
    axes.plot(x, middle, **line, label=label)
    low, high = runs.min(dim=0).values, runs.max(dim=0).values
    axes.fill_between(x, low, high, color=COLOURS[colour], alpha=0.15, linewidth=0)


def strip(axes: Axes, row: float, values: Tensor, colour: str, label: str | None = None) -> None:
    """One point per seed on a horizontal strip, with the median as a bar."""
    y = [row] * len(values)
    axes.plot(values, y, "o", color=COLOURS[colour], alpha=0.6, markersize=5, label=label)
    axes.plot([values.median()] * 2, [row - 0.25, row + 0.25], color=COLOURS[colour], linewidth=2)


def strips(
    rows: dict[str, Tensor],
    xlabel: str,
    scale: str = "linear",
    mark: float | None = None,
    controls: Collection[str] = (),
) -> Figure:
    """One horizontal strip of seeds per row, rows of `controls` in grey; dotted line at `mark`."""
    figure, (axes,) = panels(1, height=0.4 * len(rows) + 0.8)
    if mark is not None:
        axes.axvline(mark, color=COLOURS["truth"], linestyle=":")
    for row, (name, values) in enumerate(rows.items()):
        strip(axes, row, values, "control" if name in controls else "model")
    axes.set(xscale=scale, yticks=range(len(rows)), yticklabels=list(rows), xlabel=xlabel)
    axes.invert_yaxis()
    return figure


def strips_by_kind(
    kinds: dict[str, dict[str, Tensor]], xlabel: str, mark: float, scale: str = "linear"
) -> Figure:
    """Strips of seeds by row, one colour per kind: {kind: {row: (seed,)}}."""
    rows = list(next(iter(kinds.values())))
    figure, (axes,) = panels(1, height=0.5 * len(rows) + 1.4)
    axes.axvline(mark, color=COLOURS["truth"], linestyle=":")
    colours = ("model", "rival", "second", "third", "highlight")
    for shift, (colour, (kind, values)) in enumerate(zip(colours, kinds.items(), strict=False)):
        hue = COLOURS[THINGS.get(kind, (colour,))[0]]
        for row, name in enumerate(rows):
            y = row + 0.22 * (shift - (len(kinds) - 1) / 2)
            label = kind if row == 0 else None
            dots = {"color": hue, "alpha": 0.8, "markersize": 4, "label": label}
            axes.plot(values[name], [y] * len(values[name]), "o", **dots)
    axes.set(yticks=range(len(rows)), yticklabels=rows, xlabel=xlabel, xscale=scale)
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=2, labelcolor="linecolor", handletextpad=0)
    return figure


def error_curves(
    x: Tensor, curves: dict[str, Tensor], xlabel: str, ylabel: str, limit: float | None = None
) -> Figure:
    """Bands over seeds of several models (seed, n) against x, on a logarithmic axis."""
    figure, (axes,) = panels(1, height=3.6)
    for place, (name, runs) in enumerate(curves.items()):
        band(axes, x, runs, *look(name, place), name)
    if limit is not None:
        axes.axhline(limit, color=COLOURS["control"], linestyle=":")
    axes.set(yscale="log", xlabel=xlabel, ylabel=ylabel)
    axes.margins(x=0.02)
    label_ends(axes)
    return figure


def probe_maps(maps: dict[str, dict[str, Tensor]]) -> Figure:
    """R² by place (rows) and position: {title: {place: (T',)}}; all rows end at the last."""
    figure, axes = panels(len(maps), height=3.0, sharey=True)
    for ax, (title, rows) in zip(axes, maps.items(), strict=True):
        context = max(map(len, rows.values()))
        image = torch.full((len(rows), context), torch.nan)
        for row, values in enumerate(rows.values()):
            image[row, context - len(values) :] = values
        extent = (0.5, context + 0.5, len(rows) - 0.5, -0.5)
        shown = ax.imshow(
            image.numpy(), vmin=0, vmax=1, aspect="auto", extent=extent, cmap="viridis"
        )
        ax.set(title=title, xlabel="position t", yticks=range(len(rows)), yticklabels=list(rows))
        ax.grid(False)
    figure.colorbar(shown, ax=axes, label="held-out R²", shrink=0.85)
    return figure


def probe_lines(maps: dict[str, dict[str, Tensor]]) -> Figure:
    """R² at the last position by place, one line each: {name: {place: (T',)}}."""
    figure, (axes,) = panels(1, height=3.2)
    styles = zip(("model", "linear", "control"), ("-", "--", "-"), maps.items(), strict=True)
    for colour, dashes, (name, rows) in styles:
        last = [float(values[-1]) for values in rows.values()]
        axes.plot(range(len(last)), last, "o" + dashes, color=COLOURS[colour], label=name)
    names = list(next(iter(maps.values())))
    axes.set_xticks(range(len(names)), [name.replace(".resid_post", "") for name in names])
    axes.set(ylim=(0, 1), ylabel="held-out R², last position", xlabel="after layer")
    label_ends(axes)
    return figure
