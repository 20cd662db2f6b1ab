"""Figures of chapter 3's head page."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from attention_in_motion.figures.style import COLOURS, STYLE, band, panels


def rungs(times: Tensor, true: Tensor, predicted: dict[str, Tensor], columns: int = 4) -> Figure:
    """One panel per model: x(t) of one trajectory (T,), exact and by every seed (seed, T)."""
    rows = -(-len(predicted) // columns)
    with plt.rc_context(STYLE):
        size = {"figsize": (2.9 * columns, 2.1 * rows)}
        figure, grid = plt.subplots(rows, columns, sharex=True, sharey=True, **size)
    plt.close(figure)
    reach = 1.6 * true.abs().max().item()
    for ax in grid.flat[len(predicted) :]:
        ax.set_axis_off()
    for ax, (name, runs) in zip(grid.flat, predicted.items(), strict=False):
        ax.plot(times, true, color=COLOURS["truth"], linewidth=2)
        ax.plot(times, runs.T, color=COLOURS["model"], linewidth=0.8, alpha=0.8)
        ax.set(title=name, ylim=(-reach, reach), xlabel="t")
    return figure


def linear_question(
    contexts: Tensor, solved: Tensor, descended: Tensor, sizes: Tensor, residue: Tensor
) -> Figure:
    """Left: error against T, solved (n,) and descended (seed, n). Right: what is left along each
    singular direction of the windows, beside the singular value."""
    figure, (left, right) = panels(2, width=4.6)
    left.plot(contexts, solved, "D-", color=COLOURS["linear"], label="least squares", markersize=4)
    band(left, contexts, descended, "rival", "AdamW")
    left.set(xscale="log", yscale="log", xlabel="T", ylabel="one-step MSE", xticks=contexts)
    left.set_xticklabels([str(int(t)) for t in contexts])
    left.minorticks_off()
    left.legend()
    order = range(1, len(sizes) + 1)
    right.plot(order, sizes / sizes[0], ".", color=COLOURS["truth"], label="singular value / first")
    right.plot(order, residue, ".", color=COLOURS["rival"], label="error left by AdamW (rms)")
    right.set(yscale="log", xlabel="singular direction", ylim=(1e-20, None))
    right.legend(fontsize=8)
    return figure


def poles(found: Tensor, arc: Tensor) -> Figure:
    """Closed-loop poles in the complex plane, with the true ones over the range of ω0 as an arc."""
    figure, (axes,) = panels(1, width=4, height=3.8)
    angle = torch.linspace(0, 2 * torch.pi, 200)
    axes.plot(angle.cos(), angle.sin(), color=COLOURS["control"], linewidth=0.8)
    for sign in (1, -1):
        axes.plot(arc.real, sign * arc.imag, color=COLOURS["truth"], linewidth=3)
    axes.plot(found.real, found.imag, ".", color=COLOURS["linear"], markersize=5)
    axes.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
    return figure
