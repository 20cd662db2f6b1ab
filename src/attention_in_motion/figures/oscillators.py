"""Figures of chapters 1 to 3, on oscillators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from attention_in_motion.figures.style import (
    COLOURS,
    band,
    ink,
    label_ends,
    look,
    panels,
    strip,
)

BAND = 1.5  # points: the weight of a median
HIGH = {"xycoords": ("data", "axes fraction")}  # a word at an abscissa, at a height of the panel

# Chapter 1


def post_rollouts(times: Tensor, cases: dict[str, tuple[Tensor, ...]]) -> Figure:
    """Post 1's figures, a column per case: {title: (x, predicted x, error of x / x, e_n)}.

    x is (steps,), the others are (seed, steps). Above the motion, below both errors.
    """
    figure, axes = panels(2 * len(cases), columns=len(cases), height=2.4, sharex=True, sharey="row")
    for k, (title, (true, predicted, by_x, e_n)) in enumerate(cases.items()):
        above, below = axes[k], axes[k + len(cases)]
        above.plot(times, true, color=COLOURS["truth"], linewidth=2.5, label="exact")
        above.plot(times, predicted.T, color=COLOURS["third"], linewidth=0.8, linestyle="--")
        above.plot([], [], color=COLOURS["third"], linestyle="--", label="all seeds")
        above.set(title=title)
        band(below, times, by_x, "second", 1.0, "the post's error")
        band(below, times, e_n, "model", BAND, "phase-space error")
        below.set(yscale="log", xlabel="t")
    above.legend(loc="upper right")
    below.legend(loc="lower right")
    reach = 1.1 * max(true.abs().max().item() for true, *_ in cases.values())
    axes[0].set(ylabel="x", ylim=(-reach, reach))  # of the exact motions; a model may leave it
    axes[len(cases)].set_ylabel("error")
    axes[len(cases)].set_ylim(top=min(10, axes[len(cases)].get_ylim()[1]))  # beyond, all is lost
    return figure


def growing_errors(steps: Tensor, errors: dict[str, Tensor]) -> Figure:
    """Phase-space error e_n of every case (seed, steps), with a line of slope one."""
    figure, (axes,) = panels(1)
    for colour, (label, runs) in zip(("model", "second"), errors.items(), strict=True):
        band(axes, steps, runs, colour, BAND, label)
    middle = errors[next(iter(errors))].median(dim=0).values
    axes.plot(steps, middle[9] * steps / steps[9], ":", color=COLOURS["control"], label="slope 1")
    axes.set(xscale="log", yscale="log", xlabel="rollout step n", ylabel="phase-space error")
    axes.legend()
    return figure


def recovered(omega0_error: Tensor, gamma_error: Tensor, distances: dict[str, Tensor]) -> Figure:
    """Above: relative errors of ω0, γ per seed. Below: distance of the learned map to others."""
    figure, (above, below) = panels(2, height=2.2, columns=1, height_ratios=(1, 2))
    strip(above, 1, omega0_error, "model")
    strip(above, 0, gamma_error, "model")
    above.set(xscale="log", yticks=[0, 1], yticklabels=["γ", "ω0"], ylim=(-0.6, 1.6))
    above.set(xlabel="relative error, read from the weights")
    for row, (name, distance) in enumerate(reversed(distances.items())):
        strip(below, row, distance, "model" if name == "exact flow" else "rival")
    below.set(xscale="log", yticks=range(len(distances)), yticklabels=list(reversed(distances)))
    below.set(xlabel="Frobenius distance of the learned one-step map")
    return figure


def error_against_scale(
    scales: Tensor, with_bias: Tensor, without_bias: Tensor, trained: float
) -> Figure:
    """Error after the rollout against the start's energy, both ensembles (seed, scale)."""
    figure, (axes,) = panels(1)
    band(axes, scales, with_bias, "model", BAND, "with biases")
    band(axes, scales, without_bias, "second", BAND, "without biases")
    axes.set(xscale="log", yscale="log", xlabel="energy of the start", ylabel="error after rollout")
    axes.margins(x=0.01)
    label_ends(axes)
    axes.axvline(trained, color=COLOURS["control"], linestyle=":", label="mean training energy")
    axes.annotate(" mean training energy", (trained, 1), va="top", **HIGH)
    return figure


