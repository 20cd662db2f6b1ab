"""Linear probes with held-out scores, and moving a model's state by what a probe found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LinearMap:
    """y = (x − mean) W + b, fitted by `ridge`: W (d, k), mean (d,), b (k,)."""

    W: Tensor
    mean: Tensor
    b: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.mean) @ self.W + self.b


def ridge(x: Tensor, y: Tensor, alpha: float) -> LinearMap:
    """argmin |y − x W|² + α n |σ W|², x (n, d), y (n, k), σ the columns' standard deviations.

    Centred, and scaled column by column so that α has no unit.
    """
    mean, b = x.mean(0), y.mean(0)
    scale = x.std(0).clamp(min=1e-12)
    standard = (x - mean) / scale
    normal = standard.T @ standard + alpha * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    W = torch.linalg.solve(normal, standard.T @ (y - b)) / scale[:, None]
    return LinearMap(W, mean, b)


def r2(y: Tensor, predicted: Tensor) -> float:
    """1 − Σ|y − predicted|² / Σ|y − mean|², all columns together: (n, k) each."""
    return float(1 - (y - predicted).square().sum() / (y - y.mean(0)).square().sum())


def held_out_r2(x: Tensor, y: Tensor, fitted: Tensor, alpha: float = 1e-4) -> Tensor:
    """R² of each column of y (n, k) by a ridge regression on x (n, d): (k,).

    Fitted on the rows where `fitted` (n,) is True, scored on the others; the mean that counts as
    knowing nothing is that of the rows scored.
    """
    left = y[~fitted] - ridge(x[fitted], y[fitted], alpha)(x[~fitted])
    spread = y[~fitted] - y[~fitted].mean(0)
    return 1 - left.square().sum(0) / spread.square().sum(0)


@contextmanager
def moved(model: nn.Module, name: str, move: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within the block, the activation called `name` is replaced by move(activation)."""
    point = dict(model.named_modules())[name]
    hook = point.register_forward_hook(lambda module, inputs, output: move(output))
    try:
        yield
    finally:
        hook.remove()


def follow_score(answer: Tensor, before: Tensor, wanted: Tensor) -> Tensor:
    """1 − |answer − wanted| / |before − wanted|: (..., 2) → (...); 1 if followed, 0 if unmoved."""
    return 1 - (answer - wanted).norm(dim=-1) / (before - wanted).norm(dim=-1)
