"""Post 3's layer in one dimension: its closed form, its first order, and the best it can do.

And what layers with LayerNorm can add to their stream at the most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from attention_in_motion.models.activations import record
from attention_in_motion.physics.uniform_motion import quadrature


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


def members(layer: Layer, seeds: Tensor) -> Layer:
    """The layers of some seeds (an index), in float64."""
    return Layer(*(number[seeds].double() for number in layer))


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


def fit_plane(alpha: Tensor, nodes: int = 20) -> tuple[Tensor, Tensor]:
    """The fit α1 ≈ k + k0 x0 + k1 x1 over N(0, 1) positions: (seed, 3), and its R² (seed,).

    `alpha` (n², seed) holds α1 at the Gauss nodes of `quadrature`, in whose weights 1, x0 and x1
    are orthonormal: each coefficient is one inner product.
    """
    x0, x1, weights = (torch.from_numpy(part) for part in quadrature(nodes))
    design = torch.stack([torch.ones_like(x0), x0, x1], dim=1)  # (n², 3)
    coefficients = design.mT @ (weights[:, None] * alpha)  # (3, seed)
    left = weights @ (alpha - design @ coefficients) ** 2
    return coefficients.mT, 1 - left / (weights @ (alpha - coefficients[0]) ** 2)


def regress_attention(layer: Layer, nodes: int = 20) -> tuple[Tensor, Tensor]:
    """Post 3's fit of each layer's α1 by a plane: (seed, 3), and R² (seed,)."""
    x0, x1, _ = (torch.from_numpy(part)[:, None] for part in quadrature(nodes))
    return fit_plane(attention_to_last(layer, x0, x1).double(), nodes)


class Best(NamedTuple):
    """The layer of least expected loss at a given ε, for the target 2 x1 − x0 (scale 1)."""

    nmse: float
    D: float
    R: float
    gain: float  # a s
    alpha: np.ndarray  # (3,) regression of α1 on 1, x0, x1
    r2: float  # of that regression


def attention_of_shape(
    epsilon: float, D: float, R: float, x0: np.ndarray, x1: np.ndarray
) -> np.ndarray:
    """α1 = σ((D + R ε x1)(1 + ε (x1 − x0))): the weight on the last token, without dimensions."""
    return 0.5 * (1 + np.tanh((D + R * epsilon * x1) * (1 + epsilon * (x1 - x0)) / 2))


START = (-0.9, -9.25)  # (D, R) near the best first-order solution, `taylor.least_error_gap`


def best_layer(epsilon: float, nodes: int = 20) -> Best:
    """Minimise E (y − 2x1 + x0)² over a, c, D and R at fixed ε = s / P; x0, x1 ~ N(0, 1).

    a and c are a linear regression at every (D, R), which leaves a search in a plane; it starts
    near the first-order solution that is best as ε → 0.
    """
    x0, x1, weights = quadrature(nodes)
    target = 2 * x1 - x0  # its mean is zero

    def attention(D: float, R: float) -> np.ndarray:
        return attention_of_shape(epsilon, D, R, x0, x1)

    def regression(plane: np.ndarray) -> tuple[float, float]:  # the gain, E (y − target)²
        mixed = x0 + attention(*plane) * (1 / epsilon + x1 - x0)  # (h0 − p0 + α1 (h1 − h0)) / s
        mixed -= weights @ mixed  # what the constant c takes away
        gain = weights @ (mixed * target) / (weights @ mixed**2)
        return gain, weights @ (gain * mixed - target) ** 2

    def log_error(plane: np.ndarray) -> float:
        return np.log(regression(plane)[1])

    options = {"xatol": 1e-7, "fatol": 1e-9}
    found = minimize(log_error, START, method="Nelder-Mead", options=options)
    gain, error = regression(found.x)
    alpha, r2 = fit_plane(torch.from_numpy(attention(*found.x))[:, None], nodes)
    nmse = error / (weights @ target**2)
    return Best(nmse, *found.x, gain, alpha[0].numpy(), r2.item())


QUANTITIES = (
    "normalised MSE",
    "$W_q W_k P^2$",
    "$W_v s$ / target scale",
    "slope of α1 on x0 / ε",
    "slope of α1 on x1 / ε",
)


def observed(layer: Layer, nmse: Tensor, target_scale: float) -> Tensor:
    """What a trained layer is, without dimensions: (5, seed), in the order of QUANTITIES."""
    epsilon, _, R = dimensionless(layer)
    slopes = regress_attention(layer)[0][:, 1:] / epsilon[:, None]  # (seed, 2)
    return torch.stack([nmse.to(R), R, layer.a * layer.s / target_scale, *slopes.mT])


def predicted(epsilon: Tensor) -> Tensor:
    """The same five numbers from ε alone, by `best_layer`: (seed,) → (5, seed)."""
    columns = []
    for value in epsilon.tolist():
        best = best_layer(value)
        columns.append([best.nmse, best.R, best.gain, *best.alpha[1:] / value])
    return torch.tensor(columns, dtype=torch.float64).reshape(-1, len(QUANTITIES)).mT


def weights_by_step(states: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The weights of one-dimensional layers as training goes: {name: (step, seed)}.

    `states` are their state dicts, one a step; names as in the post: p0, p1, W_q, W_k, W_v.
    """
    states = list(states)
    keys = {"W_q": "W_Q.W", "W_k": "W_K.W", "W_v": "W_V.W"}
    p0, p1 = torch.stack([state["P"].flatten(1) for state in states]).unbind(-1)
    found = {"p0": p0, "p1": p1}
    for name, key in keys.items():
        found[name] = torch.stack([state[key].flatten() for state in states])
    return found


