"""Lenses: what a layer's stream would say if the model ended there, and when a word is decided.

The logit lens reads a stream h with the model's own output matrix, softmax(W_U h + b). The tuned
lens first carries h to the last layer by one affine map a layer, fitted on other systems. Sources:
nostalgebraist, "interpreting GPT: the logit lens" (2020); Belrose et al., "Eliciting Latent
Predictions from Transformers with the Tuned Lens" (2023), whose maps minimise a divergence, where
ours are least squares in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

RIDGE = 1e-3  # penalty of the tuned lens, as a share of the stream's mean variance


class Affine(NamedTuple):
    """h → h + (h − centre) A + shift: centre and shift (d,), A (d, d)."""

    centre: Tensor
    A: Tensor
    shift: Tensor

    def __call__(self, h: Tensor) -> Tensor:
        return h + (h - self.centre) @ self.A + self.shift


def tuned(h: Tensor, end: Tensor, ridge: float = RIDGE) -> Affine:
    """The affine map that carries h (n, d) to the last stream `end` (n, d), as a change of h.

    A = (H'H + n λ I)⁻¹ H'(end − h), H centred, λ = ridge · mean variance of h: without data it
    changes nothing, and at the last layer it is the identity. Raises ValueError for shapes that
    differ or fewer than two rows.
    """
    if h.shape != end.shape or h.ndim != 2 or len(h) < 2:
        shapes = f"h {tuple(h.shape)}, end {tuple(end.shape)}"
        raise ValueError(f"{shapes}: must be of one shape (n, d), n at least 2")
    h, change = h.double(), (end - h).double()
    centre, shift = h.mean(0), change.mean(0)
    H = h - centre
    penalty = ridge * H.square().sum() / H.shape[1]  # n times the mean variance, times ridge
    gram = H.T @ H + penalty.clamp(min=1e-12) * torch.eye(H.shape[1], dtype=H.dtype)
    return Affine(centre, torch.linalg.solve(gram, H.T @ (change - shift)), shift)


def log_probabilities(h: Tensor, W_U: Tensor, bias: Tensor) -> Tensor:
    """log softmax(h W_Uᵀ + b): h (…, d), W_U (words, d), bias (words,) → (…, words)."""
    h = h.to(W_U.dtype)
    return (h @ W_U.T + bias).log_softmax(-1)


class Reading(NamedTuple):
    """What a lens says at one layer: all (n,)."""

    word: Tensor  # the likeliest
    certainty: Tensor  # its probability
    nats: Tensor  # −log p of the right word


def read(log_p: Tensor, right: Tensor) -> Reading:
    """Log-probabilities (n, words) and the right words (n,) → a `Reading`."""
    largest, word = log_p.max(-1)
    nats = -log_p.gather(-1, right[:, None])[:, 0]
    return Reading(word, largest.exp(), nats)


def decided_at(words: Tensor) -> Tensor:
    """The first layer from which on the likeliest word is that of the end: (layer, n) → (n,).

    Raises ValueError without a layer.
    """
    if words.ndim != 2 or len(words) < 1:
        raise ValueError(f"words {tuple(words.shape)}: must be (layer, n), one layer or more")
    agrees = words == words[-1]
    onwards = agrees.flip(0).cumprod(0).flip(0)  # (layer, n): from here on all agree
    return len(words) - onwards.sum(0)


def share_by_kind(of: Tensor, kinds: Tensor, names: Sequence[str]) -> dict[str, list[float]]:
    """The mean of `of` (layer, n) over the words of each kind: {name: by layer}, kinds (n,) ids.

    Kinds without a word are left out.
    """
    found = {}
    for i, name in enumerate(names):
        if (there := kinds == i).any():
            found[name] = of[:, there].double().mean(1).tolist()
    return found
