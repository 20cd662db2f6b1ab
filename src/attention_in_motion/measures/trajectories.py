"""Held-out trajectories of many frequencies, rollouts over them, and how far those stray.

A predictor maps windows (seed, n, T, 2) to next states (seed, n, 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from attention_in_motion.physics import oscillator

LOST = 0.1  # a rollout has lost its trajectory when e_n first exceeds this
AT_ONCE = 128  # trajectories per forward pass: their activations fit the processor's cache


def last_position(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The model as a map window (seed, batch, T, 2) → next state (seed, batch, 2)."""
    return lambda window: model(window, last=True)[..., -1, :]


@torch.no_grad()
def rollout(predict: Callable[[Tensor], Tensor], window: Tensor, steps: int) -> Tensor:
    """Feed `predict` its own output `steps` times: window (..., T, 2) → (..., steps, 2).

    The window keeps its length: each new state pushes the oldest out.
    """
    states = []
    for _ in range(steps):
        states.append(predict(window))
        window = torch.cat([window[..., 1:, :], states[-1].unsqueeze(-2)], dim=-2)
    return torch.stack(states, dim=-2)


Predictor = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class TestSet:
    """Held-out trajectories: states (n, length, 2) with ω0 and γ (n,) each; Δt one, or (n,)."""

    __test__ = False  # no test for pytest to collect

    states: Tensor
    omega0: Tensor
    gamma: Tensor
    context: int
    dt: Tensor | float

    @property
    def windows(self) -> Tensor:
        """The first T states, (n, T, 2)."""
        return self.states[:, : self.context]

    @property
    def future(self) -> Tensor:
        """What follows the window, (n, length − T, 2)."""
        return self.states[:, self.context :]

    @property
    def next(self) -> Tensor:
        """The state after the window, (n, 2)."""
        return self.states[:, self.context]

    def to(self, dtype: torch.dtype) -> TestSet:
        """The same trajectories in another precision."""
        tensors = {name: getattr(self, name).to(dtype) for name in ("states", "omega0", "gamma")}
        return replace(self, **tensors)

    def rows(self, chosen: Tensor) -> TestSet:
        """The trajectories that an index or a mask over (n,) chooses."""
        parts = {name: getattr(self, name)[chosen] for name in ("states", "omega0", "gamma")}
        dt = self.dt[chosen] if isinstance(self.dt, Tensor) else self.dt
        return replace(self, dt=dt, **parts)

    def newest(self, context: int) -> TestSet:
        """The same future after a shorter window."""
        return replace(self, states=self.states[:, self.context - context :], context=context)


def evenly(low: float, high: float, n: int) -> Tensor:
    """n frequencies spread evenly over [low, high], at the middles of n equal parts: (n,)."""
    return low + (high - low) * (torch.arange(n, dtype=torch.float64) + 0.5) / n


def held_out(
    omega0: Tensor,
    *,
    gamma: tuple[float, float],
    dt: Tensor | float,
    context: int,
    steps: int = 1,
    dtype: torch.dtype = torch.float32,
    seed: int = 2024,
) -> TestSet:
    """One trajectory of context + steps states per entry of ω0 (n,): γ uniform, starts U[0, 1]².

    Δt is the same for all, or (n,).
    """
    n, rng = len(omega0), torch.Generator().manual_seed(seed)
    state0 = oscillator.sample_box((n,), 0.0, 1.0, rng).double()
    damping = gamma[0] + (gamma[1] - gamma[0]) * torch.rand(n, generator=rng).double()
    own_dt = torch.as_tensor(dt, dtype=torch.float64)[..., None]  # (1,) or (n, 1)
    times = oscillator.uniform_times(context + steps, own_dt, torch.float64)
    states = oscillator.trajectory(state0, omega0.double(), damping, times)
    return TestSet(states.to(dtype), omega0.to(dtype), damping.to(dtype), context, dt)


def for_every_seed(model: nn.Module, windows: Tensor) -> Tensor:
    """Windows (n, T, 2) shown to every seed of the ensemble: (seed, n, T, 2)."""
    return windows.expand(len(next(model.parameters())), *windows.shape[-3:])


def predictor(model: nn.Module) -> Predictor:
    """The model's next state after the window; windows given once are shown to all its seeds."""
    predict = last_position(model)
    return lambda windows: predict(for_every_seed(model, windows))


@torch.no_grad()
def in_parts(predict: Predictor, windows: Tensor) -> Tensor:
    """predict(windows), AT_ONCE trajectories at a time: (seed or 1, n, T, 2) → (seed, n, 2)."""
    return torch.cat([predict(part) for part in windows.split(AT_ONCE, dim=1)], dim=1)


def one_step_mse(predict: Predictor, test: TestSet) -> Tensor:
    """Mean squared error of the next state over trajectories and components: (seed,)."""
    predicted = in_parts(predict, test.windows[None])
    return (predicted - test.next).double().square().mean(dim=(1, 2))


@torch.no_grad()
def continued(predict: Predictor, test: TestSet) -> Tensor:
    """A rollout from every window, as long as the test set's future: (seed, n, steps, 2)."""
    windows = test.windows.expand(len(predict(test.windows[None, :1])), -1, -1, -1)
    return rollout(lambda w: in_parts(predict, w), windows, test.future.shape[1])


def rollout_error(predict: Predictor, test: TestSet) -> tuple[Tensor, Tensor]:
    """e_n and phase lead [rad] of a rollout over the test set's future: (seed, n, steps) each."""
    return strayed(continued(predict, test), test.future, test)


def strayed(found: Tensor, true: Tensor, test: TestSet) -> tuple[Tensor, Tensor]:
    """e_n and phase lead [rad] of rollouts (seed, n, steps, 2) against others of the same windows.

    The lead is followed from step to step, so it is no angle: it grows beyond π.
    """
    omega0, gamma = test.omega0[:, None], test.gamma[:, None]
    error, _, phase = oscillator.phase_space_error(found, true, omega0, gamma)
    lead = torch.from_numpy(np.unwrap(phase.numpy()))
    return error.nan_to_num(math.inf), lead


def steps_kept(error: Tensor) -> Tensor:
    """Rollout steps until e_n > LOST, the mean over trajectories: (seed, n, steps) → (seed,)."""
    return horizon(error).double().mean(dim=1)


def median_error(error: Tensor) -> Tensor:
    """Median over trajectories of e_n at each step: (seed, n, steps) → (seed, steps)."""
    return error.median(dim=1).values


def horizon(error: Tensor, limit: float = LOST) -> Tensor:
    """Rollout steps until e_n first exceeds `limit` (all steps if never): (..., steps) → (...)."""
    beyond = error > limit
    return torch.where(beyond.any(-1), beyond.float().argmax(-1) + 1, error.shape[-1])


def strongest_near(test: TestSet, omega0: float, among: int = 32) -> int:
    """The row whose first state is largest among the `among` trajectories nearest in ω0."""
    near = (test.omega0 - omega0).abs().argsort()[:among]
    return int(near[test.windows[near, 0].norm(dim=-1).argmax()])
