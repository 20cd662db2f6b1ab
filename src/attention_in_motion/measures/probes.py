"""Linear probes with held-out scores: what can be read off an activation, by place and position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attention_in_motion.measures.trajectories import AT_ONCE, TestSet, for_every_seed
from attention_in_motion.models.activations import record


@dataclass(frozen=True)
class LinearMap:
    """y = (x − mean) W + b, fitted by `ridge`: W (d, k), mean (d,), b (k,)."""

    W: Tensor
    mean: Tensor
    b: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.mean) @ self.W + self.b


def ridge(x: Tensor, y: Tensor, alpha: float) -> LinearMap:
    """argmin |y − x W|² + α n |σ W|², x (n, d), y (n, k), σ the columns' standard deviations.

    Centred, and scaled column by column so that α has no unit.
    """
    mean, b = x.mean(0), y.mean(0)
    scale = x.std(0).clamp(min=1e-12)
    standard = (x - mean) / scale
    normal = standard.T @ standard + alpha * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    W = torch.linalg.solve(normal, standard.T @ (y - b)) / scale[:, None]
    return LinearMap(W, mean, b)


def r2(y: Tensor, predicted: Tensor) -> float:
    """1 − Σ|y − predicted|² / Σ|y − mean|², all columns together: (n, k) each."""
    return float(1 - (y - predicted).square().sum() / (y - y.mean(0)).square().sum())


def held_out_r2(x: Tensor, y: Tensor, fitted: Tensor, alpha: float = 1e-4) -> Tensor:
    """R² of each column of y (n, k) by a ridge regression on x (n, d): (k,).

    Fitted on the rows where `fitted` (n,) is True, scored on the others; the mean that counts as
    knowing nothing is that of the rows scored.
    """
    left = y[~fitted] - ridge(x[fitted], y[fitted], alpha)(x[~fitted])
    spread = y[~fitted] - y[~fitted].mean(0)
    return 1 - left.square().sum(0) / spread.square().sum(0)


@torch.no_grad()
def streams(model: nn.Module, test: TestSet) -> dict[str, Tensor]:
    """The residual stream and the heads' outputs by place: (seed, n, T', d), T' ≤ T the last ones.

    A model that answers for the last position alone has T' = 1 in its last block.
    """
    found: dict[str, list[Tensor]] = {}
    for windows in test.windows.split(AT_ONCE):  # MLPs and weights of all windows fill no memory
        for name, h in record(model, for_every_seed(model, windows)).items():
            if name.endswith(("heads", "pre", "mid", "post")):
                side_by_side = h.transpose(2, 3).flatten(3) if name.endswith("heads") else h
                found.setdefault(name, []).append(side_by_side)
    return {name: torch.cat(parts, dim=1) for name, parts in found.items()}


def residual(model: nn.Module, test: TestSet) -> dict[str, Tensor]:
    """The residual stream alone, by place: (seed, n, T', d)."""
    return {name: h for name, h in streams(model, test).items() if "resid" in name}


def encoding(stream: Tensor, target: Tensor, fitted: Tensor) -> Tensor:
    """R² of a linear probe for each column of `target` at each position: (seed, T', k).

    stream (seed, n, T', d), target (n, k); fitted on the rows where `fitted` (n,), scored on the
    others.
    """
    probes = [[held_out_r2(h, target, fitted) for h in one.unbind(1)] for one in stream]
    return torch.stack([torch.stack(rows) for rows in probes])


def of_windows(test: TestSet, target: Tensor, fitted: Tensor) -> Tensor:
    """The same probe on the raw window, all its states side by side: (k,)."""
    return held_out_r2(test.windows.flatten(1), target, fitted)


def with_squares(x: Tensor, fitted: Tensor, components: int = 12) -> Tensor:
    """Principal components of x (n, d) and their products, what a quadratic probe is linear in.

    The components are those of the rows where `fitted` (n,), each with unit variance there:
    (n, k + k (k + 1)/2) with k = min(components, d).
    """
    centred = x - x[fitted].mean(0)
    axes = torch.linalg.svd(centred[fitted], full_matrices=False)[2][:components]
    z = centred @ axes.T  # (n, k)
    z = z / z[fitted].std(0).clamp(min=1e-12)
    rows, columns = torch.triu_indices(z.shape[1], z.shape[1])
    return torch.cat([z, z[:, rows] * z[:, columns]], dim=1)


def shuffled(target: Tensor) -> Tensor:
    """The same labels in another order, the control of a probe that finds too much: (n, ...)."""
    return target[torch.randperm(len(target), generator=torch.Generator().manual_seed(0))]


def every_other(n: int) -> Tensor:
    """The rows to fit on when probes are split by trajectory: (n,), True, False, True, …"""
    return torch.arange(n) % 2 == 0


def inner_half(omega0: Tensor) -> Tensor:
    """The rows to fit on when probes are split by range: the middle half of the ω0 (n,)."""
    low, high = omega0.quantile(0.25), omega0.quantile(0.75)
    return (omega0 > low) & (omega0 < high)
