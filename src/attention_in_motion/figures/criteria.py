"""Figures of chapter 3's page on the criteria."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from attention_in_motion.figures.style import COLOURS, panels


def encoding_and_error(left_out: Tensor, error: Tensor) -> Figure:
    """One dot per position t: MSE against 1 − R², (seed, T) each, coloured by t."""
    figure, (axes,) = panels(1, width=5.2, height=3.4)
    position = torch.arange(2, left_out.shape[1] + 2).expand_as(left_out)
    dots = axes.scatter(left_out, error, c=position, s=12, cmap="viridis")
    figure.colorbar(dots, ax=axes, label="position t")
    axes.set(xscale="log", yscale="log", xlabel="1 − R² of exp(AΔt)", ylabel="one-step MSE")
    return figure


def strips_by_kind(kinds: dict[str, dict[str, Tensor]], xlabel: str, mark: float) -> Figure:
    """Strips of seeds by row, one colour per kind: {kind: {row: (seed,)}}."""
    rows = list(next(iter(kinds.values())))
    figure, (axes,) = panels(1, width=7, height=0.5 * len(rows) + 0.9)
    axes.axvline(mark, color=COLOURS["truth"], linestyle=":")
    colours = ("model", "rival", "second", "third", "highlight")
    for shift, (colour, (kind, values)) in enumerate(zip(colours, kinds.items(), strict=False)):
        for row, name in enumerate(rows):
            y = row + 0.22 * (shift - (len(kinds) - 1) / 2)
            label = kind if row == 0 else None
            look = {"color": COLOURS[colour], "alpha": 0.8, "markersize": 4, "label": label}
            axes.plot(values[name], [y] * len(values[name]), "o", **look)
    axes.set(yticks=range(len(rows)), yticklabels=rows, xlabel=xlabel)
    axes.invert_yaxis()
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
