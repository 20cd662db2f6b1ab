"""What attention writes of what it attends to: the products W_O W_V and their diagonals.

A head adds Σ_j A_ij W_O^h W_V^h x_j to the stream at i. If the product were −λ I, attention would
subtract λ times the attention-weighted mean of the stream. Source: Elhage et al., "A Mathematical
Framework for Transformer Circuits" (2021), for the products.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def products(W_V: Tensor, W_O: Tensor, heads: int) -> Tensor:
    """W_O^h W_V^h per head: W_V (width, d), W_O (d, width) → (head, d, d).

    Raises ValueError when heads do not divide the width.
    """
    if len(W_V) % heads:
        raise ValueError(f"heads = {heads}: must divide the width {len(W_V)}")
    values = W_V.unflatten(0, (heads, -1))  # (head, d_head, d)
    outputs = W_O.unflatten(1, (heads, -1)).transpose(0, 1)  # (head, d, d_head)
    return outputs @ values  # (head, d, d)


def diagonal_ratio(M: Tensor) -> Tensor:
    """Mean of the diagonal over the spread of the other entries: (…, d, d) → (…).

    Raises ValueError for what is not square or of one row.
    """
    d = M.shape[-1]
    if M.shape[-2] != d or d < 2:
        raise ValueError(f"M {tuple(M.shape)}: must be square, two rows or more")
    others = M[..., ~torch.eye(d, dtype=torch.bool)]  # (…, d (d − 1))
    return M.diagonal(dim1=-2, dim2=-1).mean(-1) / others.std(-1)


def rows_shuffled(M: Tensor, generator: torch.Generator) -> Tensor:
    """The same rows in another order, (d, d): the same norm and singular values, no diagonal."""
    return M[torch.randperm(len(M), generator=generator)]


def eigenvalue_share(M: Tensor) -> Tensor:
    """Share of eigenvalues with a negative real part: (…, d, d) → (…)."""
    return (torch.linalg.eigvals(M).real < 0).double().mean(-1)


def attended_mean(weights: Tensor, x: Tensor) -> Tensor:
    """Σ_j A_ij x_j, mean over heads: (batch, head, n, n), (batch, n, d) → (batch, n, d)."""
    return weights.mean(1) @ x


def centred(x: Tensor) -> Tensor:
    """About the mean over points: (batch, n, d)."""
    return x - x.mean(-2, keepdim=True)


def written_along(written: Tensor, attended: Tensor) -> Tensor:
    """⟨w, m⟩/⟨m, m⟩ of what is written and the attended mean, centred: (batch, n, d) → (batch,).

    −λ for a layer whose products are all −λ I.
    """
    w, m = centred(written), centred(attended)
    return (w * m).sum((-2, -1)) / m.square().sum((-2, -1)).clamp(min=1e-300)


def put_back(weights_at: Callable[[], Tensor], stream_at: Callable[[], Tensor], part: Tensor):
    """A change for x + written: it loses `part` (batch,) times the attended mean about its own.

    The two functions give the attention and the stream of the same pass when the change runs.
    """

    def change(h: Tensor) -> Tensor:
        mean = centred(attended_mean(weights_at(), stream_at()))
        return h - part.to(h.dtype)[:, None, None] * mean

    return change
