"""The picture of the front page: four small panels, a question and its answer over each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from attention_in_motion.figures.style import COLOURS, panels

# What the colours of the book become as text on white, and on a dark page.
INK = {
    "light": {"truth": "#1a1a1a", "model": COLOURS["model"], "rival": "#B34700", "axes": "#555555"},
    "dark": {"truth": "#e8e8e8", "model": "#56B4E9", "rival": "#F5925A", "axes": "#b5b5b5"},
}
SMALLEST = 11.5  # points, of any text
REPRODUCIBLE = {"svg.hashsalt": "attention in motion", "svg.fonttype": "path"}


@dataclass(frozen=True)
class Curve:
    """One motion: what it is called and where that is written, as a place in the axes (0 … 1)."""

    values: ArrayLike  # (n,)
    colour: str  # "truth", "model" or "rival"
    label: str
    place: tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """Motions over the same times (n,), under a question and the answer that was found."""

    question: str
    answer: str
    times: ArrayLike
    curves: Sequence[Curve]
    xlabel: str = "time"


def front_page(shown: Sequence[Panel], theme: str) -> Figure:
    """The panels in rows of two, for a "light" or a "dark" page, on a transparent ground."""
    figure, axes = panels(len(shown), width=4, height=2.75, columns=2)
    figure.patch.set_alpha(0)
    figure.get_layout_engine().set(wspace=0.06, hspace=0.08)
    for ax, panel in zip(axes, shown, strict=True):
        draw(ax, panel, INK[theme])
    return figure


def draw(ax: Axes, panel: Panel, ink: dict[str, str]) -> None:
    """One panel: the exact motion as a line, what follows it as dots, what strays as a line."""
    for curve in panel.curves:
        style = {"truth": "-", "model": ".", "rival": "-"}[curve.colour]
        thin = slice(None, None, max(1, len(panel.times) // 50) if style == "." else 1)
        width = {"linewidth": 1.2 if curve.colour == "truth" else 1.8, "markersize": 6}
        ax.plot(panel.times[thin], curve.values[thin], style, color=ink[curve.colour], **width)
        written = {"transform": ax.transAxes, "fontsize": SMALLEST}
        ax.text(*curve.place, curve.label, color=ink[curve.colour], **written)
    ax.margins(x=0.03, y=0.2)
    ax.set_title(panel.answer, loc="left", fontsize=12, color=ink["axes"])
    above = {"xytext": (0, 23), "textcoords": "offset points", "xycoords": "axes fraction"}
    bold = {"fontsize": 12.5, "fontweight": "bold", "color": ink["truth"]}
    ax.annotate(panel.question, (0, 1), **above, **bold)
    ax.set_xlabel(panel.xlabel, fontsize=SMALLEST, color=ink["axes"])
    ax.tick_params(colors=ink["axes"], labelsize=SMALLEST)
    ax.set_facecolor("none")
    for side in ("left", "bottom"):
        ax.spines[side].set_color(ink["axes"])


def save(figure: Figure, path: Path) -> None:
    """Write an SVG whose bytes depend on nothing but what is drawn."""
    with plt.rc_context(REPRODUCIBLE):
        figure.savefig(path, metadata={"Date": None, "Creator": None}, transparent=True)