def two_signs(right: Tensor, wrong: Tensor, error: Tensor, omega0: float) -> Figure:
    """Left: the phase plane, (steps, 2) by the exact step and by that of the wrong sign. Right:
    the phase-space error (steps,) of the latter."""
    figure, (plane, growth) = panels(2)
    for colour, path in (("truth", right), ("rival", wrong)):
        plane.plot(path[:, 0], path[:, 1] / omega0, color=COLOURS[colour])
    plane.set(xlabel="x", ylabel="p / ω0", xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), box_aspect=1)
    growth.plot(range(1, len(error) + 1), error, color=COLOURS["rival"])
    growth.set(yscale="log", ylim=(1e-6, 10), xlabel="step n", ylabel="error of the wrong sign")
    return figure


# Chapter 2


LOSSES = {
    "eq3": "loss on all positions",
    "eq1": "loss on the last position",
    "eq3 matched targets": "all positions, equal targets",
    "eq1 rescaled": "last position, loss × T",
}


def colour(run: str) -> str:
    """Runs scored on all positions are blue, those scored on the last alone orange."""
    return "model" if run.startswith("eq3") else "rival"


def errors_by_loss(errors: dict[str, Tensor], solved: float) -> Figure:
    """One strip of seeds (seed,) per training loss, and the linear model, solved."""
    figure, (axes,) = panels(1, height=2.8)
    names = [*(LOSSES[run] for run in errors), "linear model, solved"]
    for row, (run, values) in enumerate(errors.items()):
        strip(axes, row, values, colour(run))
    axes.plot(solved, len(errors), "D", color=COLOURS["linear"])
    axes.set(xscale="log", yticks=range(len(names)), yticklabels=names)
    axes.set(xlabel="median phase-space error of the rollout", ylim=(len(errors) + 0.6, -0.6))
    return figure


def saliency_maps(maps: dict[str, Tensor]) -> Figure:
    """Jacobian norms (seed, T, T, 2, 2) as maps on one logarithmic colour scale."""
    figure, axes = panels(len(maps), height=3.3)
    for ax, (run, jacobian) in zip(axes, maps.items(), strict=True):
        size = jacobian.flatten(-2).norm(dim=-1).clamp(min=1e-9)  # (seed, T, T)
        powers = size.log10().mean(dim=0)  # of the geometric mean over seeds
        image = ax.imshow(powers.numpy(), vmin=-4, vmax=0, cmap="viridis")
        ax.set(title=LOSSES[run], xlabel="input position j", ylabel="output position i")
        ax.grid(False)
    figure.colorbar(image, ax=axes, label="log10 of the Jacobian's norm", shrink=0.85)
    return figure


def shrinking_attention(steps: list[int], histories: dict[str, Tensor]) -> Figure:
    """The relative weight of the attention path (seed, step) along training."""
    figure, (axes,) = panels(1)
    for run, shares in histories.items():
        band(axes, steps, shares, colour(run), BAND, LOSSES[run].replace(" on ", "\non "))
    axes.set(xscale="log", yscale="log", xlabel="training step", ylabel="attention path / direct")
    axes.margins(x=0.01)
    label_ends(axes)
    return figure


ENDS = {  # ranks of W_V and W_O after training: what is left, and its colour
    (2, 0): ("only $W_V$", "model"),
    (0, 2): ("only $W_O$", "rival"),
    (1, 1): ("one direction of each", "linear"),
}


