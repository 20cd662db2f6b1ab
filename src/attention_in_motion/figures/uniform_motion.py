"""Figures of chapter 4."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from attention_in_motion.figures.style import COLOURS, panels
from attention_in_motion.measures.motion_layer import QUANTITIES
from attention_in_motion.training.exactness import CELLS


def ladder(errors: dict[str, Tensor], threshold: float) -> Figure:
    """Final normalised MSE of every seed, one row per rung, with the share below the threshold."""
    figure, (axes,) = panels(1, width=8, height=0.38 * len(errors) + 0.8)
    for row, values in enumerate(reversed(errors.values())):
        y = row + torch.linspace(-0.3, 0.3, len(values))  # spread, so that points do not hide
        good = values <= threshold
        for chosen, colour in ((good, "model"), (~good, "rival")):
            axes.plot(values[chosen], y[chosen], ".", color=COLOURS[colour], markersize=3)
        axes.text(4, row, f"{good.float().mean():.0%}", va="center", ha="left", fontsize=9)
    axes.axvline(threshold, color=COLOURS["control"], linestyle="--", label="success")
    axes.set(xscale="log", yticks=range(len(errors)), yticklabels=list(reversed(errors)))
    axes.set(xlabel="normalised MSE after training (1: predicting zero)", xlim=(None, 12))
    axes.legend(loc="upper left")
    return figure


def plateau(
    loss: tuple[Tensor, Tensor], steps: Tensor, weights: dict[str, Tensor], ends: tuple, best: str
) -> Figure:
    """Left: loss (steps, values) and the weights of one seed. Right: two steps of every seed."""
    figure, (left, right) = panels(2, width=4.6)
    left.plot(*loss, color=COLOURS["truth"], label="loss")
    left.set(yscale="log", xlabel="training step", ylabel="loss")
    left.set_xlim(right=1.35 * float(steps[-1]))  # room for the legend
    twin = left.twinx()
    colours = ("model", "third", "linear", "rival", "second")
    for colour, (name, values) in zip(colours, weights.items(), strict=True):
        twin.plot(steps, values, color=COLOURS[colour], label=name, linewidth=1)
    twin.grid(False)
    twin.spines["right"].set_visible(True)
    twin.set_ylabel("weight")
    twin.legend(loc="center right", fontsize=8)
    low, high = min(map(min, ends)), max(map(max, ends))
    right.plot([low, high], [low, high], ":", color=COLOURS["control"], label="equal")
    right.plot(*ends, ".", color=COLOURS["model"], label=best)
    right.set(
        xlabel="step at which |p1 − p0| is half way", ylabel="step at which the loss has halved"
    )
    right.legend()
    return figure


def attention_plane(x0: Tensor, x1: Tensor, alpha: Tensor, true: Tensor, found: Tensor) -> Figure:
    """Left: α1 over the plane of inputs (n, n). Right: predicted against true x2."""
    figure, (left, right) = panels(2, width=4.4)
    image = left.contourf(x0, x1, alpha, levels=15, cmap="viridis")
    figure.colorbar(image, ax=left, label="α1")
    left.set(xlabel="x0", ylabel="x1")
    ends = [true.min(), true.max()]
    right.plot(ends, ends, color=COLOURS["truth"], linewidth=1, label="exact")
    right.plot(true, found, ".", color=COLOURS["model"], markersize=2, label="layer")
    right.set(xlabel="0.2 (2x1 − x0)", ylabel="prediction")
    right.legend()
    return figure


def one_number(epsilon: Tensor, seen: Tensor, expected: Tensor) -> Figure:
    """The five quantities (5, seed) of every seed against |ε|, on the curves that ε predicts."""
    figure, axes = panels(6, width=3, height=2.7, columns=3)
    size = epsilon.abs()
    order = size.argsort()
    for ax, name, values, curve in zip(axes, QUANTITIES, seen, expected, strict=False):
        ax.plot(size[order], curve[order], color=COLOURS["truth"], linewidth=1, label="predicted")
        ax.plot(size, values, ".", color=COLOURS["model"], markersize=4, label="trained")
        ax.set(title=name)
        ax.set_xlabel("|ε| = s / |p1 − p0|")
    axes[0].set_yscale("log")
    axes[0].legend()
    axes[-1].set_axis_off()
    return figure


def exactness(values: Tensor, exact: Tensor, threshold: float) -> Figure:
    """The lowest normalised MSE found per cell of the map, coloured by what theory says of it."""
    rows = [str(cell) for cell in CELLS]
    figure, (axes,) = panels(1, width=8, height=0.17 * len(rows) + 0.8)
    for row, (value, possible) in enumerate(zip(values.flip(0), exact.flip(0), strict=True)):
        colour = COLOURS["model" if possible else "rival"]
        axes.plot([value, 1], [row, row], color=colour, linewidth=0.8, alpha=0.5)
        axes.plot(value, row, "o" if possible else "s", color=colour, markersize=4)
    axes.plot([], [], "o", color=COLOURS["model"], label="theory: exact")
    axes.plot([], [], "s", color=COLOURS["rival"], label="theory: not exact")
    axes.axvline(threshold, color=COLOURS["control"], linestyle="--")
    axes.set(xscale="log", yticks=range(len(rows)), ylim=(-1, len(rows)))
    axes.set_yticklabels(list(reversed(rows)), fontsize=7)
    axes.set_xlabel("lowest normalised MSE with bounded weights, float64")
    axes.legend(loc="upper left", fontsize=8)
    return figure


def error_laws(gaps: tuple, gap_curves: dict, distances: Tensor, distance_curves: dict) -> Figure:
    """Left: error against the logit gap. Right: error against the distance of the positions."""
    figure, (left, right) = panels(2, width=4.4)
    left.plot(*gaps, "o", color=COLOURS["model"], label="trained", markersize=5)
    for colour, (name, curve) in zip(("truth", "second"), gap_curves.items(), strict=True):
        left.plot(*curve, "-" if colour == "truth" else "--", color=COLOURS[colour], label=name)
    left.set(yscale="log", xlabel="logit gap at rest", ylabel="normalised MSE")
    for colour, (name, curve) in zip(
        ("truth", "rival", "model"), distance_curves.items(), strict=True
    ):
        right.plot(distances, curve, ".-", color=COLOURS[colour], label=name)
    right.set(xscale="log", yscale="log", xlabel="|p1 − p0| / s", ylabel="normalised MSE")
    left.legend()
    right.legend()
    return figure


def drift(steps: Tensor, errors: dict[str, Tensor]) -> Figure:
    """Rollout error along a line, over the distance to travel, one curve per class of layer."""
    figure, (axes,) = panels(1, width=6.5)
    styles = zip(("model", "linear", "second", "rival"), ("-", "--", "-", "-"), strict=True)
    for (colour, dashes), (name, error) in zip(styles, errors.items(), strict=True):
        axes.plot(steps, error.clamp(min=1e-17), dashes, color=COLOURS[colour], label=name)
    axes.set(xscale="log", yscale="log", xlabel="step n", ylabel="error / distance travelled")
    axes.legend()
    return figure
