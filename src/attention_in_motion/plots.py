"""Figures: arrays in, Figure out. One colour per thing through the whole book."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
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


def panels(n: int, width: float = 4.2, height: float = 3.2, **kwargs) -> tuple[Figure, list[Axes]]:
    """A row of n axes in the book's style; the figure is closed so that it is shown once."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, n, figsize=(width * n, height), squeeze=False, **kwargs)
    plt.close(figure)
    return figure, list(axes[0])


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


# Chapter 1


def rollouts(
    times: Tensor, true: Tensor, predicted: Tensor, steps: Tensor, errors: dict[str, Tensor]
) -> Figure:
    """Left: one trajectory x(t), truth (T,) and all seeds (seed, T). Right: e_n per case."""
    figure, (left, right) = panels(2)
    left.plot(times, true, color=COLOURS["truth"], linewidth=2.5, label="exact")
    left.plot(times, predicted.T, color=COLOURS["model"], linewidth=0.8, linestyle="--")
    left.plot([], [], color=COLOURS["model"], linestyle="--", label="model, all seeds")
    left.set(xlabel="t", ylabel="x")
    left.legend(loc="upper right")
    for colour, (label, runs) in zip(("model", "second"), errors.items(), strict=True):
        band(right, steps, runs, colour, label)
    middle = errors[next(iter(errors))].median(dim=0).values
    right.plot(steps, middle[9] * steps / steps[9], ":", color=COLOURS["control"], label="slope 1")
    right.set(xscale="log", yscale="log", xlabel="rollout step n", ylabel="phase-space error")
    right.legend()
    return figure


def recovered(omega0_error: Tensor, gamma_error: Tensor, distances: dict[str, Tensor]) -> Figure:
    """Left: relative errors of ω0, γ per seed. Right: distance of the learned map to others."""
    figure, (left, right) = panels(2)
    strip(left, 1, omega0_error, "model")
    strip(left, 0, gamma_error, "second")
    left.set(xscale="log", yticks=[0, 1], yticklabels=["γ", "ω0"], ylim=(-0.6, 1.6))
    left.set(xlabel="relative error, read from the weights")
    for row, (name, distance) in enumerate(reversed(distances.items())):
        strip(right, row, distance, "model" if name == "exact flow" else "rival")
    right.set(xscale="log", yticks=range(len(distances)), yticklabels=list(reversed(distances)))
    right.set(xlabel="Frobenius distance of the learned one-step map")
    return figure


def error_against_scale(
    scales: Tensor, with_bias: Tensor, without_bias: Tensor, trained: float
) -> Figure:
    """Error after the rollout against the start's energy, both ensembles (seed, scale)."""
    figure, (axes,) = panels(1, width=6)
    band(axes, scales, with_bias, "model", "with biases")
    band(axes, scales, without_bias, "second", "without biases")
    axes.axvline(trained, color=COLOURS["control"], linestyle=":", label="mean training energy")
    axes.set(xscale="log", yscale="log", xlabel="energy of the start", ylabel="error after rollout")
    axes.legend()
    return figure


# Chapter 2


def errors_by_loss(errors: dict[str, Tensor], solved: float) -> Figure:
    """One strip of seeds per training loss, and the solved linear model."""
    figure, (axes,) = panels(1, width=6.5, height=2.8)
    names = [*errors, "Eq. 2, least squares"]
    for row, (name, values) in enumerate(errors.items()):
        strip(axes, row, values, "model" if name.startswith("Eq. 3") else "rival")
    axes.plot(solved, len(errors), "D", color=COLOURS["linear"])
    axes.set(xscale="log", yticks=range(len(names)), yticklabels=names)
    axes.set(xlabel="median phase-space error of the rollout", ylim=(len(errors) + 0.6, -0.6))
    return figure


