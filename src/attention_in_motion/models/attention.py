"""Attention over a whole ensemble of seeds at once.

Every model of this book is an ensemble: its weights and its inputs carry a leading seed axis, so
two hundred seeds train in one batched run and a single model is an ensemble of one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def attention_weights(q: Tensor, k: Tensor, *, causal: bool, scale: float) -> Tensor:
    """A = softmax(q kᵀ / scale): q (..., query, d) and k (..., key, d) → (..., query, key).

    The queries are the last positions. With `causal`, position t attends to positions ≤ t only. The
    one implementation used by every nLA and by every figure of its attention. Posts 1 and 2.
    """
    logits = (q / scale) @ k.transpose(-2, -1)  # (..., query, key)
    if causal:
        blocked = torch.full(logits.shape[-2:], -math.inf, dtype=q.dtype, device=q.device)
        logits += blocked.triu(1 + k.shape[-2] - q.shape[-2])  # no attention to the future
    return logits.softmax(dim=-1)


def draw_uniform(shape: tuple[int, ...], bound: float, rngs: list[torch.Generator]) -> nn.Parameter:
    """One U(−bound, bound) draw of `shape` per seed, stacked: (seed, *shape)."""
    draws = [bound * (2 * torch.rand(shape, generator=rng) - 1) for rng in rngs]
    return nn.Parameter(torch.stack(draws))


class Linear(nn.Module):
    """y = x W (+ b), one W (d_in, d_out) per seed: (seed, batch, ..., d_in) → (..., d_out).

    Drawn like torch.nn.Linear: weight and bias ~ U(±1/√d_in).
    """

    def __init__(self, d_in: int, d_out: int, bias: bool, rngs: list[torch.Generator]) -> None:
        super().__init__()
        self.W = draw_uniform((d_in, d_out), d_in**-0.5, rngs)  # (seed, d_in, d_out)
        self.b = draw_uniform((1, d_out), d_in**-0.5, rngs) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1, -2)  # (seed, rows, d_in)
        if flat.shape[-1] == 1:  # an outer product: multiplying is faster than matmul
            y = flat * self.W if self.b is None else torch.addcmul(self.b, flat, self.W)
        else:
            y = flat @ self.W if self.b is None else torch.baddbmm(self.b, flat, self.W)
        return y.unflatten(1, x.shape[1:-1])  # (seed, batch, ..., d_out)


class Attention(nn.Module):
    """Multi-head attention, Σ_heads A(x W_Q, x W_K) x W_V W_O: (seed, batch, time, d_model) → same.

    With `last`, only the last position asks, and the result is (seed, batch, 1, d_model).
    `logit_scale` is "d_head" (post 2's code) or "d_model" (its text). Recorded by name: `weights`
    (seed, batch, head, time, time) as used, `values` and `heads` (seed, batch, head, time, d_head).
    Raises ValueError when d_model is not divisible by d_head or the scale has no such name.
    """

    def __init__(
        self,
        d_model: int,
        d_head: int,
        rngs: list[torch.Generator],
        *,
        n_heads: int = 1,
        causal: bool = True,
        bias: bool = False,
        logit_scale: str = "d_head",
    ) -> None:
        super().__init__()
        if d_model % d_head:
            raise ValueError(f"d_head = {d_head}: must divide d_model = {d_model}")
        if logit_scale not in ("d_head", "d_model"):
            raise ValueError(f"logit_scale = {logit_scale!r}: must be 'd_head' or 'd_model'")
        self.n_heads, self.causal = n_heads, causal
        self.scale = math.sqrt(d_head if logit_scale == "d_head" else d_model)
        self.W_Q = Linear(d_model, n_heads * d_head, bias, rngs)
        self.W_K = Linear(d_model, n_heads * d_head, bias, rngs)
        self.W_V = Linear(d_model, n_heads * d_head, bias, rngs)
        self.W_O = Linear(n_heads * d_head, d_model, bias, rngs)
        self.weights, self.values, self.heads = nn.Identity(), nn.Identity(), nn.Identity()

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(-3, -2)  # (..., head, time, d_head)

    def forward(self, x: Tensor, last: bool = False) -> Tensor:
        q, k = self.split(self.W_Q(x[:, :, -1:] if last else x)), self.split(self.W_K(x))
        v = self.values(self.split(self.W_V(x)))  # (seed, batch, head, time, d_head)
        a = self.weights(attention_weights(q, k, causal=self.causal, scale=self.scale))
        return self.W_O(self.heads(a @ v).transpose(-3, -2).flatten(-2))
