"""Mean patching: a head, a layer or a direction says what it says on average, whatever it reads.

Or it says what it says of another input. Each function returns a change for
`models.activations.replaced`, so that

    with patched(model, {"encoder.attentions.2.heads": heads_at_mean([7], mean)}):
        ...

runs the model without its head 7 of layer 2. Source: Wang et al., "Interpretability in the Wild"
(2022), for means in place of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from attention_in_motion.models.activations import replaced

Change = Callable[[Tensor], Tensor]


@contextmanager
def patched(model: nn.Module, changes: Mapping[str, Change]) -> Iterator[None]:
    """Within the block every named activation is changed. Raises ValueError for an unknown name."""
    names = dict(model.named_modules())
    for name in changes:
        if not isinstance(names.get(name), nn.Identity):
            raise ValueError(f"place = {name!r}: is no recorded activation of this model")
    with ExitStack() as stack:
        for name, change in changes.items():
            stack.enter_context(replaced(model, name, change))
        yield


def mean_of(activation: Tensor) -> Tensor:
    """Over rows and positions: (batch, n, d) → (d,), (batch, head, n, d_head) → (head, d_head)."""
    return activation.mean(dim=(0, -2))


def heads_at_mean(heads: Sequence[int], mean: Tensor) -> Change:
    """Outputs of these heads (batch, head, n, d_head) become `mean` (head, d_head).

    Raises ValueError for a head that is not there.
    """
    for head in heads:
        if not 0 <= head < len(mean):
            raise ValueError(f"head = {head}: must lie in 0 ... {len(mean) - 1}")
    chosen = list(heads)

    def change(h: Tensor) -> Tensor:
        h = h.clone()
        h[:, chosen] = mean[chosen, None].to(h.dtype)  # (heads, 1, d_head)
        return h

    return change


def all_at_mean(mean: Tensor) -> Change:
    """The whole activation (batch, n, d) becomes `mean` (d,): nothing of the input is left."""
    return lambda h: mean.to(h.dtype).expand_as(h).clone()


def directions_at_mean(directions: Tensor, mean: Tensor) -> Change:
    """The part of an activation (batch, n, d) along `directions` (k, d) becomes that of the mean.

    Raises ValueError for directions of another width or linearly dependent ones.
    """
    if directions.ndim != 2 or directions.shape[1] != len(mean):
        raise ValueError(f"directions {tuple(directions.shape)}: must be (k, {len(mean)})")
    if (rank := int(torch.linalg.matrix_rank(directions))) < len(directions):
        raise ValueError(f"directions: must be independent, {len(directions)} have rank {rank}")
    basis = torch.linalg.qr(directions.T)[0]  # (d, k)

    def change(h: Tensor) -> Tensor:
        along = basis.to(h.dtype)
        return h - ((h - mean.to(h.dtype)) @ along) @ along.T

    return change


def taken_from(other: Tensor, *where: object) -> Change:
    """The part [where] of an activation becomes that of `other`, of the same shape."""

    def change(h: Tensor) -> Tensor:
        h = h.clone()
        h[where] = other[where].to(h.dtype)
        return h

    return change
