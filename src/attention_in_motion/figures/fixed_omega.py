"""Figures of chapter 1."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from attention_in_motion.figures.style import COLOURS, band, panels, strip


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
