"""What chapter 3 measures on models that must find ω0 in their window (post 2, variable ω)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from attention_in_motion import oscillator
from attention_in_motion.models import (
    apply_linear_predictor,
    in_context_map,
    solve_linear_predictor,
)
from attention_in_motion.record import record
from attention_in_motion.rollout import last_position, rollout

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


# How good a predictor is. A predictor maps windows (seed, n, T, 2) to next states (seed, n, 2).


def for_every_seed(model: nn.Module, windows: Tensor) -> Tensor:
    """Windows (n, T, 2) shown to every seed of the ensemble: (seed, n, T, 2)."""
    return windows.expand(len(next(model.parameters())), *windows.shape[-3:])


def predictor(model: nn.Module) -> Predictor:
    """The model's next state after the window; windows given once are shown to all its seeds."""
    predict = last_position(model)
    return lambda windows: predict(for_every_seed(model, windows))


@torch.no_grad()
def one_step_mse(predict: Predictor, test: TestSet) -> Tensor:
    """Mean squared error of the next state over trajectories and components: (seed,)."""
    predicted = predict(test.windows[None])
    return (predicted - test.next).double().square().mean(dim=(1, 2))


@torch.no_grad()
def rollout_error(predict: Predictor, test: TestSet) -> tuple[Tensor, Tensor]:
    """e_n and phase lead [rad] of a rollout over the test set's future: (seed, n, steps) each."""
    windows = test.windows.expand(len(predict(test.windows[None, :1])), -1, -1, -1)
    predicted = rollout(predict, windows, test.future.shape[1])  # (seed, n, steps, 2)
    omega0, gamma = test.omega0[:, None], test.gamma[:, None]
    error, _, phase = oscillator.phase_space_error(predicted, test.future, omega0, gamma)
    return error.nan_to_num(math.inf), phase


def horizon(error: Tensor, limit: float = 0.1) -> Tensor:
    """Rollout steps until e_n first exceeds `limit` (all steps if never): (..., steps) → (...)."""
    beyond = error > limit
    return torch.where(beyond.any(-1), beyond.float().argmax(-1) + 1, error.shape[-1])


def solved_linear(train: TestSet, rcond: float) -> tuple[Tensor, int]:
    """Eq. 2 by least squares on `train`: its β (2T + 1, 2) and the rank kept."""
    return solve_linear_predictor(train.windows, train.next, rcond)


def linear(beta: Tensor) -> Predictor:
    """The predictor that β is."""
    return lambda windows: apply_linear_predictor(beta, windows)


def closed_loop_poles(beta: Tensor) -> Tensor:
    """Eigenvalues (2T,), complex, of the rollout that β (2T + 1, 2) drives through its window.

    The exact rule at frequency ω has the pair e^(−γΔt ± iωΔt); every |eigenvalue| > 1 makes the
    rollout diverge.
    """
    size = len(beta) - 1
    shift = torch.zeros(size, size, dtype=beta.dtype)
    shift[:-2, 2:] = torch.eye(size - 2, dtype=beta.dtype)  # the window moves up by one state
    shift[-2:] = beta[:-1].T
    return torch.linalg.eigvals(shift)


@torch.no_grad()
def superposition_defect(predict: Predictor, x: Tensor, y: Tensor) -> Tensor:
    """|f((X + Y)/2) − (f(X) + f(Y))/2|, root mean square over windows (n, T, 2): (seed,).

    Zero for every affine map. For windows of one ω0 it is zero for the true map too, so it measures
    an error; for windows of two it tells a linear rule from one that finds ω0.
    """
    middle = (predict(x[None]) + predict(y[None])) / 2
    return (predict((x + y)[None] / 2) - middle).square().sum(-1).mean(-1).sqrt()


# The causal mask: what leaks through an open one.


@torch.no_grad()
def leak(model: nn.Module, test: TestSet, positions: list[int]) -> tuple[Tensor, Tensor]:
    """MSE at `positions` with the true future in the window, and with another trajectory's.

    Position t predicts state t + 1; its future, states t + 1 … T − 1, is exchanged with that of the
    next trajectory in the set. (seed, positions) each.
    """
    x = for_every_seed(model, test.windows)
    swapped, target = x.roll(1, 1), test.states[:, 1 : test.context + 1]
    kept = (model(x) - target)[:, :, positions].square().mean(dim=(1, 3))
    exchanged = []
    for t in positions:
        blind = model(torch.cat([x[:, :, : t + 1], swapped[:, :, t + 1 :]], dim=2))
        exchanged.append((blind - target)[:, :, t].square().mean(dim=(1, 2)))
    return kept, torch.stack(exchanged, dim=1)


@torch.no_grad()
def mass_on_next(model: nn.Module, test: TestSet) -> Tensor:
    """Attention weight from t to t + 1, the highest of the layers: (seed,), mean over t < T."""
    seen = record(model, for_every_seed(model, test.windows))
    maps = [weights for name, weights in seen.items() if name.endswith("attention.weights")]
    means = [weights.diagonal(1, -2, -1).mean(dim=(1, 2, 3)) for weights in maps]
    return torch.stack(means).amax(dim=0)


