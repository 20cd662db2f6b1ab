"""What the chapters train: one frozen configuration per experiment, complete enough to repeat it.

An experiment says how to draw its model, its batches and its loss; `artifacts.load_or_train` does
the rest. Raise RECIPE by hand when the meaning of a configuration changes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from attention_in_motion import oscillator
from attention_in_motion.attention import Linear
from attention_in_motion.exactness import Cells
from attention_in_motion.models import NLA, LinearPredictor
from attention_in_motion.solver import Solver, polish
from attention_in_motion.training import Batches, initialisers, seeded
from attention_in_motion.uniform_motion import MotionAttention, next_position, normalised_mse

RECIPE = 1
REFINEMENT = 1 << 20  # random streams of a seed that no stretch of training reaches

STARTS = ("normal", "box")
LOSSES = ("all", "last")


@dataclass(frozen=True)
class OscillatorRun:
    """An nLA trained to predict the next state of oscillators drawn afresh for every batch.

    ω0 ~ U[omega0_min, omega0_max] and γ ~ U[gamma_min, gamma_max] per trajectory (equal limits:
    fixed); starts x0, p0 ~ N(0, 1) ("normal", post 1) or U[0, 1] ("box", post 2), which windows
    follow after a delay of up to `later` [time]. The time step is `dt`, or, with `dt_min` > 0, one
    per trajectory: log-uniform in [dt_min, 2π/ω0]. The loss is the mean squared error over all
    positions (Eq. 3 of post 2) or the last alone (Eq. 1), times `loss_factor`.
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

    def draw(self, rng: torch.Generator, n: int) -> tuple[Tensor, ...]:
        """n batches of exact trajectories of context + 1 states: (n, batch, context + 1, 2)."""
        shape = (n, self.batch)
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
        dt = log_uniform_steps(omega0, self.dt_min, rng)[..., None] if self.dt_min else self.dt
        times = oscillator.uniform_times(self.context + 1, dt)  # (context + 1,), or one row each
        return (oscillator.trajectory(state0, omega0, gamma, times),)

    def batches(self) -> Batches:
        """The endless source of training batches, one independent stream per seed."""
        chunk = 20_000 // (self.batch * self.context)
        return Batches(self.draw, self.seeds, chunk=min(max(chunk, 1), 50))

    def loss(self, model: nn.Module, batch: list[Tensor]) -> Tensor:
        """Mean squared next-step error per seed, times loss_factor: (seed,)."""
        states = batch[0]  # (seed, batch, context + 1, 2)
        predicted = model(states[:, :, :-1], last=self.loss_on == "last")
        error = (predicted - states[:, :, -predicted.shape[2] :]) ** 2
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
    """A `Solver`, trained on delayed windows so that those of a rollout are nothing new.

    After the descent,
    `iterations` Levenberg–Marquardt steps in float64 on `points` trajectories, drawn anew every
    fifth step.
    """

    normalised: bool = True
    later: float = 5.0
    iterations: int = 0
    points: int = 2048

    def model(self) -> Solver:
        """The untrained ensemble."""
        return Solver(super().model(), normalised=self.normalised)

    def refine(self, model: Solver) -> None:
        """Levenberg–Marquardt in float64, seed by seed; the result is rounded to float32."""
        for index, seed in enumerate(self.seeds):
            polish(model, index, self.double_batches(seed), self.iterations)

    def double_batches(self, seed: int) -> Callable[[int], Tensor]:
        """batches(k): `points` trajectories of float64 states for the k-th stretch."""
        wide = replace(self, seeds=(seed,), batch=self.points)
        return lambda k: wide.draw(seeded(seed, REFINEMENT + k), 1)[0][0].double()


