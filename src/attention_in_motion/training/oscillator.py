"""What chapters 1 to 3 train: models that predict the next state of an oscillator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from attention_in_motion.models.linear import LinearPredictor
from attention_in_motion.models.transformer import NLA, ScaledStep
from attention_in_motion.physics import oscillator
from attention_in_motion.training.descent import Batches, initialisers, seeded
from attention_in_motion.training.run import Run
from attention_in_motion.training.second_order import polish

REFINEMENT = 1 << 20  # random streams of a seed that no stretch of training reaches

STARTS = ("normal", "box")
LOSSES = ("all", "last")


@dataclass(frozen=True)
class OscillatorRun(Run):
    """An nLA trained to predict the next state of oscillators drawn afresh for every batch.

    ω0 ~ U[omega0_min, omega0_max] and γ ~ U[gamma_min, gamma_max] per trajectory (equal limits:
    fixed); starts x0, p0 ~ N(0, 1) ("normal", post 1) or U[0, 1] ("box", post 2), which windows
    follow after a delay of up to `later` [time]. The time step is `dt`, or, with `dt_min` > 0, one
    per trajectory: log-uniform in [dt_min, 2π/ω0]. The loss is the mean squared error over all
    positions (Eq. 3 of post 2) or the last alone (Eq. 1), times `loss_factor`; `scored` names the
    positions 1 … context that count, where these are neither.
    """

    seeds: tuple[int, ...] = tuple(range(8))
    omega0_min: float = 2.0
    omega0_max: float = 2.0
    gamma_min: float = 0.1
    gamma_max: float = 0.1
    dt: float = 0.1
    context: int = 1
    start: str = "normal"
    loss_on: str = "all"
    loss_factor: float = 1.0
    n_layers: int = 1
    d_model: int = 2
    d_head: int = 2
    n_heads: int = 1
    causal: bool = True
    bias: bool = True
    residual: bool = True
    positions: bool = False
    logit_scale: str = "d_head"
    d_mlp: int = 0
    steps: int = 10_000
    batch: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    snapshots: tuple[int, ...] = ()
    later: float = 0.0
    dt_min: float = 0.0
    optimiser: str = "adamw"
    scored: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise ValueError(f"start = {self.start!r}: must be one of {', '.join(STARTS)}")
        if self.loss_on not in LOSSES:
            raise ValueError(f"loss_on = {self.loss_on!r}: must be one of {', '.join(LOSSES)}")
        if not 0 < self.omega0_min <= self.omega0_max:
            raise ValueError(
                f"omega0_min = {self.omega0_min:g}: must be > 0 and <= omega0_max = "
                f"{self.omega0_max:g}"
            )
        if self.context < 1:
            raise ValueError(f"context = {self.context}: must be >= 1")
        if not all(1 <= position <= self.context for position in self.scored):
            raise ValueError(f"scored = {self.scored}: must be in 1 ... context = {self.context}")
        shortest = 2 * math.pi / self.omega0_max
        if not 0 <= self.dt_min < shortest:
            allowed = f">= 0 and < 2π/omega0_max = {shortest:.3g}"
            raise ValueError(f"dt_min = {self.dt_min:g}: must be {allowed}")

    def model(self) -> NLA:
        """The untrained ensemble, one member per seed."""
        names = ("n_layers", "d_model", "d_head", "n_heads", "causal", "bias", "residual")
        options = {name: asdict(self)[name] for name in (*names, "logit_scale", "d_mlp")}
        context = self.context if self.positions else 0
        return NLA(initialisers(self.seeds), context=context, **options)

    def oscillators(
        self, rng: torch.Generator, shape: tuple[int, ...]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | float]:
        """First states (*shape, 2), ω0, γ and Δt of so many oscillators, each of them `shape` or
        one for all."""
        if self.start == "normal":
            state0 = oscillator.sample_normal(shape, 1.0, rng)
        else:
            state0 = oscillator.sample_box(shape, 0.0, 1.0, rng)
        omega0 = between(self.omega0_min, self.omega0_max, shape, rng)
        gamma = between(self.gamma_min, self.gamma_max, shape, rng)
        if self.later > 0:
            delay = self.later * torch.rand(shape, generator=rng)
            flow = oscillator.propagator(omega0, gamma, delay)  # (n, batch, 2, 2)
            state0 = (flow * state0[..., None, :]).sum(-1)
        dt = log_uniform_steps(omega0, self.dt_min, rng) if self.dt_min else self.dt
        return state0, omega0, gamma, dt

    def draw(self, rng: torch.Generator, n: int) -> tuple[Tensor, ...]:
        """n batches of exact trajectories of context + 1 states: (n, batch, context + 1, 2)."""
        state0, omega0, gamma, dt = self.oscillators(rng, (n, self.batch))
        return (oscillator.trajectory(state0, omega0, gamma, self.times(dt)),)

    def times(self, dt: Tensor | float) -> Tensor:
        """Those of a window and the state after it: (context + 1,), or a row for each Δt (...)."""
        own_dt = dt[..., None] if isinstance(dt, Tensor) else dt
        return oscillator.uniform_times(self.context + 1, own_dt)

    def batches(self) -> Batches:
        """The endless source of training batches, one independent stream per seed."""
        chunk = 20_000 // (self.batch * self.context)
        return Batches(self.draw, self.seeds, chunk=min(max(chunk, 1), 50))

    def loss(self, model: nn.Module, batch: list[Tensor]) -> Tensor:
        """Mean squared next-step error per seed, times loss_factor: (seed,)."""
        states = batch[0]  # (seed, batch, context + 1, 2)
        predicted = model(states[:, :, :-1], last=self.loss_on == "last")
        error = (predicted - states[:, :, -predicted.shape[2] :]) ** 2
        if self.scored:
            error = error[:, :, [position - 1 for position in self.scored]]
        return self.loss_factor * error.mean(dim=(1, 2, 3))


def between(low: float, high: float, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """U[low, high] draws of `shape`, or the constant () when low = high (nothing is drawn)."""
    if low == high:
        return torch.tensor(low)
    return low + (high - low) * torch.rand(shape, generator=rng)


def log_uniform_steps(omega0: Tensor, dt_min: float, rng: torch.Generator) -> Tensor:
    """Time steps Δt, log-uniform in [dt_min, 2π/ω0], one per entry of ω0: (...) → (...)."""
    longest = 2 * math.pi / omega0
    share = torch.rand(omega0.shape, generator=rng, dtype=omega0.dtype)
    return dt_min * (longest / dt_min) ** share


@dataclass(frozen=True)
class LinearRun(OscillatorRun):
    """Eq. 2 of post 2, X_{T+1} = Σ β_t X_t + c, descended by the recipe of the other models."""

    def model(self) -> LinearPredictor:
        """The untrained ensemble."""
        return LinearPredictor(initialisers(self.seeds), self.context)


@dataclass(frozen=True)
class SolverRun(OscillatorRun):
    """A `ScaledStep`, trained on delayed windows so that those of a rollout are nothing new.

    With `noise` > 0 every state of a window, not the one to be predicted, is seen with Gaussian
    noise of that standard deviation. With `foreign_last` the last state of every window is that of
    another one, of another ω0, and what is to be predicted is where the window's own ω0 takes it.
    After the descent come `iterations` Levenberg–Marquardt steps in float64 on `points` such
    windows, drawn anew every fifth step; and then `relative` more, whose residuals are divided by
    min(Δt, 1): over a short step little changes, and an error must be small beside that.
    """

    normalised: bool = True
    later: float = 5.0
    iterations: int = 0
    points: int = 2048
    noise: float = 0.0
    foreign_last: bool = False
    relative: int = 0

    def model(self) -> ScaledStep:
        """The untrained ensemble."""
        return ScaledStep(super().model(), normalised=self.normalised)

    def draw(self, rng: torch.Generator, n: int) -> tuple[Tensor, ...]:
        """n batches of windows, as the run wants them, and the state after: see the class."""
        state0, omega0, gamma, dt = self.oscillators(rng, (n, self.batch))
        states = oscillator.trajectory(state0, omega0, gamma, self.times(dt))
        if self.foreign_last:
            states[..., -2, :] = states[..., -2, :].roll(1, dims=1)
            flow = oscillator.propagator(omega0, gamma, dt)  # (n, batch, 2, 2)
            states[..., -1, :] = (flow * states[..., -2, None, :]).sum(-1)
        if self.noise > 0:
            seen = states[..., :-1, :]
            seen += self.noise * torch.randn(seen.shape, generator=rng)
        return (states,)

    def refine(self, model: ScaledStep) -> None:
        """Levenberg–Marquardt in float64, seed by seed; either part is rounded to float32."""
        for index, seed in enumerate(self.seeds):
            polish(model, index, self.double_batches(seed), self.iterations)
            polish(model, index, self.double_batches(seed, relative=True), self.relative)

    def double_batches(
        self, seed: int, relative: bool = False
    ) -> Callable[[int], tuple[Tensor, Tensor | float]]:
        """batches(k): `points` trajectories of float64 states for the k-th stretch, and weights.

        Relative ones are 1/min(Δt, 1), (points, 1), and their stretches come after the others'.
        """
        wide = replace(self, seeds=(seed,), batch=self.points)
        first = REFINEMENT + (self.iterations if relative else 0)

        def batch(k: int) -> tuple[Tensor, Tensor | float]:
            states = wide.draw(seeded(seed, first + k), 1)[0][0].double()
            *_, dt = wide.oscillators(seeded(seed, first + k), (1, self.points))  # the same again
            steps = torch.as_tensor(dt).double().reshape(-1, 1)
            return states, 1 / steps.clamp(max=1) if relative else 1.0

        return batch