def half_way(values: Tensor) -> Tensor:
    """The first step at which values (step, seed) pass the middle of their two ends: (seed,)."""
    return (values > (values[0] + values[-1]) / 2).int().argmax(dim=0)


def last_above(values: Tensor, level: float) -> Tensor:
    """The last step at which values (step, seed) lie above `level`, 0 if none does: (seed,)."""
    return (values > level).cumsum(dim=0).argmax(dim=0)


def hard_attention_nmse(gap: float, epsilon: float, nodes: int = 40) -> float:
    """E[(3 e^{−gap (1 + εu)} (u + 1/ε))²] / E[t²], u = x1 − x0 uniform: its tail at a large gap."""
    x0, x1, weights = quadrature(nodes, "uniform")
    u = x1 - x0
    error = 3 * np.exp(-gap * (1 + epsilon * u)) * (u + 1 / epsilon)
    return float(weights @ error**2 / (weights @ (2 * x1 - x0) ** 2))


def added(model: nn.Module, tokens: Tensor) -> Tensor:
    """What the layers add to the last token's own path: y − (W_U h1 + b_U), h1 its embedding.

    Tokens (seed, n, 2, 1) → (seed, n).
    """
    embedded = record(model, tokens)["resid_pre"][:, :, -1:]
    return (model(tokens)[:, :, -1:] - model.W_U(embedded))[:, :, 0, 0]


def largest_added(model: nn.Module) -> Tensor:
    """A bound on |added| at any input, from the weights of a pre-LN model alone: (seed,).

    Σ over parts of |W_U| (|W_O| (|W_V| N + |b_V|) + |b_O|), and the same with W_1 and W_2 for an
    MLP, since |GELU(z)| ≤ |z|. N = √d max|w| + |b| bounds a LayerNorm, attention averages, and the
    norms are Frobenius's.
    """
    total = torch.zeros(())
    for block in model.blocks:
        attention = block.attention
        total = total + through(attention.W_O, through(attention.W_V, normed(block.ln_1)))
        if block.mlp is not None:
            total = total + through(block.mlp.W_2, through(block.mlp.W_1, normed(block.ln_2)))
    return total * model.W_U.W.flatten(1).norm(dim=1)


def answered(model: nn.Module, tokens: Tensor) -> Tensor:
    """The answer less its constant, y − b_U: tokens (seed, n, 2, 1) → (seed, n)."""
    return (model(tokens)[:, :, -1:] - model.W_U.b.unsqueeze(2))[:, :, 0, 0]


def largest_answer(model: nn.Module) -> Tensor:
    """A bound on |y − b_U| at any input, from the weights of a sealed model alone: (seed,).

    Sealed are post-LN, where a LayerNorm stands last, and pre-LN without a residual, where the last
    part writes all there is. Raises ValueError for a model with a stream around its LayerNorms.
    """
    block = model.blocks[-1]
    attention, mlp = block.attention, block.mlp
    norm = block.ln_1 if mlp is None else block.ln_2
    if norm is None or (block.residual and not block.post):
        raise ValueError("model: must be post-LN, or have LayerNorm and no residual")
    size = normed(norm)
    if not block.post:
        inner, outer = (attention.W_V, attention.W_O) if mlp is None else (mlp.W_1, mlp.W_2)
        size = through(outer, through(inner, size))
    return size * model.W_U.W.flatten(1).norm(dim=1)


def slope_of_lowest(epsilon: Tensor, errors: Tensor) -> tuple[float, tuple[float, float]]:
    """The slope of log lowest error on log ε, and its range when any one seed is left out.

    ε (bound,), errors (bound, seed); the law of what can be reached, where descent may stop short.
    """
    log = epsilon.log() - epsilon.log().mean()

    def slope(some: Tensor) -> float:
        return float(log @ some.amin(dim=1).log() / (log @ log))

    n = errors.shape[1]
    left = [slope(errors[:, torch.arange(n) != seed]) for seed in range(n)]
    whole = slope(errors)
    return whole, (min(*left, whole), max(*left, whole))


def through(linear: nn.Module, size: Tensor) -> Tensor:
    """A bound on |x W + b| for |x| ≤ size: (seed,)."""
    return size * linear.W.flatten(1).norm(dim=1) + linear.b.flatten(1).norm(dim=1)


def normed(norm: nn.Module) -> Tensor:
    """A bound on the length of a LayerNorm's output: √d max|w| + |b|, (seed,)."""
    w, b = norm.w.flatten(1), norm.b.flatten(1)
    return w.shape[1] ** 0.5 * w.abs().amax(dim=1) + b.norm(dim=1)
