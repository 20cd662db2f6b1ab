"""Which point gets most of a map's attention: sinks, how it falls off around it, how common it is.

Masses (…, n) are column masses over n points, as `attention_maps` gives them.
"""

from __future__ import annotations

import torch
from torch import Tensor

SINK = 2.0  # times an equal share


def shares(mass: Tensor) -> Tensor:
    """Divided by the sum over points; equal shares where nothing is attended to: (…, n)."""
    total = mass.sum(-1, keepdim=True)
    equal = torch.full_like(mass, 1 / mass.shape[-1])
    return torch.where(total > 0, mass / total.clamp(min=1e-300), equal)


def has_sink(plain: Tensor, weighted: Tensor) -> Tensor:
    """Whether a point has twice an equal share or more of `plain`, and less of `weighted` than one.

    (…, n), (…, n) → (…), true or false.
    """
    n = plain.shape[-1]
    much, little = n * shares(plain) >= SINK, n * shares(weighted) < 1
    return (much & little).any(-1)


def peak(mass: Tensor) -> Tensor:
    """The largest mass over an equal share: (…, n) → (…), 1 for even attention."""
    return mass.shape[-1] * shares(mass).amax(-1)


def commonest(at: Tensor) -> tuple[int, float]:
    """The index that most systems have, and their share: at (system,). The first one of a tie."""
    counts = torch.bincount(at)
    return int(counts.argmax()), float(counts.max() / len(at))


def falls_away(mass: Tensor, at: Tensor, reach: int = 5) -> Tensor:
    """Share of the steps away from `at`, up to `reach` points to either side, that go down.

    mass (system, n), at (system,) → (system,); about 1/2 for noise, 1 for a smooth peak. Raises
    ValueError for fewer than two points.
    """
    n = mass.shape[-1]
    if n < 2:
        raise ValueError(f"points = {n}: must be at least 2")
    down = mass[:, 1:] < mass[:, :-1]  # (system, n − 1), step i from point i to i + 1
    up = mass[:, 1:] > mass[:, :-1]
    step = torch.arange(n - 1)
    right = (step >= at[:, None]) & (step < at[:, None] + reach)
    left = (step < at[:, None]) & (step >= at[:, None] - reach)
    falling = (down & right).sum(1) + (up & left).sum(1)
    return falling / (right | left).sum(1)


def larger_elsewhere(lengths: Tensor, at: Tensor) -> Tensor:
    """Share of the other points whose `lengths` (system, n) exceed that at `at`: (system,)."""
    own = lengths.gather(1, at[:, None])
    return (lengths > own).sum(1) / (lengths.shape[1] - 1)
