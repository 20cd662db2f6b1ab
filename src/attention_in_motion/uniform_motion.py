"""Uniform motion, x2 = 2 x1 − x0, and what one attention layer over two tokens makes of it.

Post 3, "Physics 1 – Attention can't exactly simulate uniform linear motion". The task, the post's
layer, its closed form in one dimension, the best it can do at a given distance of its positions,
and layers that solve the task exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from attention_in_motion.attention import Linear, draw_uniform

PROJECTIONS = ("both", "up", "none")


def next_position(x: Tensor) -> Tensor:
    """x2 = 2 x1 − x0, the motion without force, from tokens (..., 2, d) → (..., 1, d)."""
    return 2 * x[..., 1:, :] - x[..., :1, :]


def normalised_mse(predicted: Tensor, true: Tensor) -> Tensor:
    """Σ (y − t)² / Σ t² per seed, 1 for predicting zero: (seed, ...) → (seed,)."""
    return ((predicted - true) ** 2).flatten(1).sum(1) / (true**2).flatten(1).sum(1)


class MotionAttention(nn.Module):
    """Post 3's model: one attention layer that reads two tokens and predicts the next position.

        h_i = W_E x_i (+ b_E) + P_i
        Δ = (W_Q h1 + b_Q) · W_K (h1 − h0) / √d_model                 the logit gap, per head
        y = Σ_heads W_V (h0 + σ(Δ)(h1 − h0)) + b_V (+ h1);  Y = W_U y (+ b_U)

    A softmax over two tokens is the sigmoid of their logit gap. It leaves no trace of a key bias,
    so there is none; W_V stands for the product of value and output matrices, which is all that
    enters. `projections` "up" has no W_U, "none" has neither W_E nor W_U. Tokens
    (seed, batch, 2, d_in) → (seed, batch, 1, d_in); the gaps (seed, batch, head) are recorded.
    Raises ValueError for an unknown `projections` or widths that differ where one is missing.
    """

    def __init__(
        self,
        rngs: list[torch.Generator],
        *,
        d_in: int = 1,
        d_model: int = 1,
        n_heads: int = 1,
        projections: str = "none",
        positions: bool = True,
        biases: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if projections not in PROJECTIONS:
            allowed = ", ".join(PROJECTIONS)
            raise ValueError(f"projections = {projections!r}: must be one of {allowed}")
        if projections != "both" and d_in != d_model:
            raise ValueError(f"d_model = {d_model}: must be d_in = {d_in} without both projections")
        self.n_heads, self.residual, self.scale = n_heads, residual, d_model**0.5
        self.W_E = Linear(d_in, d_model, True, rngs) if projections != "none" else None
        self.P = draw_uniform((1, 2, d_model), d_model**-0.5, rngs) if positions else None
        self.W_Q = Linear(d_model, n_heads * d_model, biases, rngs)
        self.W_K = Linear(d_model, n_heads * d_model, False, rngs)
        self.W_V = Linear(n_heads * d_model, d_model, biases, rngs)
        self.W_U = Linear(d_model, d_in, True, rngs) if projections == "both" else None
        self.gaps = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = x if self.W_E is None else self.W_E(x)  # (seed, batch, 2, d_model)
        h = h if self.P is None else h + self.P
        h0, h1 = h.unbind(-2)  # (seed, batch, d_model) each
        products = self.W_Q(h1) * self.W_K(h1 - h0) / self.scale  # (seed, batch, head × d_model)
        gaps = self.gaps(products.unflatten(-1, (self.n_heads, -1)).sum(-1))  # (seed, batch, head)
        mixed = h0.unsqueeze(2) + gaps.sigmoid().unsqueeze(-1) * (h1 - h0).unsqueeze(2)
        y = self.W_V(mixed.flatten(2))  # (seed, batch, d_model)
        y = y + h1 if self.residual else y
        y = y if self.W_U is None else self.W_U(y)  # (seed, batch, d_in)
        return y.unsqueeze(2)


# The layer in one dimension, in closed form


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


def layer_of(model: MotionAttention, input_scale: float) -> Layer:
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


def first_order_family(D: Tensor) -> tuple[Tensor, Tensor]:
    """R and a·s with (C0, C1) a s = (−1, 2), one solution for every gap at rest D.

    With g(D) = σ + D σ':  R = −(2 − g) / σ' and a s = −1 / (1 − g), g ≠ 1.
    """
    weight = torch.sigmoid(torch.as_tensor(D))
    slope = weight * (1 - weight)
    g = weight + D * slope
    return -(2 - g) / slope, -1 / (1 - g)


def regress_attention(layer: Layer, nodes: int = 20) -> tuple[Tensor, Tensor]:
    """Post 3's fit α1 ≈ k + k0 x0 + k1 x1 over N(0, 1) positions: (seed, 3), and R² (seed,)."""
    x0, x1, weights = (torch.from_numpy(part) for part in quadrature(nodes))
    alpha = torch.stack([attention_to_last(layer, *point) for point in zip(x0, x1, strict=True)])
    alpha = alpha.double()  # (n, seed)
    design = torch.stack([torch.ones_like(x0), x0, x1], dim=1)  # (n, 3), orthonormal in weights
    coefficients = design.mT @ (weights[:, None] * alpha)  # (3, seed)
    left = weights @ (alpha - design @ coefficients) ** 2
    return coefficients.mT, 1 - left / (weights @ (alpha - coefficients[0]) ** 2)


