"""How linear a model is, and what a linear rule does when it feeds on its own output."""

from __future__ import annotations

import torch
from torch import Tensor

from attention_in_motion.measures.trajectories import (
    Predictor,
    TestSet,
    in_parts,
    one_step_mse,
)
from attention_in_motion.models.linear import (
    apply_linear_predictor,
    solve_linear_predictor,
    with_constant,
)
from attention_in_motion.physics import oscillator


def solved_linear(train: TestSet, rcond: float) -> tuple[Tensor, int]:
    """Eq. 2 by least squares on `train`: its β (2T + 1, 2) and the rank kept."""
    return solve_linear_predictor(train.windows, train.next, rcond)


def solved_mse(train: TestSet, test: TestSet, rcond: float) -> float:
    """One-step MSE on `test` of Eq. 2 solved on `train`."""
    return one_step_mse(linear(solved_linear(train, rcond)[0]), test).item()


def surrogates(windows: Tensor, answers: Tensor, rcond: float) -> Tensor:
    """Eq. 2 by least squares on each seed's own answers: windows (n, T, 2), answers (seed, n, 2).

    Returns one β per seed, (seed, 2T + 1, 2).
    """
    return torch.stack([solve_linear_predictor(windows, one, rcond)[0] for one in answers])


def linear(beta: Tensor) -> Predictor:
    """The predictor that β (2T + 1, 2) is, or that an ensemble of them (seed, 2T + 1, 2) is."""
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


def true_poles(omega0: Tensor, gamma: float, dt: float) -> Tensor:
    """e^(−γΔt + iωΔt) with ω = √(ω0² − γ²), complex: (n,). Those below the axis mirror them."""
    damping = torch.full_like(omega0, gamma)
    return torch.polar((-damping * dt).exp(), dt * oscillator.damped_frequency(omega0, damping))


@torch.no_grad()
def left_by_direction(predict: Predictor, train: TestSet) -> tuple[Tensor, Tensor]:
    """What a predictor leaves undone along each singular direction of the windows it was shown.

    The design is the windows with their constant, U S Vᵀ, (n, 2T + 1). Returns S (2T + 1,) and the
    root mean square over the n rows of Uᵀ(prediction − next state): (seed, 2T + 1).
    """
    U, sizes, _ = torch.linalg.svd(with_constant(train.windows), full_matrices=False)
    left = U.T @ (predict(train.windows[None]) - train.next)  # (seed, 2T + 1, 2)
    return sizes, left.norm(dim=-1) / len(train.next) ** 0.5


def unexplained_step(rule: Predictor, answers: Tensor, windows: Tensor) -> Tensor:
    """Share of the variance of a model's step Y − X_T that a linear rule does not reproduce.

    answers Y (seed, n, 2), windows (n, T, 2) → (seed,).
    """
    step = answers - windows[:, -1]
    missed = (answers - rule(windows[None])).square().sum(dim=(1, 2))
    return missed / (step - step.mean(1, keepdim=True)).square().sum(dim=(1, 2))


def superposition_defect(predict: Predictor, x: Tensor, y: Tensor) -> Tensor:
    """|f((X + Y)/2) − (f(X) + f(Y))/2|, root mean square over windows (n, T, 2): (seed,).

    Zero for every affine map. For windows of one ω0 it is zero for the true map too, so it measures
    an error; for windows of two it tells a linear rule from one that finds ω0.
    """
    middle = (in_parts(predict, x[None]) + in_parts(predict, y[None])) / 2
    return (in_parts(predict, (x + y)[None] / 2) - middle).square().sum(-1).mean(-1).sqrt()
