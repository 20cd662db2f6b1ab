"""Figures of chapter 5."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from attention_in_motion.figures.style import COLOURS, SMALLEST, WIDTH, panels


def odeformer_path(
    times: ArrayLike, observed: ArrayLike, words: list[str], attention: Tensor, found: ArrayLike
) -> Figure:
    """Attention (words, n) of each written word; found (n, dimension) through the observed."""
    figure, (left, right) = panels(2, height=max(0.17 * len(words), 2) + 1)
    left.imshow(attention.numpy(), aspect="auto", cmap="viridis")
    left.set(yticks=range(len(words)), xlabel="point", title="looked at while writing")
    left.set_yticklabels(words)
    left.grid(False)
    for colour, values in zip(("model", "second", "linear"), observed.T, strict=False):
        right.plot(times, values, ".", color=COLOURS[colour])
    right.plot(times, found, color=COLOURS["truth"], linewidth=1)
    right.set(xlabel="t", title="observed, and what was found")
    return figure


def recognised(rows: list[dict], conditions: list[str], methods: dict[str, str]) -> Figure:
    """Share and interval per group of systems: one panel per condition, {method: its colour}."""
    groups = list(dict.fromkeys(row["group"] for row in rows))
    size = {"height": 0.32 * len(groups) + 1.2, "sharey": True}
    figure, axes = panels(len(conditions), **size)
    chosen = [row for row in rows if row["method"] in methods]
    for ax, condition in zip(axes, conditions, strict=True):
        for row in chosen:
            if row["condition"] == condition:
                colour = COLOURS[methods[row["method"]]]
                y = groups.index(row["group"]) + 0.2 * (list(methods).index(row["method"]) - 1)
                ax.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1)
                ax.plot(row["share"], y, "o", color=colour, markersize=4)
        ax.set(title=condition.replace(", ", "\n"), xlim=(-0.05, 1.05), xticks=(0, 0.5, 1))
    figure.supxlabel("share with R² > 0.9", fontsize=SMALLEST)
    axes[0].set(yticks=range(len(groups)), yticklabels=groups)
    axes[0].invert_yaxis()
    for method, colour in methods.items():
        axes[0].plot([], [], "o", color=COLOURS[colour], label=method)
    figure.legend(loc="outside upper center", ncols=len(methods))
    return figure


def worked(examples: dict[str, tuple]) -> Figure:
    """One panel per (times, observed (n, dimension), curve): what was found through the points."""
    figure, axes = panels(len(examples), height=2.6, columns=2)
    for ax, (name, (times, observed, curve)) in zip(axes, examples.items(), strict=True):
        for k, colour in enumerate(("model", "second")[: observed.shape[1]]):
            style = {"color": COLOURS[colour]}
            ax.plot(times, observed[:, k], ".", **style, label=f"{'xy'[k]}, observed")
            ax.plot(times, curve[:, k], "-", **style, label=f"{'xy'[k]}, found")
        ax.set(title=name.replace(": ", "\n"), xlabel="t")
    return with_legend(figure)


def by_steepness(steepness: ArrayLike, saturation: ArrayLike, shares: Tensor) -> Figure:
    """Share recognised (saturation, steepness) as a map with its numbers; NaN where none is."""
    figure, (ax,) = panels(1, width=6, height=3.6)
    shown = ax.imshow(shares.numpy(), vmin=0, vmax=1, cmap="viridis", aspect="auto", origin="lower")
    for (row, column), share in np.ndenumerate(shares.numpy()):
        if not np.isnan(share):
            colour = "white" if share < 0.5 else "black"
            ax.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour)
    ax.set(xlabel="steepness a", ylabel="a · middle")
    ax.set_xticks(range(len(steepness)), [f"{a:g}" for a in steepness])
    ax.set_yticks(range(len(saturation)), [f"{s:g}" for s in saturation])
    ax.grid(False)
    figure.colorbar(shown, ax=ax, label="share recognised")
    return figure


# ---------------------------------------------------------------------------------------------
# The page on derivatives


def head_maps(curves: dict[str, tuple[ArrayLike, ...]]) -> Figure:
    """Per curve (times, x, |x′|, mass, attention (query, key)): x, slope and mass over the map.

    Each line is divided by its largest value, as the post's plots are.
    """
    n = len(curves)
    figure, axes = panels(2 * n, width=WIDTH / n, height=1.9, columns=n, sharey="row")
    for k, (name, (times, x, slope, mass, attention)) in enumerate(curves.items()):
        above, below = axes[k], axes[n + k]
        lines = (("x", x, "truth"), ("|x′|", slope, "rival"), ("column mass", mass, "model"))
        for label, values, colour in lines:
            values = np.asarray(values)
            above.plot(times, values / values.max(), color=COLOURS[colour], label=label)
        extent = (times[0], times[-1], times[-1], times[0])
        below.imshow(np.asarray(attention), aspect="auto", cmap="viridis", extent=extent)
        below.grid(False)
        above.set_title(name.removeprefix("Sigmoid_"))  # as the post names them: a_b
        above.tick_params(labelbottom=False)
    axes[n].set_ylabel("looking, t")
    figure.supxlabel("looked at, t", fontsize=SMALLEST)
    return with_legend(figure)


def by_place(
    titles: dict[str, tuple[ArrayLike, ArrayLike, dict[str, float]]],
    places: list[str],
    ylabel: str,
    xlabel: str = "encoder layer",
    known: dict[str, list[float]] | None = None,
) -> Figure:
    """Scores by place: {title: (seeds (model, place), untrained (model, place), {name: level})}.

    One dot a model, nothing for a group without models; levels are dashed lines, that of the "rule"
    is dotted. `known` gives what the post has, {title: by place}, as crosses, NaN for nothing.
    """
    columns = len(titles) if len(titles) <= 3 else 2
    figure, axes = panels(len(titles), height=2.9, columns=columns, sharey=True)
    every = -(-columns * len(places) // 16)  # so many labels have room beside each other
    for ax, (title, (ours, null, levels)) in zip(axes, titles.items(), strict=True):
        for shift, rows, colour, label in (
            (-0.1, ours, "model", "trained"),
            (0.1, null, "control", "untrained"),
        ):
            values = np.asarray(rows, dtype=float)  # (model, place)
            if not values.size:
                continue
            x = np.broadcast_to(np.arange(values.shape[1]) + shift, values.shape)
            style = {"color": COLOURS[colour], "alpha": 0.6, "markersize": 4}
            ax.plot(x.T, values.T, "o", **style)
            ax.plot([], [], "o", **style, label=label)
        for (name, level), colour in zip(
            levels.items(), ("linear", "second", "third"), strict=False
        ):
            style = ("truth", ":") if name == "rule" else (colour, "--")
            ax.axhline(level, color=COLOURS[style[0]], linestyle=style[1], label=name)
        if known and title in known:
            ax.plot(known[title], "x", color=COLOURS["highlight"], markersize=5, label="the post")
        ax.set(title=title, xlabel=xlabel)
        shown = places[: np.shape(ours)[1]]  # a panel may have fewer than the others
        ax.set_xticks(range(0, len(shown), every), shown[::every])
    for ax in axes[::columns]:
        ax.set_ylabel(ylabel)
    return with_legend(figure)


def stencils(lags: ArrayLike, ours: ArrayLike, ylabel: str = "added to the slope") -> Figure:
    """What layers add to a point from so many points away: (model, layer, lag)."""
    values = np.asarray(ours)
    figure, axes = panels(values.shape[1], height=2.2, columns=2)
    for layer, ax in enumerate(axes):
        ax.axhline(0, color=COLOURS["control"], linewidth=0.8)
        ax.plot(lags, values[:, layer].T, color=COLOURS["model"], alpha=0.6, linewidth=1)
        ax.set(title=f"layer {layer}", xlabel="points away")
    for ax in axes[::2]:
        ax.set_ylabel(ylabel)
    return figure


# ---------------------------------------------------------------------------------------------
# The page on lenses

ABREAST = 9  # positions of a token chart in one row of the page


def token_chart(written: list[str], words: list[list[list[str]]], p: Tensor) -> Figure:
    """What each layer (row) says at each position (column), on the colour of its probability.

    words and their p by (layer, position, rank), the first of which is shown; `written` is what the
    model writes there. Long answers go on in a panel below.
    """
    layers, positions, _ = p.shape
    starts, widest = range(0, positions, ABREAST), min(ABREAST, positions)
    figure, axes = panels(len(starts), height=0.26 * layers + 0.8, columns=1)
    for ax, start in zip(axes, starts, strict=True):
        part = p[:, start : start + ABREAST, 0].numpy()
        shown = ax.imshow(part, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        for (row, column), sure in np.ndenumerate(part):
            options = {"ha": "center", "va": "center", "color": "white" if sure < 0.6 else "black"}
            ax.text(column, row, words[row][start + column][0].replace("_", ""), **options)
        ax.set(ylabel="decoder layer", yticks=range(layers), xlim=(-0.5, widest - 0.5))
        ax.set_xticks(range(part.shape[1]), written[:positions][start : start + ABREAST])
        ax.invert_yaxis()
        ax.grid(False)
    axes[-1].set_xlabel("written")
    figure.colorbar(shown, ax=axes, label="probability", shrink=0.6)
    return figure


def word_by_layer(words: list[str], own: Tensor, p: Tensor) -> Figure:
    """One word of an answer: its probability by layer, and the likeliest words at the last layer.

    own (layer,) of the written word, p (layer, rank) of the likeliest, words (rank,) the last ones.
    """
    figure, (rise, last) = panels(2, height=2.6, columns=2)
    rise.plot(own, color=COLOURS["model"], label="written word")
    rise.plot(p[:, 0], color=COLOURS["truth"], linestyle="--", label="likeliest word")
    rise.set(
        xlabel="decoder layer", ylabel="probability", ylim=(0, 1), xticks=range(0, len(own), 2)
    )
    last.barh(range(len(words)), p[-1].tolist(), color=COLOURS["model"])
    last.set(xlabel="probability", xlim=(0, 1), yticks=range(len(words)), yticklabels=words)
    last.invert_yaxis()
    return with_legend(figure)


def profiles(
    titles: dict[str, tuple[ArrayLike, ArrayLike, ArrayLike]],
    xlabel: str,
    ylabel: str,
    mark: float | None = None,
    names: tuple[str, str] = ("trained", "untrained"),
) -> Figure:
    """Lines over x, one a model: {title: (x (n,), ours (model, n), null (model, n))}.

    A dotted line stands at x = `mark`; `names` are those of the two groups.
    """
    figure, axes = panels(len(titles), height=2.9)
    for ax, (title, (x, ours, null)) in zip(axes, titles.items(), strict=True):
        groups = zip((null, ours), ("control", "model"), names[::-1], strict=True)
        for rows, colour, label in groups:
            values = np.asarray(rows, dtype=float).reshape(-1, len(x))
            ax.plot(x, values.T, color=COLOURS[colour], alpha=0.6, linewidth=1)
            ax.plot([], [], color=COLOURS[colour], label=label)
        if mark is not None:
            ax.axvline(mark, color=COLOURS["truth"], linestyle=":", label="the post")
        ax.set(title=title, xlabel=xlabel)
    axes[0].set_ylabel(ylabel)
    return with_legend(figure)


def marked_curves(
    curves: dict[str, tuple[ArrayLike, ArrayLike, ArrayLike]], label: str = "column mass"
) -> Figure:
    """Per curve (times, values (n, dimension), mass (n,)): coordinates over what points get.

    The mass is a head's, or what `label` says. Every line is divided by its largest size.
    """
    figure, axes = panels(len(curves), height=2.4, sharey=True)
    for ax, (title, (times, values, mass)) in zip(axes, curves.items(), strict=True):
        coordinates = zip(np.asarray(values).T, ("truth", "second"), ("x", "y"), strict=False)
        for x, colour, name in coordinates:
            ax.plot(times, x / np.abs(x).max(), color=COLOURS[colour], label=name)
        mass = np.asarray(mass)
        largest = np.abs(mass).max() or 1.0
        ax.fill_between(times, mass / largest, color=COLOURS["model"], alpha=0.35, label=label)
        ax.set(title=title, xlabel="t")
    return with_legend(figure)


def with_legend(figure: Figure) -> Figure:
    """The figure with one legend above it, for all its panels: a name once."""
    handles: dict[str, Artist] = {}
    for ax in figure.axes:
        found, labels = ax.get_legend_handles_labels()
        handles |= zip(labels, found, strict=True)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
    return figure


# ---------------------------------------------------------------------------------------------
# The page on sparse features


def planes(titles: dict[str, tuple[ArrayLike, ArrayLike, list[str]]]) -> Figure:
    """Points of a plane by group: {title: (points (n, 2), group (n,) from 0, names)}.

    The first group is grey; no more than seven have a name, the rest is drawn as the first.
    """
    figure, axes = panels(len(titles), height=3.8, columns=min(len(titles), 2))
    colours = ("control", "model", "rival", "linear", "highlight", "second", "third")
    for ax, (title, (points, group, names)) in zip(axes, titles.items(), strict=True):
        points, group = np.asarray(points), np.asarray(group)
        group = np.where(group < min(len(names), len(colours)), group, 0)
        for k, (name, colour) in enumerate(zip(names, colours, strict=False)):
            own = points[group == k]
            ax.plot(*own.T, ".", color=COLOURS[colour], markersize=3, alpha=0.7, label=name)
        ax.set(title=title, xticks=[], yticks=[])
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, markerscale=2)
    return figure
