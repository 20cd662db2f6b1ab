"""Post 3's layer in one dimension: its closed form, its first order, and the best it can do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from attention_in_motion.physics.uniform_motion import quadrature

BEST_GAP = -0.905  # D of the least error as ε → 0, x0, x1 ~ N(0, 1): `best_layer` finds it


class Layer(NamedTuple):
    """The seven numbers that a one-dimensional, one-head layer is; each (seed,) or a float.

    y = c + a (h0 + α1 (h1 − h0)),  h_i = s x_i + p_i,  α1 = σ(Δ),  Δ = (Q + A s x1)(h1 − h0).
    """

    s: Tensor
    p0: Tensor
    p1: Tensor
    A: Tensor  # w_q w_k
    Q: Tensor  # A p1 + b_q w_k
    a: Tensor  # w_v
    c: Tensor  # b_v


def layer_of(model: nn.Module, input_scale: float) -> Layer:
    """The numbers of a one-dimensional layer without projections, as functions of the raw x.

    Raises ValueError for any other layer.
    """
    plain = model.W_E is None and model.P is not None and not model.residual
    if not plain or model.W_V.W.shape[1:] != (1, 1):
        raise ValueError(
            "model: must have one head, width 1, positions, no projections, no residual"
        )
    p0, p1 = model.P.flatten(1).unbind(1)  # (seed,) each
    w_q, w_k, w_v = (linear.W.flatten() for linear in (model.W_Q, model.W_K, model.W_V))
    none = torch.zeros_like(w_q)
    b_q = none if model.W_Q.b is None else model.W_Q.b.flatten()
    b_v = none if model.W_V.b is None else model.W_V.b.flatten()
    scale = torch.full_like(w_q, input_scale)
    return Layer(scale, p0, p1, w_q * w_k, w_q * w_k * p1 + b_q * w_k, w_v, b_v)


def attention_to_last(layer: Layer, x0: Tensor, x1: Tensor) -> Tensor:
    """α1 = σ((Q + A s x1)(P + s (x1 − x0))), P = p1 − p0: the weight on the last token."""
    distance = layer.p1 - layer.p0 + layer.s * (x1 - x0)
    return torch.sigmoid((layer.Q + layer.A * layer.s * x1) * distance)


def output(layer: Layer, x0: Tensor, x1: Tensor) -> Tensor:
    """y = c + a (h0 + α1 (h1 − h0)): what the layer computes, as a formula."""
    h0, h1 = layer.s * x0 + layer.p0, layer.s * x1 + layer.p1
    return layer.c + layer.a * (h0 + attention_to_last(layer, x0, x1) * (h1 - h0))


def dimensionless(layer: Layer) -> tuple[Tensor, Tensor, Tensor]:
    """ε = s / P, D = Q P (the gap at rest) and R = A P²: all that shapes y, up to a and c."""
    distance = layer.p1 - layer.p0
    return layer.s / distance, layer.Q * distance, layer.A * distance**2


def first_order(D: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
    """C0, C1 of y = const + a s (C0 x0 + C1 x1) + O(ε): C0 = 1 − σ − σ'D, C1 = σ + σ'(R + D)."""
    weight = torch.sigmoid(torch.as_tensor(D))
    slope = weight * (1 - weight)
    return 1 - weight - slope * D, weight + slope * (R + D)


def regress_attention(layer: Layer, nodes: int = 20) -> tuple[Tensor, Tensor]:
    """Post 3's fit α1 ≈ k + k0 x0 + k1 x1 over N(0, 1) positions: (seed, 3), and R² (seed,)."""
    x0, x1, weights = (torch.from_numpy(part) for part in quadrature(nodes))
    alpha = torch.stack([attention_to_last(layer, *point) for point in zip(x0, x1, strict=True)])
    alpha = alpha.double()  # (n, seed)
    design = torch.stack([torch.ones_like(x0), x0, x1], dim=1)  # (n, 3), orthonormal in weights
    coefficients = design.mT @ (weights[:, None] * alpha)  # (3, seed)
    left = weights @ (alpha - design @ coefficients) ** 2
    return coefficients.mT, 1 - left / (weights @ (alpha - coefficients[0]) ** 2)


class Best(NamedTuple):
    """The layer of least expected loss at a given ε, for the target 2 x1 − x0 (scale 1)."""

    nmse: float
    D: float
    R: float
    gain: float  # a s
    alpha: np.ndarray  # (3,) regression of α1 on 1, x0, x1
    r2: float  # of that regression


def best_layer(epsilon: float, nodes: int = 20) -> Best:
    """Minimise E (y − 2x1 + x0)² over a, c, D and R at fixed ε = s / P; x0, x1 ~ N(0, 1).

    a and c solve a linear least-squares problem at every (D, R), which leaves a search in a plane;
    it starts from the first-order solution that is best as ε → 0.
    """
    x0, x1, weights = quadrature(nodes)
    roots = np.sqrt(weights)
    target = 2 * x1 - x0

    def regression(features: list[np.ndarray], values: np.ndarray) -> tuple[np.ndarray, float]:
        design = np.stack([np.ones_like(x0), *features], axis=1)  # (n², 1 + features)
        solution = np.linalg.lstsq(roots[:, None] * design, roots * values, rcond=None)[0]
        return solution, weights @ (values - design @ solution) ** 2

    def attention(D: float, R: float) -> np.ndarray:
        gap = (D + R * epsilon * x1) * (1 + epsilon * (x1 - x0))
        return 0.5 * (1 + np.tanh(gap / 2))

    def mixed(D: float, R: float) -> np.ndarray:  # (h0 + α1 (h1 − h0)) / s, up to a constant
        return x0 + attention(D, R) * (1 / epsilon + x1 - x0)

    found = minimize(
        lambda plane: np.log(regression([mixed(*plane)], target)[1]),
        x0=[-0.9, -9.25],
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-9},
    )
    (_, gain), error = regression([mixed(*found.x)], target)
    alpha1 = attention(*found.x)
    alpha, unexplained = regression([x0, x1], alpha1)
    r2 = 1 - unexplained / (weights @ (alpha1 - weights @ alpha1) ** 2)
    return Best(error / (weights @ target**2), *found.x, gain, alpha, r2)


def hard_attention_nmse(gap: float, epsilon: float, nodes: int = 40) -> float:
    """E[(3 e^{−gap (1 + εu)} (u + 1/ε))²] / E[t²], u = x1 − x0 uniform: its tail at a large gap."""
    x0, x1, weights = quadrature(nodes, "uniform")
    u = x1 - x0
    error = 3 * np.exp(-gap * (1 + epsilon * u)) * (u + 1 / epsilon)
    return float(weights @ error**2 / (weights @ (2 * x1 - x0) ** 2))
