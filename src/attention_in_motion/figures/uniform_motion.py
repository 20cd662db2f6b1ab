"""Figures of chapter 4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from torch import Tensor

from attention_in_motion.figures.style import COLOURS, WIDTH, ink, label_ends, panels, strip
from attention_in_motion.measures.motion_layer import QUANTITIES
from attention_in_motion.training.exactness import (
    AVERAGE,
    BLIND,
    CELLS,
    EXACTLY,
    SATURATION,
    TO_ROUNDING,
    Cell,
)


def ladder(errors: dict[str, Tensor], threshold: float) -> Figure:
    """Final normalised MSE of every seed, one row per rung, with the share below the threshold."""
    figure, (axes,) = panels(1, height=0.36 * len(errors) + 0.8)
    for row, values in enumerate(reversed(errors.values())):
        y = row + torch.linspace(-0.3, 0.3, len(values))  # spread, so that points do not hide
        good = values <= threshold
        for chosen, colour in ((good, "model"), (~good, "rival")):
            axes.plot(values[chosen], y[chosen], ".", color=COLOURS[colour], markersize=3)
        axes.text(4, row, f"{good.float().mean():.0%}", va="center", ha="left")
    axes.axvline(threshold, color=COLOURS["control"], linestyle="--")
    top = axes.get_xaxis_transform()
    axes.text(
        threshold, 1, "success ", ha="right", va="bottom", color=COLOURS["model"], transform=top
    )
    axes.set(xscale="log", yticks=range(len(errors)), yticklabels=list(reversed(errors)))
    axes.set(xlabel="normalised MSE after training (1: predicting zero)", xlim=(None, 20))
    return figure


def plateau(
    loss: tuple[Tensor, Tensor], steps: Tensor, weights: dict[str, Tensor], ends: tuple, seed: int
) -> Figure:
    """Above: loss (steps, values) and weights of one seed. Below: two steps of every seed.

    `ends` are, for every seed, the step at which the positions are half way apart and the one at
    which the loss has halved; the dotted lines above are those of `seed`, circled below.
    """
    places = [["loss"], ["weights"], ["ends"]]
    figure, axes = plt.subplot_mosaic(places, figsize=(WIDTH, 7.6), height_ratios=(2, 3, 5))
    plt.close(figure)
    axes["loss"].plot(*loss, color=COLOURS["truth"], linewidth=1)
    axes["loss"].set(yscale="log", ylabel="loss", xlim=(0, float(steps[-1])))
    axes["loss"].tick_params(labelbottom=False)
    colours = ("model", "third", "linear", "rival", "second")
    for colour, (name, values) in zip(colours, weights.items(), strict=True):
        axes["weights"].plot(steps, values, color=COLOURS[colour], label=name)
    axes["weights"].set(xlabel="training step", ylabel="weight", xlim=(0, float(steps[-1])))
    label_ends(axes["weights"])
    for place in ("loss", "weights"):
        axes[place].axvline(float(ends[0][seed]), color=COLOURS["control"], linestyle=":")
    low, high = min(map(min, ends)), max(map(max, ends))
    axes["ends"].plot([low, high], [low, high], ":", color=COLOURS["control"], label="equal")
    axes["ends"].plot(*ends, ".", color=COLOURS["model"], label="_")
    axes["ends"].plot(ends[0][seed], ends[1][seed], "o", color=COLOURS["truth"], fillstyle="none")
    axes["ends"].set_xlabel("step at which |p1 − p0| is half way")
    axes["ends"].set_ylabel("step at which\nthe loss has halved")
    axes["ends"].set_box_aspect(0.6)
    label_ends(axes["ends"])
    return figure


def attention_plane(x0: Tensor, x1: Tensor, alpha: Tensor, true: Tensor, found: Tensor) -> Figure:
    """Left: α1 over the plane of inputs (n, n). Right: predicted against true x2."""
    figure, (left, right) = panels(2)
    image = left.contourf(x0, x1, alpha, levels=15, cmap="viridis")
    figure.colorbar(image, ax=left, label="α1", ticks=MaxNLocator(5))
    left.set(xlabel="x0", ylabel="x1")
    ends = [true.min(), true.max()]
    right.plot(ends, ends, color=COLOURS["truth"], linewidth=1, label="exact")
    right.plot(true, found, ".", color=COLOURS["model"], markersize=2, label="layer")
    right.set(xlabel="0.2 (2x1 − x0)", ylabel="prediction")
    right.legend()
    return figure


def one_number(epsilon: Tensor, seen: Tensor, expected: Tensor) -> Figure:
    """The five quantities (5, seed) of every seed against |ε|, on the curves that ε predicts.

    The first, the error, has the upper row to itself, the others stand two to a row.
    """
    first, *others = QUANTITIES
    places = [[first, first], others[:2], others[2:]]
    figure, axes = plt.subplot_mosaic(places, figsize=(WIDTH, 7), height_ratios=(3, 2, 2))
    plt.close(figure)
    size = epsilon.abs()
    order = size.argsort()
    for name, values, curve in zip(QUANTITIES, seen, expected, strict=True):
        ax = axes[name]
        ax.plot(size[order], curve[order], color=COLOURS["truth"], linewidth=1, label="predicted")
        ax.plot(size, values, ".", color=COLOURS["model"], markersize=4, label="trained")
        ax.set(title=name, xlabel="|ε| = s / |p1 − p0|" if name in (first, *others[2:]) else "")
    axes[first].set_yscale("log")
    axes[first].legend()
    return figure


def attention_by_distance(
    x1: ArrayLike, curves: dict[str, ArrayLike], distances: Sequence[float], nmse: Sequence[float]
) -> Figure:
    """Left: α1 against x1 (n,) for a few distances of the positions. Right: error by distance."""
    figure, (left, right) = panels(2)
    for colour, (name, alpha) in zip(("third", "model", "linear"), curves.items(), strict=True):
        left.plot(x1, alpha, color=COLOURS[colour], label=name)
    left.set(xlabel="x1, at x0 = 0", ylabel="α1", ylim=(0, 1))
    left.legend(title="|p1 − p0| / s")
    right.plot(distances, nmse, ".-", color=COLOURS["model"])
    right.set(xscale="log", yscale="log", xlabel="|p1 − p0| / s", ylabel="normalised MSE")
    return figure


KNOWN = {EXACTLY: "model", TO_ROUNDING: "third"}  # colours; a proof that forbids is a rival
LETTERS = {AVERAGE: "A", BLIND: "B", SATURATION: "S"}


def tiles(axes: Axes, rows: list[list[Cell]], lowest: dict[Cell, float], reached: float) -> None:
    """One tile per cell: colour how we know, letter which proof, number what training found."""
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            colour = COLOURS[KNOWN.get(cell.why, "rival")]
            shape = {"facecolor": colour, "alpha": 0.35, "edgecolor": "white", "linewidth": 3}
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, **shape))
            found = f"$10^{{{round(math.log10(max(lowest[cell], 1e-99)))}}}$"
            dot = "● " if lowest[cell] <= reached else ""
            axes.text(x, y, f"{LETTERS.get(cell.why, '')} {dot}{found}", ha="center", va="center")
    axes.set(xlim=(-0.5, len(rows[0]) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(False)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)


def exactness(values: Tensor, reached: float) -> Figure:
    """The map: how we know of every cell (colour, letter), and the lowest NMSE that was trained.

    Above one layer, with a residual stream or without (rows) and with positions or without
    (columns); below deeper layers of one head.
    """
    lowest = dict(zip(CELLS, values.tolist(), strict=True))
    figure, (above, below) = panels(2, height=2.9, columns=1, height_ratios=(6, 2.6))
    kinds, columns = (
        list(product((False, True), (1, 2, 4))),
        list(product((False, True), (1, 2, 4))),
    )
    rows = [[Cell(residual, heads, d, p) for p, d in columns] for residual, heads in kinds]
    tiles(above, rows, lowest, reached)
    above.set_xticks(range(6), [f"d = {d}" for _, d in columns])
    words = [f"{'residual, ' * r}{h} head{'s' * (h > 1)}" for r, h in kinds]
    above.set_yticks(range(6), words)
    for middle, word in ((1, "one layer, no positions"), (4, "one layer, positions")):
        above.text(middle, -0.95, word, ha="center", va="bottom", fontweight="bold")
    above.axvline(2.5, color="white", linewidth=10)
    above.axhline(2.5, color="white", linewidth=10)
    deeper = [(1, 8), (2, 0), (2, 8), (3, 0), (3, 8)]
    rows = [[Cell(r, 1, 2, not r, n, mlp) for n, mlp in deeper] for r in (False, True)]
    tiles(below, rows, lowest, reached)
    words = [f"{n} layer{'s' * (n > 1)}" + "\n+ MLP" * (mlp > 0) for n, mlp in deeper]
    below.set_xticks(range(len(words)), words)
    below.set_yticks(range(2), ["positions", "residual"])
    below.set_title("one head, d = 2", fontweight="bold")
    names = {"model": "exact: by hand", "third": "to rounding: by hand", "rival": "never: proof"}
    marks = [Patch(facecolor=COLOURS[c], alpha=0.35, label=name) for c, name in names.items()]
    figure.legend(handles=marks, loc="outside lower center", ncols=3)
    return figure


def layer_norm(
    errors: dict[str, tuple[Tensor, Tensor]],
    reached: float,
    sizes: Tensor,
    answers: dict[str, Tensor],
    limit: float,
) -> Figure:
    """Above: normalised MSE of every seed, with and without LayerNorm. Below: |y| against |x0|.

    `errors` are those of the seeds without positions (filled) and with (hollow). `answers` begins
    with the exact one; `limit` is the bound that LayerNorm sets on the last.
    """
    figure, (above, below) = panels(2, height=3.6, columns=1)
    for row, (name, (plain, placed)) in enumerate(errors.items()):
        colour = "rival" if "pre-LN" in name else "model"
        strip(above, row - 0.1, plain, colour)
        y = [row + 0.25] * len(placed)
        above.plot(placed, y, "o", color=COLOURS[colour], fillstyle="none", markersize=4)
    above.plot([], [], "o", color=COLOURS["truth"], alpha=0.6, label="no positions")
    above.plot([], [], "o", color=COLOURS["truth"], fillstyle="none", label="positions")
    above.legend(loc="upper left", handletextpad=0)
    above.axvline(reached, color=COLOURS["control"], linestyle="--")
    above.set(xscale="log", yticks=range(len(errors)), yticklabels=list(errors))
    above.set_xlabel("normalised MSE on [−1, 1]²")
    above.invert_yaxis()
    styles = zip(("truth", "model", "rival"), ("-", "--", "-"), (1, 3, 2), strict=True)
    for (colour, dashes, width), (name, y) in zip(styles, answers.items(), strict=True):
        below.plot(sizes, y.abs(), dashes, color=COLOURS[colour], linewidth=width, label=name)
    below.plot(sizes, [limit] * len(sizes), ":", color=COLOURS["rival"], label="its bound")
    below.axvspan(sizes.min(), 1, color=COLOURS["control"], alpha=0.2)
    below.text(0.01, 0.95, "trained here", va="top", transform=below.transAxes)
    below.set(xscale="log", yscale="log", xlabel="−x0, at x1 = 0", ylabel="prediction")
    below.margins(x=0)
    label_ends(below)
    return figure


def error_laws(
    gaps: tuple,
    gap_curves: dict,
    distances: Tensor,
    distance_curves: dict,
    trained: dict[str, tuple] | None = None,
) -> Figure:
    """Above: error against the logit gap. Below: error against the distance of the positions.

    `trained` holds layers trained under a bound on ε, {name of their curve: (1 / ε, error)}.
    """
    figure, (above, below) = panels(2, columns=1)
    above.plot(*gaps, "o", color=COLOURS["model"], markersize=5)
    last = {"xytext": (7, 0), "textcoords": "offset points", "va": "center"}
    above.annotate("trained", [values[-1] for values in gaps], color=ink(COLOURS["model"]), **last)
    for colour, (name, curve) in zip(("truth", "second"), gap_curves.items(), strict=True):
        above.plot(*curve, "-" if colour == "truth" else "--", color=COLOURS[colour], label=name)
    above.set(yscale="log", xlabel="logit gap at rest", ylabel="normalised MSE")
    for colour, (name, curve) in zip(
        ("truth", "rival", "model", "second"), distance_curves.items(), strict=True
    ):
        below.plot(distances, curve, ".-", color=COLOURS[colour], label=name)
        if trained and name in trained:
            hollow = {"fillstyle": "none", "markersize": 8, "label": "_trained"}
            below.plot(*trained[name], "o", color=COLOURS[colour], **hollow)
    below.set(xscale="log", yscale="log", xlabel="1 / ε", ylabel="normalised MSE")
    label_ends(above)
    label_ends(below)
    return figure


def drift(steps: Tensor, errors: dict[str, Tensor]) -> Figure:
    """Rollout error along a line, over the distance to travel, one curve per class of layer."""
    figure, (axes,) = panels(1, height=3.6)
    styles = zip(
        ("model", "linear", "highlight", "second", "rival"), ("-", "--", "-", "-", "-"), strict=True
    )
    for (colour, dashes), (name, error) in zip(styles, errors.items(), strict=True):
        axes.plot(steps, error.clamp(min=1e-17), dashes, color=COLOURS[colour], label=name)
    axes.set(xscale="log", yscale="log", xlabel="step n", ylabel="error / distance travelled")
    axes.margins(x=0.01)
    label_ends(axes)
    return figure