def conserved(eigenvalues: Tensor, ranks: Tensor, expected: Tensor, found: dict) -> Figure:
    """Left: larger and smaller eigenvalue of D₀ (seed, 2), coloured by the final ranks (seed, 2).
    Right: ‖W_O‖² after training {optimiser: (seed,)} against what D₀ leaves of it (seed,)."""
    figure, (left, right) = panels(2, height=3.8)
    low, high = eigenvalues.min(dim=-1).values, eigenvalues.max(dim=-1).values
    rest = torch.ones(len(ranks), dtype=torch.bool)
    for pair, (label, colour) in ENDS.items():
        here = (ranks == torch.tensor(pair)).all(dim=-1)
        rest &= ~here
        left.plot(high[here], low[here], "o", color=COLOURS[colour], markersize=5, label=label)
    left.plot(high[rest], low[rest], "x", color=COLOURS["control"], label="not decided")
    for line in (left.axhline, left.axvline):
        line(0, color=COLOURS["truth"], linewidth=0.8)
    reach = 1.05 * eigenvalues.abs().max().item()
    left.set(xlim=(-reach, reach), ylim=(-reach, reach), box_aspect=1)
    left.locator_params(nbins=5)
    left.set(xlabel="larger eigenvalue of $D_0$", ylabel="smaller eigenvalue of $D_0$")
    left.legend(loc="upper left", title="left after training", handletextpad=0)
    top = 2 * max(expected.max().item(), 0.1)
    colours = ("model", "second", "third")
    for colour, (label, values) in zip(colours, found.items(), strict=False):
        dots = {"color": COLOURS[colour], "markersize": 5}
        far = values > top  # drawn at the edge
        right.plot(expected[~far], values[~far], "o", label=label, alpha=0.8, **dots)
        right.plot(expected[far], [0.98 * top] * int(far.sum()), "^", **dots)
    right.axline((0, 0), slope=1, color=COLOURS["truth"], linewidth=0.8)
    right.axhline(0, color=COLOURS["control"], linestyle="--", label="the post: $W_O = 0$")
    right.set(ylim=(-0.04 * top, top), xlabel="sum of negative eigenvalues of $D_0$")
    right.set(ylabel="$|W_O|^2$ after training")
    right.legend(loc="upper left", handletextpad=0.4)
    return figure


def gradients_by_length(
    lengths: list[int], measured: dict[str, dict[str, tuple[Tensor, Tensor]]]
) -> Figure:
    """Size and clarity of gradients against T: {loss: {matrices: (size, clarity)}}, each (seed, n).

    The first matrices are a line with a band, the others a dashed line, medians over seeds.
    """
    figure, axes = panels(2)
    for run, parts in measured.items():
        for k, (matrices, both) in enumerate(parts.items()):
            for ax, values in zip(axes, both, strict=True):
                label = f"{LOSSES[run]}: {matrices}"
                if k == 0:
                    band(ax, lengths, values, colour(run), BAND, label)
                else:
                    dashed = {"color": COLOURS[colour(run)], "linestyle": "--", "label": label}
                    ax.plot(lengths, values.median(dim=0).values, **dashed)
    for ax, name in zip(axes, ("size of the mean gradient", "signal over noise"), strict=True):
        ax.set(xscale="log", yscale="log", xlabel="T", ylabel=name, xticks=lengths)
        ax.set_xticklabels(list(map(str, lengths)))
        ax.minorticks_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


# Chapter 3, head page


def rungs(times: Tensor, true: Tensor, predicted: dict[str, Tensor], columns: int = 2) -> Figure:
    """One panel per model: x(t) of one trajectory (T,), exact and by every seed (seed, T)."""
    size = {"height": 1.75, "columns": columns}
    figure, axes = panels(len(predicted), **size, sharex=True, sharey=True)
    reach = 1.6 * true.abs().max().item()
    for place, (ax, (name, runs)) in enumerate(zip(axes, predicted.items(), strict=True)):
        colour, _ = look(name)
        ax.plot(times, true, color=COLOURS["truth"], linewidth=2)
        ax.plot(times, runs.T, color=COLOURS[colour], linewidth=0.9, alpha=0.8)
        lowest = place + columns >= len(predicted)
        ax.set(ylim=(-reach, reach), xlabel="t" if lowest else "")
        ax.set_ylabel("x" if place % columns == 0 else "")
        ax.set_title(name, color=ink(COLOURS[colour]), fontweight="bold")
    return figure


def looks(
    seen: Tensor, attention: Tensor, times: Tensor, true: Tensor, predicted: Tensor
) -> Figure:
    """Left: attention (layer, T) of the newest state, by the time of the state attended to (T,).
    Right: the motion after the window (steps,), exact and predicted."""
    figure, (left, right) = panels(2)
    extent = (float(seen[0]), float(seen[-1]), len(attention) + 0.5, 0.5)
    options = {"vmin": -3, "vmax": 0, "aspect": "auto", "extent": extent, "cmap": "viridis"}
    image = left.imshow(attention.clamp(min=1e-9).log10().numpy(), **options)
    left.set(xlabel="time t of the state", ylabel="layer", yticks=range(1, len(attention) + 1))
    left.grid(False)
    figure.colorbar(image, ax=left, label="log10 of attention")
    right.plot(times, true, color=COLOURS["truth"], linewidth=2, label="exact")
    right.plot(times, predicted, color=COLOURS["model"], linewidth=1.5, label="predicted")
    reach = 1.8 * true.abs().max().item()  # room for the names
    right.set(xlabel="t", ylabel="x", ylim=(-reach, reach))
    right.legend(loc="upper right")
    return figure