def effect(outcome: Tensor, factors: tuple[int, ...]) -> Tensor:
    """Effect of a factor, or interaction of several, in a two-level factorial: (2, …, 2, seed) →
    (seed,).

    The mean over the cells in which an even number of `factors` (axes) is at its first level, minus
    that over the others; so a main effect is second level minus first.
    """
    sign = torch.ones_like(outcome)
    for axis in factors:
        sign.select(axis, 0).neg_()
    return 2 * (sign * outcome).flatten(0, -2).mean(0)


# Which ω0 a model believes in, and where it may have it from. Windows (n, T, 2) → ω̂ (n,).


def believed_omega0(last: Tensor, predicted: Tensor, gamma: Tensor, dt: float) -> Tensor:
    """argmin_ω |K(ω, γ, Δt) last − predicted|: (..., 2), (..., 2), (...) → (...).

    A grid over [0.05, 8], zoomed in three times; the oscillator whose step the model takes.
    """
    low, high = torch.full_like(last[..., 0], 0.05), torch.full_like(last[..., 0], 8.0)
    fractions = torch.linspace(0, 1, 81, dtype=last.dtype)
    for _ in range(4):
        omega0 = low[..., None] + (high - low)[..., None] * fractions  # (..., 81)
        flow = oscillator.propagator(omega0, gamma[..., None], dt)  # (..., 81, 2, 2)
        miss = (flow * last[..., None, None, :]).sum(-1) - predicted[..., None, :]
        best = omega0.gather(-1, miss.square().sum(-1).argmin(-1, keepdim=True))[..., 0]
        width = (high - low) / 80
        low, high = (best - width).clamp(min=1e-3), best + width
    return best


def moment_ratio(windows: Tensor) -> Tensor:
    """√(⟨p²⟩ / ⟨x²⟩): needs no order, exact only over whole periods without damping."""
    x2, p2 = windows.square().mean(dim=-2).unbind(-1)
    return (p2 / x2).sqrt()


def slope(windows: Tensor) -> Tensor:
    """√(−slope of p² on x²): needs no order, exact without damping (p² = 2E − ω0² x²)."""
    x2, p2 = windows.square().unbind(-1)
    x2, p2 = x2 - x2.mean(-1, keepdim=True), p2 - p2.mean(-1, keepdim=True)
    return (-(x2 * p2).sum(-1) / x2.square().sum(-1)).clamp(min=0).sqrt()


def neighbour(windows: Tensor, gamma: Tensor, dt: float) -> Tensor:
    """The ω0 that best carries the nearest other state to the last one in one step.

    Needs no order: along the orbit, the nearest of the other states is mostly the one a step
    before.
    """
    last, others = windows[:, -1], windows[:, :-1]
    nearest = (others - last[:, None]).square().sum(-1).argmin(-1)  # (n,)
    near = others[torch.arange(len(others)), nearest]
    return believed_omega0(near, last, gamma, dt)


def least_squares(windows: Tensor, dt: float) -> Tensor:
    """ω0 of the in-context least-squares K̂; exact, but needs the order of the states."""
    return oscillator.identify(in_context_map(windows), dt)[0]


def sensitivity(test: TestSet) -> Tensor:
    """|∂ K(ω0) X_T / ∂ω0|, how much the next state depends on ω0: (n,). Central difference."""
    step = 1e-5
    above, below = (
        oscillator.propagator(test.omega0 + shift, test.gamma, test.dt) for shift in (step, -step)
    )
    last = test.windows[:, -1, None, :]
    return (((above - below) / (2 * step)) * last).sum(-1).norm(dim=-1)


def partial_r2(outcome: Tensor, explaining: Tensor, given: Tensor, weight: Tensor) -> float:
    """Share of the outcome's variance left by a cubic in `given` that `explaining` accounts for.

    (n,) each; every row is multiplied by `weight`. Both regressions are fitted on the even rows and
    scored on the odd ones.
    """
    base = torch.stack([given**k for k in range(4)], dim=1)  # (n, 4)
    whole = torch.cat([base, explaining[:, None]], dim=1)
    rows, target = weight[:, None], weight * outcome
    left = [held_out_residue(rows * design, target) for design in (base, whole)]
    return float(1 - left[1] / left[0])


def held_out_residue(design: Tensor, outcome: Tensor) -> Tensor:
    """Squared error on odd rows of the least squares fitted on even rows."""
    weights = torch.linalg.lstsq(design[::2], outcome[::2, None]).solution
    return (design[1::2] @ weights - outcome[1::2, None]).square().sum()


def with_other_moments(windows: Tensor) -> Tensor:
    """The same orbit seen elsewhere: of the first T − 1 states the half richest in p², twice.

    Every state stays on its orbit, the slope of p² on x² too up to damping, but ⟨p²⟩ / ⟨x²⟩ rises.
    The last state is kept. (n, T, 2) → (n, T, 2).
    """
    cloud, last = windows[:, :-1], windows[:, -1:]
    x2, p2 = cloud.square().unbind(-1)
    share = p2 / (p2 + x2 * p2.mean(-1, keepdim=True) / x2.mean(-1, keepdim=True))
    order = share.argsort(dim=-1, descending=True)  # (n, T − 1)
    half = order[:, : (cloud.shape[1] + 1) // 2]
    chosen = torch.cat([half, half], dim=1)[:, : cloud.shape[1]]
    return torch.cat([cloud.gather(1, chosen[..., None].expand(-1, -1, 2)), last], dim=1)
