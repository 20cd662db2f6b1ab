"""Figures of chapter 2."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from attention_in_motion.figures.style import COLOURS, band, panels, strip


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
