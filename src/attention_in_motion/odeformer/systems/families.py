"""The analytic families: systems that everyone knows, with constants and starts drawn at random.

Sources: post 4 and the experiments behind it. Every draw takes a NumPy Generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from attention_in_motion.odeformer.language.expressions import skeleton
from attention_in_motion.odeformer.language.tokens import System
from attention_in_motion.odeformer.systems.scale import T_FIRST
from attention_in_motion.odeformer.systems.simulate import solve
from attention_in_motion.odeformer.systems.trajectories import Group

FAMILY_STEPS = 1000  # the same for a family: far more than any of its documented ranges needs
FAMILY_TOLERANCE = 1e-8  # fine enough for the phase of the fastest oscillator after seven periods


def log_uniform(rng: Generator, low: float, high: float, size: int | tuple) -> NDArray:
    """Log-uniform in [low, high]; both must be positive."""
    return np.exp(rng.uniform(math.log(low), math.log(high), size))


def signed(rng: Generator, low: float, high: float, size: int | tuple) -> NDArray:
    """Log-uniform size in [low, high], either sign."""
    return rng.choice([-1.0, 1.0], size) * log_uniform(rng, low, high, size)


def draw_exponential(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x' = c x."""
    return signed(rng, 0.02, 3, (1, n)), rng.standard_normal((1, n))