# Post 2 at variable ω0: what every rung shares, and its ladder by the post's names (d_model/d_head;
# "open" has no causal mask). The post jumps from 8LA 16/8 to 4LA 32/16 open; the two masked rungs
# of that width are ours.
VARIABLE_OMEGA = {"omega0_min": 1.0, "omega0_max": 4.0, "context": 40, "start": "box"}
VARIABLE_OMEGA |= {"steps": 5000, "seeds": tuple(range(6))}
WIDE = {"d_model": 32, "d_head": 16}
OMEGA_LADDER = {
    "OLA 2/2": {},
    "OLA 8/4": {"d_model": 8, "d_head": 4},
    "8LA 16/8": {"n_layers": 8, "d_model": 16, "d_head": 8},
    "4LA 32/16": {"n_layers": 4, **WIDE},
    "8LA 32/16": {"n_layers": 8, **WIDE},
    "4LA 32/16 open": {"n_layers": 4, "causal": False, **WIDE},
    "8LA 32/16 open": {"n_layers": 8, "causal": False, **WIDE},
}

# Mask × loss × positions on 4LA 32/16; two of the eight cells are rungs of the ladder.
FACTORS = {"causal": (True, False), "loss_on": ("all", "last"), "positions": (False, True)}
FACTOR_NAMES = {"causal": "open", "loss_on": "last loss", "positions": "positions"}


def factorial() -> dict[str, dict[str, object]]:
    """The eight cells by name, each factor named where it is at its second level."""
    cells = {}
    for levels in itertools.product(*FACTORS.values()):
        chosen = dict(zip(FACTORS, levels, strict=True))
        words = [FACTOR_NAMES[f] for f, level in chosen.items() if level == FACTORS[f][1]]
        cells[" ".join(["4LA 32/16", *words])] = {"n_layers": 4, **WIDE, **chosen}
    return cells


FACTORIAL = factorial()

# Ways to solve variable ω with at most 16 000 parameters, from the plainest to the best.
SOLVING = {"loss_on": "last", "causal": False, "positions": True, "schedule": "one_cycle"}
SOLVING |= {"lr": 3e-3}
LARGE = {"n_layers": 3, "d_model": 24, "d_head": 24, "d_mlp": 48}
SMALL = {"n_layers": 2, "d_model": 12, "d_head": 12, "d_mlp": 24}
SOLVERS = {
    "plain": {"normalised": False, "later": 0.0, **LARGE},
    "normalised": LARGE,
    "small": SMALL,
    "small, polished": SMALL,
}

# A model for the four criteria, built like those of Kantamneni et al., without damping: over forty
# steps as long as a period nothing would be left to predict.
VARIABLE_STEP = {"gamma_min": 0.0, "gamma_max": 0.0, "dt_min": 0.02, "positions": True}
VARIABLE_STEP |= {"n_layers": 3, "d_model": 32, "d_head": 32, "d_mlp": 128}
VARIABLE_STEP |= {"batch": 64, "lr": 1e-2, "schedule": "one_cycle"}