def linear_question(
    contexts: Tensor, solved: Tensor, descended: Tensor, sizes: Tensor, residue: Tensor
) -> Figure:
    """Left: error against T, solved (n,) and descended (seed, n). Right: what is left along each
    singular direction of the windows, beside the singular value."""
    figure, (left, right) = panels(2)
    left.plot(contexts, solved, "D-", color=COLOURS["linear"], label="least squares", markersize=4)
    band(left, contexts, descended, "second", BAND, "AdamW")
    left.set(xscale="log", yscale="log", xlabel="T", ylabel="one-step MSE", xticks=contexts)
    left.set_xticklabels([str(int(t)) for t in contexts])
    left.minorticks_off()
    left.legend()
    order = range(1, len(sizes) + 1)
    right.plot(order, sizes / sizes[0], ".", color=COLOURS["truth"], label="singular value / first")
    right.plot(order, residue, ".", color=COLOURS["second"], label="error of AdamW (rms)")
    right.set(yscale="log", xlabel="singular direction", ylim=(1e-20, 1e4))
    right.legend(loc="upper right", handletextpad=0.2)
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


def surrogate(
    times: Tensor,
    true: Tensor,
    paths: dict[str, Tensor],
    count: Tensor,
    apart: dict[str, Tensor],
) -> Figure:
    """Above: x of one trajectory (steps,), exact and by each model. Below, {"teacher: method":
    (seed, steps)}: each surrogate's distance to its teacher against the rollout step."""
    figure, (above, below) = panels(2, height=3.0, columns=1)
    for name, path in {"exact": true, **paths}.items():
        colour, weight = look(name)
        above.plot(times, path, color=COLOURS[colour], linewidth=weight, label=name)
    reach = 2.2 * true.abs().max().item()
    above.set(xlabel="t", ylabel="x", ylim=(-reach, reach))
    for name, curve in apart.items():
        teacher, _, method = name.partition(": ")
        band(below, count, curve.clamp(1e-6, 1e6), *look(teacher), f"{teacher}: {method}")
        below.lines[-1].set_linestyle("--" if method == "solved" else "-")
    below.set(yscale="log", xlabel="rollout step n", ylabel="distance to the teacher")
    below.set_ylim(1e-6, 1e6)
    for axes in (above, below):
        axes.margins(x=0.02)
        label_ends(axes)
    return figure


# Chapter 3, the solver


WAYS = ("third", "second", "highlight", "model")  # colours of the four ways, plainest first


def frontier(rows: dict[str, tuple[int, float, Tensor, str]], target: float) -> Figure:
    """One-step MSE of every seed against parameters, an arrow from way to way, with the minutes.

    Rows are (parameters, minutes, MSE (seed,), colour), the ladder's grey. What errs by less than
    10⁻¹¹ stands at the lower edge, with its error.
    """
    figure, (axes,) = panels(1, height=4)
    floor, last = 1e-11, None
    largest = max(size for size, _, _, colour in rows.values() if colour != "control")
    for name, (size, minutes, values, colour) in rows.items():
        dots = {"color": COLOURS[colour], "alpha": 0.7, "markersize": 5}
        axes.plot([size] * len(values), values.clamp(min=2 * floor), "o", **dots)
        if colour == "control":
            continue
        middle = float(values.median())
        side = "right" if minutes and size < largest else "left"  # of the words, at the dots
        place = {"xytext": (-9 if side == "right" else 9, 0), "ha": side, "va": "center"}
        place |= {"textcoords": "offset points", "color": ink(COLOURS[colour])}
        words = f"{name}: " + (f"{minutes:.2g} min" if minutes else power(middle))
        axes.annotate(words, (size, max(middle, 2 * floor)), **place)
        if minutes and last:
            axes.annotate("", (size, middle), last, arrowprops=ARROW)
        last = (size, middle) if minutes else last
    axes.axhline(target, color=COLOURS["control"], linestyle="--")
    axes.text(0.01, target, "target", va="bottom", transform=axes.get_yaxis_transform())
    axes.text(0.3, 0.97, "the ladder", color=ink(COLOURS["control"]), transform=axes.transAxes)
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="one-step MSE")
    axes.set_ylim(bottom=floor)
    return figure