def saliency_maps(maps: dict[str, Tensor]) -> Figure:
    """Jacobian norms (seed, T, T, 2, 2) as maps on one logarithmic colour scale."""
    figure, axes = panels(len(maps), width=3.8, height=3.3)
    for ax, (name, jacobian) in zip(axes, maps.items(), strict=True):
        size = jacobian.flatten(-2).norm(dim=-1).clamp(min=1e-9).log10().mean(dim=0)  # (T, T)
        image = ax.imshow(size, vmin=-4, vmax=0, cmap="viridis")
        ax.set(title=name, xlabel="input position j", ylabel="output position i")
        ax.grid(False)
    figure.colorbar(image, ax=axes, label="log10 of the Jacobian's norm", shrink=0.85)
    return figure


def shrinking_attention(steps: Tensor, histories: dict[str, Tensor]) -> Figure:
    """The relative weight of the attention path (seed, step) along training."""
    figure, (axes,) = panels(1, width=6)
    for colour, (name, runs) in zip(("model", "rival"), histories.items(), strict=True):
        band(axes, steps, runs, colour, name)
    axes.set(xscale="log", yscale="log", xlabel="training step", ylabel="attention path / direct")
    axes.legend()
    return figure


# Chapter 3


def rungs(times: Tensor, true: Tensor, predicted: dict[str, Tensor], columns: int = 4) -> Figure:
    """One panel per model: x(t) of one trajectory (T,), exact and by every seed (seed, T)."""
    rows = -(-len(predicted) // columns)
    with plt.rc_context(STYLE):
        size = {"figsize": (2.9 * columns, 2.1 * rows)}
        figure, grid = plt.subplots(rows, columns, sharex=True, sharey=True, **size)
    plt.close(figure)
    for ax in grid.flat[len(predicted) :]:
        ax.set_axis_off()
    for ax, (name, runs) in zip(grid.flat, predicted.items(), strict=False):
        ax.plot(times, true, color=COLOURS["truth"], linewidth=2)
        ax.plot(times, runs.T, color=COLOURS["model"], linewidth=0.8, alpha=0.8)
        ax.set(title=name, ylim=(-1.6, 1.6), xlabel="t")
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


def frontier(rows: dict[str, tuple[int, float, Tensor, str]], target: float) -> Figure:
    """One-step MSE of every seed against parameters and training minutes, one colour per way.

    Rows are (parameters, minutes, MSE (seed,), colour); without minutes (0) only the left has them.
    """
    figure, (left, right) = panels(2, width=4.2, height=3.6, sharey=True)
    for name, (size, minutes, values, colour) in rows.items():
        look = {"color": COLOURS[colour], "label": "_" if colour == "control" else name}
        left.plot([size] * len(values), values, "o", alpha=0.7, markersize=5, **look)
        if minutes:
            right.plot([minutes] * len(values), values, "o", alpha=0.7, markersize=5, **look)
    left.plot([], [], "o", color=COLOURS["control"], label="the ladder")
    for ax, xlabel in ((left, "parameters"), (right, "minutes of training per seed, one core")):
        ax.axhline(target, color=COLOURS["control"], linestyle="--")
        ax.set(xscale="log", yscale="log", xlabel=xlabel)
    left.set(ylabel="one-step MSE")
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, loc="outside right upper")
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
        shown = ax.imshow(image, vmin=0, vmax=1, aspect="auto", extent=extent, cmap="viridis")
        ax.set(title=title, xlabel="position t", yticks=range(len(rows)), yticklabels=list(rows))
        ax.grid(False)
    figure.colorbar(shown, ax=axes, label="held-out R²", shrink=0.85)
    return figure


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


# Chapter 4


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


def one_number(epsilon: Tensor, found: dict[str, Tensor], curves: dict[str, tuple]) -> Figure:
    """Each measured quantity of every seed against ε, on the curve predicted from ε alone."""
    figure, axes = panels(len(found), width=3, height=2.8)
    for ax, name in zip(axes, found, strict=True):
        ax.plot(*curves[name], color=COLOURS["truth"], linewidth=1, label="predicted")
        ax.plot(epsilon, found[name], ".", color=COLOURS["model"], markersize=4, label="trained")
        ax.set(title=name, xlabel="ε = s / |p1 − p0|")
    axes[0].set_yscale("log")
    axes[0].legend()
    return figure


