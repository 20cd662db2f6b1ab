"""The linear rivals: Eq. 2 of post 2, trained or solved, and least squares in context."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attention_in_motion.models.attention import Linear


class LinearPredictor(nn.Module):
    """X_{T+1} = Σ_t β_t X_t + c (post 2, Eq. 2): (seed, batch, time, 2) → (seed, batch, 1, 2).

    It answers for the last position alone, whether `last` is asked for or not.
    """

    def __init__(self, rngs: list[torch.Generator], context: int) -> None:
        super().__init__()
        self.beta = Linear(2 * context, 2, True, rngs)

    def forward(self, x: Tensor, last: bool = True) -> Tensor:
        return self.beta(x.flatten(-2)).unsqueeze(-2)


def solve_linear_predictor(windows: Tensor, targets: Tensor, rcond: float) -> tuple[Tensor, int]:
    """Least-squares β of Eq. 2 with its constant: windows (n, T, 2), targets (n, 2).

    Minimum-norm solution with singular values below rcond · σ_max dropped; returns the matrix
    (2T + 1, 2), constant last, and the rank kept. Evaluate with `apply_linear_predictor`.
    """
    design = with_constant(windows)
    solution = torch.linalg.lstsq(design, targets, rcond=rcond, driver="gelsd")
    return solution.solution, int(solution.rank)


def with_constant(windows: Tensor) -> Tensor:
    """Flatten windows (..., T, 2) to (..., 2T + 1) with a trailing 1."""
    flat = windows.flatten(-2)
    return torch.cat([flat, torch.ones_like(flat[..., :1])], dim=-1)


def apply_linear_predictor(beta: Tensor, windows: Tensor) -> Tensor:
    """Σ_t β_t X_t + c for windows (..., T, 2) → (..., 2)."""
    return with_constant(windows) @ beta


def in_context_least_squares(windows: Tensor) -> Tensor:
    """K̂ = argmin_K Σ_t |X_{t+1} − K X_t|² from each window alone, and its prediction K̂ X_T.

    windows (..., T, 2), T ≥ 3 → (..., 2). Exact for every oscillator, whatever its ω0 and γ: the
    ceiling for one-step prediction, known elsewhere as dynamic mode decomposition.
    """
    return (windows[..., -1:, :] @ in_context_map(windows).mT).squeeze(-2)


def in_context_map(windows: Tensor) -> Tensor:
    """The K̂ of `in_context_least_squares`: windows (..., T, 2), T ≥ 3 → (..., 2, 2)."""
    if windows.shape[-2] < 3:
        raise ValueError(f"T = {windows.shape[-2]}: in-context least squares needs T >= 3")
    return torch.linalg.lstsq(windows[..., :-1, :], windows[..., 1:, :]).solution.mT
