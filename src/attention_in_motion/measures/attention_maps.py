"""What attention maps look at: the mass of their columns, what it goes with, their stencils.

Weights (…, head, query, key) are those of `MultiHeadAttention`, rows summing to 1; the leading axes
are curves. Source of value-weighted attention: Kobayashi et al., "Attention is not only a weight"
(2020).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attention_in_motion.models.activations import record


def column_mass(weights: Tensor) -> Tensor:
    """What a key gets, mean over queries: (…, head, query, key) → (…, head, key), summing to 1."""
    return weights.mean(-2)


def value_weighted(weights: Tensor, values: Tensor) -> Tensor:
    """The same times |v_j|: values (…, head, key, d_head) → (…, head, key)."""
    return column_mass(weights) * values.norm(dim=-1)


def output_weighted(weights: Tensor, values: Tensor, W_O: Tensor) -> Tensor:
    """The same times |W_O^h v_j|, what the head would write: W_O (width, head · d_head)."""
    per_head = W_O.unflatten(1, (values.shape[-3], -1)).transpose(0, 1)  # (head, width, d_head)
    return column_mass(weights) * (values @ per_head.mT).norm(dim=-1)  # (…, head, key)


def standardised(a: Tensor) -> Tensor:
    """Centred and of length 1 along the last axis; a constant becomes zero."""
    centred = a - a.mean(-1, keepdim=True)
    size = centred.norm(dim=-1, keepdim=True)
    scale = a.abs().amax(-1, keepdim=True) * a.shape[-1] ** 0.5
    return torch.where(size > 1e-12 * scale, centred / size.clamp(min=1e-300), 0.0)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation along the last axis, 0 with a constant: (…, n), (…, n) → (…)."""
    return (standardised(a) * standardised(b)).sum(-1)


def partial_correlation(a: Tensor, b: Tensor, given: Tensor) -> Tensor:
    """The correlation of what `given` leaves of a and of b: (…, n), (…, n) → (…).

    given (…, k, n) are regressors, a constant is added. Raises ValueError for as many regressors as
    points.
    """
    k, n = given.shape[-2:]
    if k + 2 > n:
        raise ValueError(f"given: {k} regressors leave nothing of {n} points; must be {n - 2}")
    basis = torch.cat([torch.ones_like(given[..., :1, :]), standardised(given)], dim=-2).mT
    left, singular, _ = torch.linalg.svd(basis, full_matrices=False)  # (…, n, k + 1)
    left = (
        left * (singular > 1e-8 * singular[..., :1])[..., None, :]
    )  # what is collinear counts once

    def remainder(y: Tensor) -> Tensor:
        rest = y - (left @ (left.mT @ y[..., None]))[..., 0]  # (…, n)
        nothing = rest.norm(dim=-1) < 1e-8 * y.norm(dim=-1)
        return torch.where(nothing[..., None], 0.0, rest)

    return correlation(remainder(a), remainder(b))


def permuted_maxima(
    mass: Tensor, feature: Tensor, n_permutations: int, seed: int
) -> tuple[Tensor, Tensor]:
    """The maximum over heads of the mean correlation, and the same for exchanged curves.

    mass (curve, head, n), feature (curve, n) → a scalar and (n_permutations,). Each permutation
    gives every curve the feature of another, the same for all heads: the null of a maximum.
    Raises ValueError for fewer than two curves.
    """
    n_curves = len(mass)
    if n_curves < 2:
        raise ValueError(f"curves = {n_curves}: must be at least 2 to be exchanged")
    pairs = torch.einsum("chn,dn->cdh", standardised(mass), standardised(feature))
    rng, rows = np.random.default_rng(seed), torch.arange(n_curves)
    orders = (torch.from_numpy(rng.permutation(n_curves)) for _ in range(n_permutations))
    maxima = torch.stack([pairs[rows, order].mean(0).max() for order in orders])
    return pairs[rows, rows].mean(0).max(), maxima


def by_lag(weights: Tensor, times: Tensor, edges: Tensor) -> Tensor:
    """Mean attention from i to j by the bin of t_j − t_i: (curve, head, n, n) → (head, bin).

    times (n,), edges (bin + 1,) rising; NaN in a bin without a pair.
    """
    lags = times[None, :] - times[:, None]  # (query, key)
    where = torch.bucketize(lags, edges, right=True) - 1  # (query, key)
    mean = weights.mean(0).flatten(1)  # (head, query · key)
    inside = [(where == k).flatten() for k in range(len(edges) - 1)]
    return torch.stack([mean[:, one].mean(1) for one in inside], dim=1)


def gains(W_V: Tensor, W_O: Tensor, heads: int, read: Tensor, written: Tensor) -> Tensor:
    """writtenᵀ W_O^h W_V^h read per head: how strongly a head carries one direction to another.

    W_V (width, source), W_O (target, width), read (source,), written (target,) → (head,).
    """
    values = (W_V @ read).unflatten(0, (heads, -1))  # (head, d_head)
    outputs = (W_O.T @ written).unflatten(0, (heads, -1))  # (head, d_head)
    return (values * outputs).sum(-1)


def stencil(lagged: Tensor, gain: Tensor) -> Tensor:
    """Σ_h gain_h · attention_h by lag: what a layer adds to a point from others: (bin,).

    A first derivative by finite differences is odd in the lag, a second one even, with a negative
    middle. lagged (head, bin), gain (head,).
    """
    return (gain[:, None] * lagged).sum(0)


def odd_share(stencil: Tensor) -> float:
    """Σ odd² / (Σ odd² + Σ even²) of a stencil over bins symmetric about 0: 1 is all odd."""
    odd, even = (stencil - stencil.flip(0)) / 2, (stencil + stencil.flip(0)) / 2
    return float(odd.square().sum() / (odd.square().sum() + even.square().sum()))


def best_head(chosen_by: NDArray, scored: NDArray, size: bool = False) -> tuple[int, float]:
    """The head that is best by one half of the curves, and its score on the other: (head,) each.

    With `size` a strong negative correlation counts like a positive one.
    """
    by, on = (np.abs(a) if size else np.asarray(a) for a in (chosen_by, scored))
    head = int(by.argmax())
    return head, float(on[head])


@torch.no_grad()
def newest_attention(model: nn.Module, windows: Tensor) -> Tensor:
    """What the newest state of each window attends to: (seed, n, T, 2) → (seed, layer, n, T).

    Of an attention-only transformer with recorded weights; the mean over the heads of a layer.
    """
    seen = record(model, windows)
    names = [name for name in seen if name.endswith("attention.weights")]
    return torch.stack([seen[name][..., -1, :].mean(dim=-2) for name in names], dim=1)
