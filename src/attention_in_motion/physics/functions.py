"""Simple functions of time, drawn by kind, with exact slopes: what forecasters are trained on.

Time u runs from 0 to 1 over a series. Every function is shifted and scaled to mean 0 and standard
deviation 1 over its points, and turned upside down in every other case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]  # u (n, T) → (n, T), element by element


@dataclass(frozen=True)
class Series:
    """n functions at T points: kind (n,) as an index of `kinds`, x (n, T), slope dx/du (n, T)."""

    kinds: tuple[str, ...]
    kind: Tensor
    x: Tensor
    slope: Tensor


def uniform(rng: torch.Generator, shape: Sequence[int], low: float, high: float) -> Tensor:
    """Numbers from U[low, high)."""
    return low + (high - low) * torch.rand(tuple(shape), generator=rng)


def signs(rng: torch.Generator, n: int) -> Tensor:
    """+1 or −1 with equal chance: (n, 1)."""
    return 1.0 - 2.0 * torch.randint(2, (n, 1), generator=rng)


def sines(rng: torch.Generator, n: int) -> Function:
    """sin(2π f u + φ) + a sin(2π g u + ψ), 1.5 to 6 periods of each in the series, a in [0, 1]."""
    omega = 2 * math.pi * uniform(rng, (n, 2, 1), 1.5, 6)
    phase = uniform(rng, (n, 2, 1), 0, 2 * math.pi)
    second = uniform(rng, (n, 1), 0, 1)

    def f(u: Tensor) -> Tensor:
        both = torch.sin(omega * u[:, None] + phase)  # (n, 2, T)
        return both[:, 0] + second * both[:, 1]

    return f


def polynomials(rng: torch.Generator, n: int) -> Function:
    """Σ c_k P_k(2u − 1) with Legendre's polynomials of degree 1 to 3 and c_k ~ N(0, 1)."""
    c = torch.randn((3, n, 1), generator=rng)

    def f(u: Tensor) -> Tensor:
        v = 2 * u - 1
        return c[0] * v + c[1] * (3 * v**2 - 1) / 2 + c[2] * (5 * v**3 - 3 * v) / 2

    return f


def exponentials(rng: torch.Generator, n: int) -> Function:
    """exp(k u), growing or decaying, |k| in [1, 5]."""
    k = signs(rng, n) * uniform(rng, (n, 1), 1, 5)
    return lambda u: torch.exp(k * u)


def hyperbolic(rng: torch.Generator, n: int) -> Function:
    """sinh, cosh or tanh of k (u − c), k in [2, 6] and c in [0.2, 0.8]."""
    which = torch.randint(3, (n, 1), generator=rng)
    k, c = uniform(rng, (n, 1), 2, 6), uniform(rng, (n, 1), 0.2, 0.8)

    def f(u: Tensor) -> Tensor:
        v = k * (u - c)
        rest = torch.where(which == 1, torch.cosh(v), torch.tanh(v))
        return torch.where(which == 0, torch.sinh(v), rest)

    return f


def damped(rng: torch.Generator, n: int) -> Function:
    """exp(−k u) sin(2π f u + φ), k in [1, 4] and 1.5 to 6 periods: a kind kept out of training."""
    k, omega = uniform(rng, (n, 1), 1, 4), 2 * math.pi * uniform(rng, (n, 1), 1.5, 6)
    phase = uniform(rng, (n, 1), 0, 2 * math.pi)
    return lambda u: torch.exp(-k * u) * torch.sin(omega * u + phase)


def decay(rng: torch.Generator, n: int) -> Function:
    """exp(−10 u) for all: the one function of the post's published run."""
    return lambda u: torch.exp(-10 * u)


PURE = {
    "sines": sines,
    "polynomials": polynomials,
    "exponentials": exponentials,
    "hyperbolic": hyperbolic,
}
OTHERS = {"damped": damped, "decay": decay}
KINDS = (*PURE, "combinations")


def draw(
    rng: torch.Generator, n: int, n_points: int, kinds: Sequence[str] = KINDS, flip: bool = True
) -> Series:
    """n functions of these kinds, equally likely, at n_points even times.

    "combinations" are weighted sums of two different pure kinds, weights in [0.3, 1]. `flip` turns
    every other one upside down. Raises ValueError for an unknown kind or fewer than 2 points.
    """
    for kind in kinds:
        if kind not in {*KINDS, *OTHERS}:
            raise ValueError(f"kind = {kind!r}: must be one of {', '.join((*KINDS, *OTHERS))}")
    if n_points < 2:
        raise ValueError(f"n_points = {n_points}: must be at least 2")
    u = torch.linspace(0, 1, n_points).repeat(n, 1).requires_grad_()
    kind = torch.randint(len(kinds), (n,), generator=rng)
    turned = signs(rng, n) if flip else 1.0
    with torch.enable_grad():
        x = chosen([values(rng, name, u) for name in kinds], kind) * turned
        [slope] = torch.autograd.grad(x.sum(), u)  # each value depends on its own time alone
    return Series(tuple(kinds), kind, x.detach(), slope)


def values(rng: torch.Generator, kind: str, u: Tensor) -> Tensor:
    """Standardised functions of one kind at u (n, T): (n, T)."""
    n = len(u)
    if kind != "combinations":
        return standardised((PURE | OTHERS)[kind](rng, n)(u))
    pure = [standardised(function(rng, n)(u)) for function in PURE.values()]
    pairs = torch.rand((n, len(pure)), generator=rng).argsort(dim=1)  # two different ones each
    weights = uniform(rng, (2, n, 1), 0.3, 1)
    first, second = (chosen(pure, pairs[:, k]) for k in (0, 1))
    return standardised(weights[0] * first + weights[1] * second)


def chosen(options: Sequence[Tensor], which: Tensor) -> Tensor:
    """Row i of the option that `which` (n,) names: (n, T)."""
    return torch.stack(list(options))[which, torch.arange(len(which))]


def standardised(x: Tensor) -> Tensor:
    """(x − mean)/sd by row, both as constants, so that slopes are only divided by sd."""
    fixed = x.detach()
    return (x - fixed.mean(1, keepdim=True)) / fixed.std(1, keepdim=True).clamp(min=1e-6)
