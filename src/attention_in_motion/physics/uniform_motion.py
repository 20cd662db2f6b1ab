"""Uniform motion, x2 = 2 x1 − x0: the task of post 3 and the points it is scored on."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def next_position(x: Tensor) -> Tensor:
    """x2 = 2 x1 − x0, the motion without force, from tokens (..., 2, d) → (..., 1, d)."""
    return 2 * x[..., 1:, :] - x[..., :1, :]


def normalised_mse(predicted: Tensor, true: Tensor) -> Tensor:
    """Σ (y − t)² / Σ t² per seed, 1 for predicting zero: (seed, ...) → (seed,)."""
    return ((predicted - true) ** 2).flatten(1).sum(1) / (true**2).flatten(1).sum(1)


def quadrature(n: int, distribution: str = "normal") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x0, x1 and weights (n²,) of the Gauss rule for independent N(0, 1) or U[−1, 1] positions."""
    rules = {
        "normal": np.polynomial.hermite_e.hermegauss,
        "uniform": np.polynomial.legendre.leggauss,
    }
    if distribution not in rules:
        raise ValueError(f"distribution = {distribution!r}: must be 'normal' or 'uniform'")
    nodes, weights = rules[distribution](n)
    x0, x1 = np.meshgrid(nodes, nodes, indexing="ij")
    weights = np.outer(weights, weights).ravel()
    return x0.ravel(), x1.ravel(), weights / weights.sum()