ARROW = {"arrowstyle": "->", "color": COLOURS["control"], "shrinkA": 5, "shrinkB": 5}


def power(value: float) -> str:
    """A number as mathematics: 3 × 10⁻²³."""
    digits, exponent = f"{value:.0e}".split("e")
    return rf"${digits} \times 10^{{{int(exponent)}}}$"


# Chapter 3, the criteria


def encoding_and_error(left_out: Tensor, error: Tensor) -> Figure:
    """One dot per position t: MSE against 1 − R², (seed, T) each, coloured by t."""
    figure, (axes,) = panels(1, width=5.6, height=3.4)
    position = torch.arange(2, left_out.shape[1] + 2).expand_as(left_out)
    dots = axes.scatter(left_out, error, c=position, s=12, cmap="viridis")
    figure.colorbar(dots, ax=axes, label="position t")
    axes.set(xscale="log", yscale="log", xlabel="1 − R² of exp(AΔt)", ylabel="one-step MSE")
    return figure


def models_compared(groups: dict[str, tuple[Tensor, Tensor]]) -> Figure:
    """One dot per model, MSE against R²: {group: (R², MSE)}, (n,) each, a colour a group."""
    figure, (axes,) = panels(1, height=3.2)
    for colour, (name, (r2, error)) in zip(("model", "rival"), groups.items(), strict=True):
        axes.plot(r2, error, "o", color=COLOURS[colour], label=name)
    axes.set(yscale="log", xlabel="R² of exp(AΔt)", ylabel="one-step MSE")
    axes.legend()
    return figure


def following(scores: dict[str, Tensor], followed: float) -> Figure:
    """{model: scores (seed, n)}: the share of windows with at least that score, seeds thin."""
    figure, (axes,) = panels(1, height=3.2)
    least = torch.linspace(-0.5, 1, 301, dtype=torch.float64)
    for place, (name, found) in enumerate(scores.items()):
        colour, width = look(name, place)
        shares = (found[:, :, None] >= least).double().mean(dim=1)  # (seed, 301)
        axes.plot(least, shares.T, color=COLOURS[colour], alpha=0.7, linewidth=width)
        axes.plot([], [], color=COLOURS[colour], label=name)
    axes.axvline(followed, color=COLOURS["truth"], linestyle=":")
    axes.set(xlabel="score", ylabel="share of windows with at least that", ylim=(-0.02, 1.02))
    axes.legend(loc="upper right", bbox_to_anchor=(0.88, 0.94))  # between the curves
    return figure


def likeness_by_noise(noises: Sequence[float], curves: dict[str, list[Tensor]]) -> Figure:
    """{likeness to what: (seed,) by noise}, one colour each: every seed a dot, means joined."""
    figure, (axes,) = panels(1, height=3.4)
    colours = ("model", "linear", "control")
    for shift, (colour, (name, values)) in enumerate(zip(colours, curves.items(), strict=True)):
        hue = COLOURS[colour]
        places = [k + 0.08 * (shift - 1) for k in range(len(noises))]
        axes.plot(places, [float(v.mean()) for v in values], color=hue, label=name)
        for place, seeds in zip(places, values, strict=True):
            dots = {"color": hue, "alpha": 0.6, "markersize": 5, "label": "_"}
            axes.plot([place] * len(seeds), seeds, "o", **dots)
    axes.set_xticks(range(len(noises)), [f"{noise:g}" for noise in noises])
    axes.set(xlabel="noise σ of the windows in training", ylabel="likeness", ylim=(-0.3, 1.05))
    label_ends(axes)
    return figure


def weights_of_the_past(weights: dict[str, Tensor]) -> Figure:
    """{method: (T,) or (seed, T)}, how much each position counts: one panel each, seeds thin."""
    figure, axes = panels(len(weights), height=2.5, columns=2, sharex=True, sharey=True)
    for ax, (name, sizes) in zip(axes, weights.items(), strict=True):
        for line in sizes.reshape(-1, sizes.shape[-1]):
            ax.plot(range(1, len(line) + 1), line, color=COLOURS["model"], alpha=0.7, linewidth=1.2)
        ax.set(title=name, yscale="log", ylim=(0.005, 3))
    for ax in axes[-2:]:
        ax.set_xlabel("position t in the window")
    for ax in axes[::2]:
        ax.set_ylabel("weight")
    return figure
