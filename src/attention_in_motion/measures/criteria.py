"""The intermediates of numerical methods, and how much of a stream they explain.

Kantamneni, Liu and Tegmark (2024), "How do transformers do physics?", call a method *used* when its
intermediates are (1) encoded, (2) the better the smaller the error, (3) explain the stream, and
(4) move the answer when they are moved. Unlike there, every probe is scored on trajectories it was
not fitted on.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attention_in_motion.measures.probes import r2, ridge
from attention_in_motion.measures.trajectories import TestSet
from attention_in_motion.physics import oscillator

Features = Callable[[TestSet], Tensor]  # test set → (n, k)


POWERS = 5  # how many powers of exp(AΔt) or AΔt count as a method's intermediates


def powers(matrix: Tensor) -> Tensor:
    """Entries of M, M², …, M⁵ that vary between trajectories: (n, 2, 2) → (n, k)."""
    products = [torch.linalg.matrix_power(matrix, j).flatten(1) for j in range(1, POWERS + 1)]
    entries = torch.cat(products, dim=1)  # (n, 4 · POWERS)
    return varying(entries)


def varying(entries: Tensor) -> Tensor:
    """The columns (n, k) that vary between trajectories, by more than rounding of their own size.

    Relative to the column, so that no power is lost because Δt is small.
    """
    return entries[:, entries.std(0) > 1e-9 * entries.abs().amax(0)]


def exponential(test: TestSet) -> Tensor:
    """The entries of K = exp(AΔt): (n, 4)."""
    return oscillator.propagator(test.omega0, test.gamma, test.dt).flatten(1)


def exponential_powers(test: TestSet) -> Tensor:
    """Matrix exponential: K¹ … K⁵, (n, 20)."""
    return powers(exponential(test).unflatten(1, (2, 2)))


def scaled_dynamics(test: TestSet) -> Tensor:
    """AΔt, (n, 2, 2)."""
    dt = torch.as_tensor(test.dt, dtype=test.omega0.dtype).expand(len(test.omega0))
    return oscillator.dynamics_matrix(test.omega0, test.gamma) * dt[:, None, None]


def taylor_powers(test: TestSet) -> Tensor:
    """Taylor, and every Runge–Kutta method: (AΔt)¹ … (AΔt)⁵, the entries that vary."""
    return powers(scaled_dynamics(test))


def multistep(test: TestSet) -> Tensor:
    """Linear multistep methods: the entries of AΔt that vary."""
    return varying(scaled_dynamics(test).flatten(1))


METHODS: dict[str, Features] = {
    "matrix exponential": exponential_powers,
    "Taylor": taylor_powers,
    "linear multistep": multistep,
}


def beyond(target: Tensor, explaining: Tensor) -> Tensor:
    """What the best linear combination of `explaining` (n, k) leaves of `target` (n, m)."""
    return target - ridge(explaining, target, alpha=1e-12)(explaining)


def explained(stream: Tensor, features: Tensor, fitted: Tensor) -> Tensor:
    """Share of the stream's variance that a linear map of `features` (n, k) explains: (seed,).

    stream (seed, n, T', d); fitted on the rows where `fitted`, scored on the others, all positions
    and hidden units together.
    """
    shares = []
    for h in stream.flatten(2):  # (n, T' d)
        found = ridge(features[fitted], h[fitted], alpha=1e-9)(features[~fitted])
        shares.append(r2(h[~fitted], found))
    return torch.tensor(shares)