# The best the layer can do at a given ε


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


# Layers written down by hand: float64, one seed, input scale 1


def written(weights: dict[str, list], **shape: object) -> MotionAttention:
    """A layer with the given weights and zeros elsewhere, keys as in its state dict."""
    model = MotionAttention([torch.Generator()], **shape).double().requires_grad_(False)
    state = {name: torch.zeros_like(weight) for name, weight in model.state_dict().items()}
    for name, values in weights.items():
        state[name] = torch.tensor(values, dtype=torch.float64).reshape(state[name].shape)
    model.load_state_dict(state)
    return model


def residual_layer() -> MotionAttention:
    """Exact: a residual and uniform attention, 3 (x1 − ⅔ (x0 + x1) / 2) = 2 x1 − x0."""
    weights = {"W_E.W": [1.0], "W_V.W": [-2 / 3], "W_U.W": [3.0]}
    return written(weights, projections="both", positions=False, residual=True)


def two_head_layer() -> MotionAttention:
    """Exact: two heads that read the position from a channel of its own (d_model = 2).

    The heads put ¾ and ¼ on the last token, whatever x is, and carry values 3.5 and −2.5.
    """
    gap = float(np.log(3.0) * np.sqrt(2.0))
    weights = {
        "W_E.W": [1.0, 0.0],
        "P": [[0.0, 0.0], [0.0, 1.0]],
        "W_Q.b": [0.0, gap, 0.0, -gap],
        "W_K.W": [[0.0] * 4, [0.0, 1.0, 0.0, 1.0]],
        "W_V.W": [[3.5, 0.0], [0.0, 0.0], [-2.5, 0.0], [0.0, 0.0]],
        "W_U.W": [1.0, 0.0],
    }
    return written(weights, d_model=2, n_heads=2, projections="both")


def hard_attention_layer(gap: float, epsilon: float) -> MotionAttention:
    """Exact as gap → ∞: a uniform head of value 4 and one of value −3 that turns to x0.

    4 (h0 + h1)/2 − 3 h0 = 2 h1 − h0 at any P = 1/ε; the error is −3 σ(Δ)(h1 − h0) with
    Δ = −gap (1 + ε (x1 − x0)).
    """
    distance = 1 / epsilon
    weights = {
        "P": [0.0, distance],
        "W_Q.b": [0.0, -gap / distance],
        "W_K.W": [0.0, 1.0],
        "W_V.W": [4.0, -3.0],
        "W_V.b": [-2 * distance],
    }
    return written(weights, n_heads=2)


def hard_attention_nmse(gap: float, epsilon: float, nodes: int = 40) -> float:
    """E[(3 e^{−gap (1 + εu)} (u + 1/ε))²] / E[t²], u = x1 − x0 uniform: its tail at a large gap."""
    x0, x1, weights = quadrature(nodes, "uniform")
    u = x1 - x0
    error = 3 * np.exp(-gap * (1 + epsilon * u)) * (u + 1 / epsilon)
    return float(weights @ error**2 / (weights @ (2 * x1 - x0) ** 2))


def first_order_layer(D: float, distance: float) -> MotionAttention:
    """One head without residual, correct to first order: error O(1 / P), P = distance, any D."""
    R, gain = (float(value) for value in first_order_family(torch.tensor(D, dtype=torch.float64)))
    query = R / distance**2
    weights = {
        "P": [0.0, distance],
        "W_Q.W": [query],
        "W_Q.b": [D / distance - query * distance],
        "W_K.W": [1.0],
        "W_V.W": [gain],
        "W_V.b": [-gain * distance / (1 + np.exp(-D))],
    }
    return written(weights)