def exactness(rows: list[str], values: Tensor, exact: list[bool], threshold: float) -> Figure:
    """The lowest normalised MSE found per architecture, coloured by what theory says of it."""
    figure, (axes,) = panels(1, width=8, height=0.17 * len(rows) + 0.8)
    for row, (value, possible) in enumerate(zip(values.flip(0), reversed(exact), strict=True)):
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


# Chapter 5


def odeformer_path(
    times: ArrayLike, observed: ArrayLike, words: list[str], attention: Tensor, found: ArrayLike
) -> Figure:
    """Observed points (n, dimension), attention (words, n) of each written word, found (n, ...)."""
    figure, (left, middle, right) = panels(3, width=3.8, height=min(0.14 * len(words), 4) + 1.6)
    for colour, values in zip(("model", "second", "linear"), observed.T, strict=False):
        left.plot(times, values, ".", color=COLOURS[colour])
        right.plot(times, values, ".", color=COLOURS[colour], alpha=0.4)
    right.plot(times, found, color=COLOURS["truth"], linewidth=1)
    middle.imshow(attention, aspect="auto", cmap="viridis")
    middle.set(yticks=range(len(words)), xlabel="point", title="looked at while writing")
    middle.set_yticklabels(words, fontsize=7)
    middle.grid(False)
    left.set(xlabel="t", title="observed")
    right.set(xlabel="t", title="integrated from the equation")
    return figure


def recognised(rows: list[dict], conditions: list[str], methods: list[str]) -> Figure:
    """Share and interval per group of systems: one panel per condition, one colour per method."""
    groups = list(dict.fromkeys(row["group"] for row in rows))
    size = {"width": 3.6, "height": 0.3 * len(groups) + 1, "sharey": True}
    figure, axes = panels(len(conditions), **size)
    colours = dict(zip(methods, ("model", "third", "linear"), strict=True))
    for ax, condition in zip(axes, conditions, strict=True):
        for row in rows:
            if row["condition"] != condition or row["method"] not in colours:
                continue
            colour = COLOURS[colours[row["method"]]]
            y = groups.index(row["group"]) + 0.2 * (methods.index(row["method"]) - 1)
            ax.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1)
            ax.plot(row["share"], y, "o", color=colour, markersize=4)
        ax.set(title=condition, xlim=(-0.02, 1.02), xlabel="share with R² > 0.9")
    axes[0].set(yticks=range(len(groups)), yticklabels=groups)
    axes[0].invert_yaxis()
    for method, colour in colours.items():
        axes[-1].plot([], [], "o", color=COLOURS[colour], label=method)
    axes[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def worked(examples: dict[str, tuple]) -> Figure:
    """One panel per (times, observed, curve): against time in 1-D, a phase portrait in 2-D."""
    figure, axes = panels(len(examples), width=2.7, height=2.7)
    for ax, (name, (times, observed, curve)) in zip(axes, examples.items(), strict=True):
        flat = observed.shape[1] == 1
        for values, style in ((observed, "."), (curve, "-")):
            pair = (times, values) if flat else (values[:, 0], values[:, 1])
            ax.plot(*pair, style, color=COLOURS["control" if style == "." else "model"])
        ax.set(title=name, xlabel="t" if flat else "x", ylabel="x" if flat else "y")
        ax.title.set_fontsize(8)
    return figure


def against_steepness(steepness: Tensor, scores: Tensor) -> Figure:
    """R² (curve, steepness) against the steepness: median and middle half."""
    figure, (axes,) = panels(1, width=6)
    shown = scores.clamp(min=-1)
    low, middle, high = shown.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=shown.dtype), dim=0)
    axes.plot(steepness, middle, ".-", color=COLOURS["model"])
    axes.fill_between(steepness, low, high, color=COLOURS["model"], alpha=0.2, linewidth=0)
    axes.axhline(0.9, color=COLOURS["control"], linestyle=":")
    axes.set(xscale="log", xlabel="steepness a", ylabel="R² of the best sample", ylim=(-1.05, 1.05))
    axes.set_xticks(steepness, [f"{float(a):.2g}" for a in steepness])
    axes.minorticks_off()
    return figure