def draw_logistic(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x = K/(1 + e^(−b (t − t0))), b ±[0.1, 3] and K ±[0.3, 5] log-uniform, t0 ~ U[0, 11].

    But |b| (t0 − 1) ≤ 12: nearer to a fixed point at the start, rounding decides the trajectory.
    """
    b, capacity = signed(rng, 0.1, 3, n), signed(rng, 0.3, 5, n)
    inflection = rng.uniform(0, np.minimum(11, 1 + 12 / np.abs(b)))
    start = capacity / (1 + np.exp(-b * (T_FIRST - inflection)))
    return np.stack([b, -b / capacity]), start[None]


def draw_hyperbolic(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """c·x(1) is −[0.01, 3] log-uniform, or 1/(t∞ − 1), the pole t∞ log-uniform in [10.1, 100]."""
    start = rng.standard_normal((1, n))
    growing = 1 / (log_uniform(rng, 10.1, 100, (1, n)) - T_FIRST)
    rate = np.where(rng.random((1, n)) < 0.5, growing, -log_uniform(rng, 0.01, 3, (1, n)))
    return rate / start, start


def draw_affine(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x' = a + b x."""
    constants = np.concatenate([signed(rng, 0.05, 5, (1, n)), signed(rng, 0.02, 3, (1, n))])
    return constants, rng.standard_normal((1, n))


def draw_sine(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x' = a sin(b x + c), the constants in the order a, c, b."""
    a, b, c = signed(rng, 0.1, 5, n), log_uniform(rng, 0.2, 5, n), rng.uniform(-np.pi, np.pi, n)
    return np.stack([a, c, b]), rng.standard_normal((1, n))


def draw_linear(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x' = A x, the rows of A one after the other."""
    return rng.uniform(-2, 2, (4, n)), rng.standard_normal((2, n))


def draw_damped(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x'' = −ω² x − γ x'."""
    omega, gamma = rng.uniform(0.1, 5, (2, n))
    return np.stack([-(omega**2), -gamma]), rng.standard_normal((2, n))


def draw_oscillator(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x'' = −ω² x."""
    return -(rng.uniform(0.1, 5, (1, n)) ** 2), rng.standard_normal((2, n))


def draw_pendulum(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x'' = −ω² sin x."""
    constants, start = draw_oscillator(rng, n)
    start[0] = rng.uniform(-3, 3, n)
    return constants, start


def draw_duffing(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x'' = −α x − β x³."""
    linear, cubic = signed(rng, 0.2, 10, n), log_uniform(rng, 0.1, 5, n)
    return np.stack([-linear, -cubic]), rng.standard_normal((2, n))


def draw_van_der_pol(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """x'' = μ (1 − x²) x' − ω² x."""
    omega, mu = rng.uniform(0.5, 4, n), log_uniform(rng, 0.2, 4, n)
    return np.stack([-(omega**2), -mu, mu]), rng.standard_normal((2, n))


def draw_sir(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """Susceptible x and infected y: x' = −β x y, y' = β x y − γ y."""
    beta, gamma = log_uniform(rng, 0.5, 5, n), log_uniform(rng, 0.1, 2, n)
    start = np.stack([rng.uniform(0.5, 1, n), log_uniform(rng, 0.02, 0.5, n)])
    return np.stack([-beta, beta, -gamma]), start


def draw_fitzhugh_nagumo(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """s sets the pace of both, ε that of w beside v: as s = 1 it is too slow for nine units."""
    pace, epsilon = log_uniform(rng, 1, 5, n), log_uniform(rng, 0.05, 0.5, n)
    current, a, b = log_uniform(rng, 0.1, 1, n), rng.uniform(0.5, 1, n), rng.uniform(0.4, 1, n)
    voltage = pace * np.stack([current, np.ones(n), -np.ones(n) / 3, -np.ones(n)])
    recovery = pace * epsilon * np.stack([a, np.ones(n), -b])
    return np.concatenate([voltage, recovery]), rng.standard_normal((2, n))


def draw_lotka_volterra(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    """Prey x and predators y: x' = α x − β x y, y' = δ x y − γ y."""
    signs = np.array([1.0, -1.0, -1.0, 1.0])[:, None]
    return signs * log_uniform(rng, 0.2, 2, (4, n)), log_uniform(rng, 0.3, 3, (2, n))


class Family(NamedTuple):
    """A system whose floats are places for constants, and draw(rng, n) → (constants, starts)."""

    system: System
    draw: Callable[[Generator, int], tuple[NDArray, NDArray]]


C = 1.0  # the place of a constant
FAMILIES = {
    "exponential": Family([["mul", C, "x_0"]], draw_exponential),
    "logistic": Family(
        [["add", "mul", C, "x_0", "mul", C, "pow", "x_0", 2]],
        draw_logistic,
    ),
    "hyperbolic": Family([["mul", C, "pow", "x_0", 2]], draw_hyperbolic),
    "affine": Family([["add", C, "mul", C, "x_0"]], draw_affine),
    "sine": Family([["mul", C, "sin", "add", C, "mul", C, "x_0"]], draw_sine),
    "linear": Family(
        [["add", "mul", C, "x_0", "mul", C, "x_1"], ["add", "mul", C, "x_0", "mul", C, "x_1"]],
        draw_linear,
    ),
    "oscillator": Family([["x_1"], ["mul", C, "x_0"]], draw_oscillator),
    "damped": Family([["x_1"], ["add", "mul", C, "x_0", "mul", C, "x_1"]], draw_damped),
    "pendulum": Family([["x_1"], ["mul", C, "sin", "x_0"]], draw_pendulum),
    "duffing": Family(
        [["x_1"], ["add", "mul", C, "x_0", "mul", C, "pow", "x_0", 3]],
        draw_duffing,
    ),
    "lotka_volterra": Family(
        [
            ["add", "mul", C, "x_0", "mul", C, "mul", "x_0", "x_1"],
            ["add", "mul", C, "x_1", "mul", C, "mul", "x_0", "x_1"],
        ],
        draw_lotka_volterra,
    ),
    "sir": Family(
        [
            ["mul", C, "mul", "x_0", "x_1"],
            ["add", "mul", C, "mul", "x_0", "x_1", "mul", C, "x_1"],
        ],
        draw_sir,
    ),
    "van_der_pol": Family(
        [
            ["x_1"],
            [
                *("add", "mul", C, "x_0"),
                *("add", "mul", C, "mul", "pow", "x_0", 2, "x_1", "mul", C, "x_1"),
            ],
        ],
        draw_van_der_pol,
    ),
    "fitzhugh_nagumo": Family(
        [
            [
                *("add", C, "add", "mul", C, "x_0"),
                *("add", "mul", C, "pow", "x_0", 3, "mul", C, "x_1"),
            ],
            ["add", C, "add", "mul", C, "x_0", "mul", C, "x_1"],
        ],
        draw_fitzhugh_nagumo,
    ),
}
"""
name             equation                          constants (before the scaler; ± is a fair sign)
exponential      x' = c x                          c ±[0.02, 3] log-uniform
logistic         x' = b x − (b/K) x²               b ±[0.1, 3], K ±[0.3, 5] log, t0 U[0, 11]
hyperbolic       x' = c x²                         c x(1) −[0.01, 3] log, or 1/(t∞ − 1),
                                                   t∞ [10.1, 100] log
affine           x' = a + b x                      a ±[0.05, 5], b ±[0.02, 3] log
sine             x' = a sin(b x + c)               a ±[0.1, 5], b [0.2, 5] log, c U[−π, π]
linear           x' = A x                          four entries U[−2, 2]
oscillator       x' = y, y' = −ω² x                ω U[0.1, 5]
damped           x' = y, y' = −ω² x − γ y          ω, γ U[0.1, 5]
pendulum         x' = y, y' = −ω² sin x            ω U[0.1, 5], starts x U[−3, 3]
duffing          x' = y, y' = −α x − β x³          α ±[0.2, 10], β [0.1, 5] log
lotka_volterra   x' = αx − βxy, y' = δxy − γy      all [0.2, 2] log, starts [0.3, 3] log
sir              x' = −βxy, y' = βxy − γy          β [0.5, 5], γ [0.1, 2] log, starts x U[0.5, 1],
                                                   y [0.02, 0.5] log
van_der_pol      x' = y, y' = μ(1 − x²)y − ω² x    ω U[0.5, 4], μ [0.2, 4] log
fitzhugh_nagumo  v' = s(v − v³/3 − w + I),         s [1, 5], ε [0.05, 0.5], I [0.1, 1] log,
                 w' = sε(v + a − bw)               a U[0.5, 1], b U[0.4, 1]

"log" is log-uniform. Starts are N(0, 1) in each coordinate where nothing else is said. Of what is
drawn, `solve` leaves out what reaches |x| = 100 before t = 10 and what starts so near an unstable
fixed point that two tolerances disagree, and nothing else: its step budget, FAMILY_STEPS, drops no
family's trajectory. `stream.acceptance` counts all that. The stationary filter is not used.
"""
FAMILY_SKELETONS = frozenset(skeleton(family.system) for family in FAMILIES.values())


def family_group(rng: Generator, name: str, n_points: int, columns: int) -> Group:
    """Trajectories of a family on n_points even times; those that `solve` refuses are left out."""
    system, draw = FAMILIES[name]
    constants, start = draw(rng, columns)
    return solve(system, constants, start, n_points, name, FAMILY_STEPS, FAMILY_TOLERANCE)
