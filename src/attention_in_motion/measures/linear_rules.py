"""How linear a model is, and what a linear rule does when it feeds on its own output."""

from __future__ import annotations

import torch
from torch import Tensor

from attention_in_motion.measures.trajectories import Predictor, TestSet
from attention_in_motion.models.linear import apply_linear_predictor, solve_linear_predictor


def solved_linear(train: TestSet, rcond: float) -> tuple[Tensor, int]:
    """Eq. 2 by least squares on `train`: its β (2T + 1, 2) and the rank kept."""
    return solve_linear_predictor(train.windows, train.next, rcond)


def linear(beta: Tensor) -> Predictor:
    """The predictor that β is."""
    return lambda windows: apply_linear_predictor(beta, windows)


def closed_loop_poles(beta: Tensor) -> Tensor:
    """Eigenvalues (2T,), complex, of the rollout that β (2T + 1, 2) drives through its window.

    The exact rule at frequency ω has the pair e^(−γΔt ± iωΔt); every |eigenvalue| > 1 makes the
    rollout diverge.
    """
    size = len(beta) - 1
    shift = torch.zeros(size, size, dtype=beta.dtype)
    shift[:-2, 2:] = torch.eye(size - 2, dtype=beta.dtype)  # the window moves up by one state
    shift[-2:] = beta[:-1].T
    return torch.linalg.eigvals(shift)


@torch.no_grad()
def superposition_defect(predict: Predictor, x: Tensor, y: Tensor) -> Tensor:
    """|f((X + Y)/2) − (f(X) + f(Y))/2|, root mean square over windows (n, T, 2): (seed,).

    Zero for every affine map. For windows of one ω0 it is zero for the true map too, so it measures
    an error; for windows of two it tells a linear rule from one that finds ω0.
    """
    middle = (predict(x[None]) + predict(y[None])) / 2
    return (predict((x + y)[None] / 2) - middle).square().sum(-1).mean(-1).sqrt()