@dataclass(frozen=True)
class MotionRun:
    """Post 3: predict x2 = 2 x1 − x0 from the tokens x0, x1 ~ N(0, 1), drawn afresh every step.

    Tokens are fed as `input_scale` · x and the target is `target_scale` · x2. `hidden` > 0 replaces
    attention by an MLP of that width on both tokens (the control); more than one layer is an nLA.
    The loss is the mean squared error over the components of x2.
    """

    seeds: tuple[int, ...] = tuple(range(200))
    input_dim: int = 1
    embed_dim: int = 1
    projections: str = "none"
    positions: bool = True
    biases: bool = True
    input_scale: float = 1.0
    target_scale: float = 1.0
    heads: int = 1
    residual: bool = False
    layers: int = 1
    hidden: int = 0
    steps: int = 10_000
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    snapshots: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("input_scale", "target_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name):g}: must be > 0")
        if self.layers > 1 and self.projections != "both":
            raise ValueError(f"layers = {self.layers}: must be 1 without both projections")

    def model(self) -> nn.Module:
        """The untrained ensemble: (seed, batch, 2, input_dim) → (seed, batch, T, input_dim)."""
        rngs, d = initialisers(self.seeds), self.input_dim
        if self.hidden:
            layers = Linear(2 * d, self.hidden, True, rngs), Linear(self.hidden, d, True, rngs)
            return nn.Sequential(
                nn.Flatten(2), layers[0], nn.GELU(), layers[1], nn.Unflatten(2, (1, d))
            )
        shared = {"n_heads": self.heads, "residual": self.residual, "d_model": self.embed_dim}
        if self.layers == 1:
            shared |= {"positions": self.positions, "biases": self.biases}
            return MotionAttention(rngs, d_in=d, projections=self.projections, **shared)
        shared |= {"context": 2 * self.positions, "attention_bias": self.biases}
        widths = {"d_head": self.embed_dim, "d_in": d, "d_out": d}
        return NLA(rngs, n_layers=self.layers, causal=False, **widths, **shared)

    def draw(self, rng: torch.Generator, n: int) -> tuple[Tensor, ...]:
        """n batches of both tokens and the target, scaled: (n, batch, 3, input_dim)."""
        x = torch.randn((n, self.batch, 2, self.input_dim), generator=rng)
        scaled = self.input_scale * x, self.target_scale * next_position(x)
        return (torch.cat(scaled, dim=2),)

    def batches(self) -> Batches:
        """The endless source of training batches, one independent stream per seed."""
        return Batches(self.draw, self.seeds, chunk=200)

    def loss(self, model: nn.Module, batch: list[Tensor]) -> Tensor:
        """Mean squared error of the predicted x2 per seed: (seed,)."""
        tokens = batch[0]  # (seed, batch, 3, input_dim)
        error = model(tokens[:, :, :2])[:, :, -1] - tokens[:, :, 2]
        return (error**2).mean(dim=(1, 2))

    @torch.no_grad()
    def normalised_mse(self, model: nn.Module, rng: torch.Generator, n: int = 10_000) -> Tensor:
        """Mean squared error over that of predicting zero, on n fresh points: (seed,)."""
        tokens = replace(self, batch=n).draw(rng, 1)[0].expand(len(self.seeds), -1, -1, -1)
        return normalised_mse(model(tokens[:, :, :2])[:, :, -1], tokens[:, :, 2])


# The rungs of post 3 by claim, as MotionRun options. Its batch size and the scales of its early
# rungs are not given; here they are 64 and 1.
LADDER = {
    "P3.1": {"input_dim": 3, "embed_dim": 3, "positions": False},
    "P3.2": {"input_dim": 3, "embed_dim": 3},
    "P3.3": {"input_dim": 3, "embed_dim": 20, "projections": "both"},
    "P3.4": {"embed_dim": 20, "projections": "both"},
    "P3.5": {"embed_dim": 4, "projections": "both"},
    "P3.6": {"embed_dim": 2, "projections": "both"},
    "P3.7": {"projections": "both"},
    "P3.8": {},
    "P3.9": {"projections": "up"},
    "P3.10": {"input_scale": 0.1, "target_scale": 0.2},
    "P3.11": {"input_scale": 0.1, "target_scale": 0.2, "biases": False},
    "P3.19": {"hidden": 16},
}


@dataclass(frozen=True)
class ExactnessMap:
    """Every `exactness` cell under bounded weights: Adam on all seeds, L-BFGS on the best."""

    seeds: tuple[int, ...] = tuple(range(4))
    steps: int = 800
    lr: float = 1e-2
    weight_decay: float = 0.0
    schedule: str = "cosine"
    iterations: int = 1000
    snapshots: tuple[int, ...] = ()

    def model(self) -> Cells:
        """All cells, untrained, in float64."""
        return Cells(self.seeds)

    def draw(self, rng: torch.Generator, n: int) -> tuple[Tensor, ...]:
        """n batches of 1000 tokens x0, x1 ~ U[−1, 1] and x2: (n, 1000, 3, 1), float64."""
        x = 2 * torch.rand((n, 1000, 2, 1), generator=rng, dtype=torch.float64) - 1
        return (torch.cat([x, next_position(x)], dim=2),)

    def batches(self) -> Callable[[int], Tensor]:
        """Nothing to draw: every step sees the same Gauss nodes."""
        return lambda step: torch.zeros(())

    def loss(self, model: Cells, batch: Tensor) -> Tensor:
        """Normalised MSE plus squared excesses over the bounds: (cell × seed,)."""
        return torch.cat([objective() for objective in model.objectives])

    def refine(self, model: Cells) -> None:
        """The second stage of training, after the gradient descent on all seeds."""
        model.refine_best(self.iterations)
