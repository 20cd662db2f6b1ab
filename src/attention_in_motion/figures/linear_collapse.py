"""Figures of chapter 2. Ensembles come under the names of the page's runs."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from attention_in_motion.figures.style import COLOURS, band, panels, strip

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
    figure, (axes,) = panels(1, width=6.5, height=2.8)
    names = [*(LOSSES[run] for run in errors), "linear model, solved"]
    for row, (run, values) in enumerate(errors.items()):
        strip(axes, row, values, colour(run))
    axes.plot(solved, len(errors), "D", color=COLOURS["linear"])
    axes.set(xscale="log", yticks=range(len(names)), yticklabels=names)
    axes.set(xlabel="median phase-space error of the rollout", ylim=(len(errors) + 0.6, -0.6))
    return figure


def saliency_maps(maps: dict[str, Tensor]) -> Figure:
    """Jacobian norms (seed, T, T, 2, 2) as maps on one logarithmic colour scale."""
    figure, axes = panels(len(maps), width=3.8, height=3.3)
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
    figure, (axes,) = panels(1, width=6)
    for run, shares in histories.items():
        band(axes, steps, shares, colour(run), LOSSES[run])
    axes.set(xscale="log", yscale="log", xlabel="training step", ylabel="attention path / direct")
    axes.legend()
    return figure
