"""What an answer owes to parts of the input: integrated gradients and Shapley values, by captum.

The answer is a number F(x) for each row of x (batch, n, d), and what it owes is counted from a
baseline x₀, an input that says nothing. Both methods are complete: their parts add up to
F(x) − F(x₀). Sources: Sundararajan et al., "Axiomatic Attribution for Deep Networks" (2017);
Castro et al., "Polynomial calculation of the Shapley value based on sampling" (2009).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

with warnings.catch_warnings():  # in a notebook captum asks for a progress bar that we do not show
    warnings.filterwarnings("ignore", "IProgress not found")
    from captum.attr import IntegratedGradients, ShapleyValueSampling

Answer = Callable[..., Tensor]  # (x, *given) → (rows,): rows of x and of all that is given agree


def integrated_gradients(
    answer: Answer, x: Tensor, baseline: Tensor, given: tuple[Tensor, ...] = (), n_steps: int = 64
) -> tuple[Tensor, Tensor]:
    """(x − x₀) ∫₀¹ ∂F/∂x (x₀ + α (x − x₀)) dα: attributions like x, and what they miss (batch,).

    The integral is a Gauss–Legendre sum of n_steps terms. What they miss is their sum less
    F(x) − F(x₀), 0 if the sum were the integral. Raises ValueError as `check` does.
    """
    check(x, baseline)
    start = baseline.expand_as(x)
    options = {"n_steps": n_steps, "internal_batch_size": 8 * len(x)}
    found, missed = IntegratedGradients(answer).attribute(
        x, start, additional_forward_args=given, return_convergence_delta=True, **options
    )
    return found.detach(), missed.detach()


def shapley_values(
    answer: Answer,
    x: Tensor,
    baseline: Tensor,
    groups: Tensor,
    given: tuple[Tensor, ...] = (),
    n_samples: int = 25,
    seed: int = 0,
) -> Tensor:
    """The value of each group of positions, mean over random orders: (batch, groups).

    In each order groups change one by one from the baseline to x; a group's value is how much F
    changes then. groups (n,) numbers the positions' groups from 0. Raises ValueError as `check`.
    """
    check(x, baseline)
    mask = groups[None, :, None].repeat(1, 1, x.shape[2])
    options = {"n_samples": n_samples, "feature_mask": mask, "additional_forward_args": given}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        found = ShapleyValueSampling(answer).attribute(x, baseline.expand_as(x), **options)
    first = [int(np.flatnonzero(groups.numpy() == g)[0]) for g in range(int(groups.max()) + 1)]
    return found[:, first, 0]  # captum gives every entry the value of its group


def check(x: Tensor, baseline: Tensor) -> None:
    """Raises ValueError for x that is not (batch, n, d), not finite, or a baseline that differs."""
    if x.ndim != 3 or baseline.shape[-1] != x.shape[-1]:
        raise ValueError(f"x {tuple(x.shape)}, baseline {tuple(baseline.shape)}: must agree in d")
    if not (x.isfinite().all() and baseline.isfinite().all()):
        raise ValueError("x and baseline: must be finite, one value is not")


def missed(attributions: Tensor, gained: Tensor) -> Tensor:
    """|Σ attributions − gained|/|gained| by row: 0 if they are complete. (batch, …), (batch,)."""
    total = attributions.flatten(1).sum(1)
    return (total - gained).abs() / gained.abs().clamp(min=1e-12)
