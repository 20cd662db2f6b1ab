"""ODE systems to train and test on: analytic families and two random priors, one to six dimensions.

A *group* is one system with many constant sets and starts (columns), so that the symbolic work and
the NumPy calls are shared. Every draw takes a NumPy Generator.

Sources: package odeformer 0.1.7 for the official prior, its filters and its scaler; post 4 and the
experiments behind it for the families. The shape of a random expression is uniform over binary
trees, as in Lample and Charton, "Deep Learning for Symbolic Mathematics" (2020), appendix C.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from attention_in_motion.odeformer.expressions import (
    canonical,
    constants_of,
    round_constants,
    skeleton,
    skeleton_hash,
    vector_field,
    with_constants,
)
from attention_in_motion.odeformer.integrate import integrate
from attention_in_motion.odeformer.tokens import ARITY, Equation, System

T_FIRST, T_LAST = 1.0, 10.0  # every trajectory is drawn on this interval
BOUND = 100.0  # a trajectory that reaches this is rejected
MAX_CONSTANT = 20.0  # constants of the random priors lie in [1/20, 20] in size
EXTRA_STEPS = 30  # a random system that needs this many more than its points is too stiff or fast
FAMILY_STEPS = 1000  # the same for a family: far more than any of its documented ranges needs
FAMILY_TOLERANCE = 1e-8  # fine enough for the phase of the fastest oscillator after seven periods
LARGEST_GAP = 1e-6  # between two tolerances, as a share of the largest value
PUBLISHED_RATIO, PUBLISHED_GAMMA = 0.5, 0.1  # what the published accident comes to
SMALLEST_START = 0.01  # below this a first value is too small to divide by


class Sample(NamedTuple):
    """One system and its trajectory: times (n_points,), values (n_points, dimension)."""

    system: System
    times: NDArray
    values: NDArray
    source: str  # the family's name, or that of the prior


# ---------------------------------------------------------------------------------------------
# Analytic families


def log_uniform(rng: Generator, low: float, high: float, size: int | tuple) -> NDArray:
    return np.exp(rng.uniform(math.log(low), math.log(high), size))


def signed(rng: Generator, low: float, high: float, size: int | tuple) -> NDArray:
    """Log-uniform size in [low, high], either sign."""
    return rng.choice([-1.0, 1.0], size) * log_uniform(rng, low, high, size)


def draw_exponential(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
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
    constants = np.concatenate([signed(rng, 0.05, 5, (1, n)), signed(rng, 0.02, 3, (1, n))])
    return constants, rng.standard_normal((1, n))


def draw_sine(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    a, b, c = signed(rng, 0.1, 5, n), log_uniform(rng, 0.2, 5, n), rng.uniform(-np.pi, np.pi, n)
    return np.stack([a, c, b]), rng.standard_normal((1, n))


def draw_linear(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    return rng.uniform(-2, 2, (4, n)), rng.standard_normal((2, n))


def draw_damped(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    omega, gamma = rng.uniform(0.1, 5, (2, n))
    return np.stack([-(omega**2), -gamma]), rng.standard_normal((2, n))


def draw_oscillator(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    return -(rng.uniform(0.1, 5, (1, n)) ** 2), rng.standard_normal((2, n))


def draw_pendulum(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    constants, start = draw_oscillator(rng, n)
    start[0] = rng.uniform(-3, 3, n)
    return constants, start


def draw_duffing(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    linear, cubic = signed(rng, 0.2, 10, n), log_uniform(rng, 0.1, 5, n)
    return np.stack([-linear, -cubic]), rng.standard_normal((2, n))


def draw_van_der_pol(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
    omega, mu = rng.uniform(0.5, 4, n), log_uniform(rng, 0.2, 4, n)
    return np.stack([-(omega**2), -mu, mu]), rng.standard_normal((2, n))


def draw_sir(rng: Generator, n: int) -> tuple[NDArray, NDArray]:
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

# ---------------------------------------------------------------------------------------------
# Random priors

PRIORS = ("official", "repaired")
UNARY, UNARY_WEIGHTS = ("id", "sin", "inv", "pow2"), np.array([3, 1, 1, 1]) / 6
MAX_BINARY, MAX_UNARY = 5, 3  # per equation: 1…5 binary operators, 0…3 unary ones
MAX_UNARY_SIZE = 7  # a subtree this large gets no unary operator


def random_system(rng: Generator, dimension: int, prior: str = "repaired") -> System:
    """A system as the generator writes it (not canonical), constants drawn.

    Per equation: a uniformly random binary tree with U{1..5} operators, add : mul = 3 : 1, leaves
    uniform over the variables; unary operators drawn for every child of weight (id 3, sin 1, inv 1,
    pow2 1) and deleted at random down to U{0..3}; one constant in front of every term of a sum, an
    affine a + b·u inside every unary operator. Constants: fair sign, log-uniform in [1/20, 20].

    prior "official" keeps two quirks of the published generator: where `id` is drawn the child is
    written twice, so that a re-draw of it takes the place of the next argument, which is lost; and
    `id` counts as a unary operator, for the budget and for the affine. In "repaired", `id` is no
    operator at all. Raises ValueError for another prior.
    """
    if prior not in PRIORS:
        raise ValueError(f"prior = {prior!r}: must be one of {', '.join(PRIORS)}")
    return [random_equation(rng, dimension, prior == "official") for _ in range(dimension)]


def random_equation(rng: Generator, dimension: int, official: bool) -> Equation:
    n_binary, n_unary = rng.integers(1, MAX_BINARY + 1), rng.integers(0, MAX_UNARY + 1)
    words = decorate(rng, random_tree(rng, n_binary, dimension), official)
    unary = [i for i, word in enumerate(words) if word in UNARY]
    surplus = rng.permutation(unary)[: max(len(unary) - n_unary, 0)]
    words = [word for i, word in enumerate(words) if i not in surplus]
    tree, _ = read_tree(words)  # what follows the first complete tree is lost
    if not any(word == "add" or word in UNARY for word in words_of(tree)):
        return ["mul", random_constant(rng), *words_of(tree)]
    return add_constants(rng, tree)


def catalan(n: int) -> int:
    return math.comb(2 * n, n) // (n + 1)


def random_tree(rng: Generator, n_binary: int, dimension: int) -> tuple:
    """Nested (word, *children), uniform over the shapes with n_binary operators."""
    if n_binary == 0:
        return (f"x_{rng.integers(dimension)}",)
    splits = [catalan(k) * catalan(n_binary - 1 - k) for k in range(n_binary)]
    left = int(rng.choice(n_binary, p=np.array(splits) / sum(splits)))
    operator = "add" if rng.random() < 0.75 else "mul"
    children = (random_tree(rng, k, dimension) for k in (left, n_binary - 1 - left))
    return (operator, *children)


def decorate(rng: Generator, tree: tuple, official: bool) -> Equation:
    """Prefix words with a unary operator drawn in front of every child; see `random_system`."""
    word, *children = tree
    words: Equation = [word]
    for child in children:
        unary = "none"
        if len(words_of(child)) < MAX_UNARY_SIZE:
            unary = str(rng.choice(UNARY, p=UNARY_WEIGHTS))
        if unary == "id" and official:
            words += decorate(rng, child, official)
        if unary != "none" and (unary != "id" or official):
            words.append(unary)
        words += decorate(rng, child, official)
    return words


def words_of(tree: tuple) -> Equation:
    word, *children = tree
    return [word, *(w for child in children for w in words_of(child))]


def read_tree(words: Equation) -> tuple[tuple, Equation]:
    """The first complete tree of a prefix list, and the words after it."""
    word, rest = words[0], words[1:]
    children = []
    for _ in range(ARITY.get(word, 0)):
        child, rest = read_tree(rest)
        children.append(child)
    return (word, *children), rest


def random_constant(rng: Generator) -> float:
    return float(signed(rng, 1 / MAX_CONSTANT, MAX_CONSTANT, 1)[0])


def add_constants(rng: Generator, tree: tuple) -> Equation:
    """One constant in front of each term of a sum, an affine inside each unary operator."""
    word, *children = tree
    words: Equation = [word]
    for child in children:
        if word == "add" and child[0] != "add":
            words += ["mul", random_constant(rng)]
        if word in UNARY and child[0] != "add":
            words += ["add", random_constant(rng), "mul", random_constant(rng)]
        words += add_constants(rng, child)
    return words


# ---------------------------------------------------------------------------------------------
# Groups of trajectories


class Group(NamedTuple):
    """One system with many constant sets; column j is a trajectory.

    constants (n_constants, columns), times (n_points,), values (n_points, dimension, columns).
    """

    system: System
    constants: NDArray
    times: NDArray
    values: NDArray
    source: str

    def samples(self) -> Iterator[Sample]:
        for j in range(self.constants.shape[1]):
            system = with_constants(self.system, self.constants[:, j])
            yield Sample(system, self.times, self.values[:, :, j], self.source)


def family_group(rng: Generator, name: str, n_points: int, columns: int) -> Group:
    """Trajectories of a family on n_points even times; those that `solve` refuses are left out."""
    system, draw = FAMILIES[name]
    constants, start = draw(rng, columns)
    return solve(system, constants, start, n_points, name, FAMILY_STEPS, FAMILY_TOLERANCE)


def random_group(
    rng: Generator,
    system: System,
    n_points: int,
    columns: int,
    prior: str,
    most: int,
    extra_steps: int = EXTRA_STEPS,
) -> Group:
    """At most `most` trajectories of a random system with fresh constants and starts N(0, 1).

    A coarse integration of all columns applies the official filters: |x| < 100 throughout, no NaN,
    and with probability 0.9 not `stationary`. The first `most` that pass are then solved. Fewer
    `extra_steps` are faster and leave out more of the stiff and fast systems.
    """
    constants = signed(rng, 1 / MAX_CONSTANT, MAX_CONSTANT, (len(constants_of(system)), columns))
    start = rng.standard_normal((len(system), columns))
    coarse = np.array([T_FIRST, *np.linspace(T_LAST - (T_LAST - T_FIRST) / 4, T_LAST, 8)])
    values, kept = integrate(
        *(vector_field(system), start, constants, coarse),
        bound=BOUND,
        tolerance=1e-4,
        max_steps=extra_steps,
    )
    moving = ~stationary(values[1:], n_points // 4) | (rng.random(columns) >= 0.9)
    first = np.flatnonzero(kept & moving)[:most]
    return solve(system, constants[:, first], start[:, first], n_points, prior, extra_steps)


def stationary(values: NDArray, n_points: int) -> NDArray:
    """Whether each coordinate's range over `values` is below 10⁻³ per point: (columns,)."""
    return (np.ptp(values, axis=0) < 1e-3 * n_points).all(axis=0)


def solve(
    system: System,
    constants: NDArray,
    start: NDArray,
    n_points: int,
    source: str,
    extra_steps: int = EXTRA_STEPS,
    tolerance: float = 1e-6,
) -> Group:
    """Trajectories on n_points even times, each integrated with `tolerance` and with a hundredth.

    Left out: what reaches |x| = 100, needs more than n_points + extra_steps steps, or differs
    between the two by more than 10⁻⁶ of its largest value. The error of the finer one, which is
    returned, goes with its tolerance: it is about 1 % of that difference.
    """
    fine, done, gap = solve_twice(system, constants, start, n_points, extra_steps, tolerance)
    kept = done & (gap < LARGEST_GAP)  # (columns,)
    times = np.linspace(T_FIRST, T_LAST, n_points)
    return Group(system, constants[:, kept], times, fine[:, :, kept], source)


def solve_twice(
    system: System,
    constants: NDArray,
    start: NDArray,
    n_points: int,
    extra_steps: int,
    tolerance: float,
) -> tuple[NDArray, NDArray, NDArray]:
    """What `solve` decides by: (the finer values, whether both arrived, the gap between them).

    Shapes (n_points, dimension, columns), (columns,) and (columns,).
    """
    times, n = np.linspace(T_FIRST, T_LAST, n_points), start.shape[1]
    values, arrived = integrate(
        *(vector_field(system), np.tile(start, 2), np.tile(constants, 2), times),
        bound=BOUND,
        tolerance=np.repeat([tolerance, tolerance / 100], n),
        max_steps=n_points + extra_steps,
    )
    coarse, fine = values[:, :, :n], values[:, :, n:]  # (n_points, dimension, columns)
    gap = np.abs(coarse - fine).max(axis=(0, 1)) / np.abs(fine).max(axis=(0, 1))  # (columns,)
    return fine, arrived[:n] & arrived[n:], gap


# ---------------------------------------------------------------------------------------------
# What is done to a trajectory


def corrupt(rng: Generator, sample: Sample, ratio: float, gamma: float) -> Sample:
    """Leave out int(n·ratio) points at random, then x ← x (1 + γ N(0, 1)), each entry by itself."""
    n = len(sample.times)
    kept = np.sort(rng.permutation(n)[int(n * ratio) :])
    values = sample.values[kept]
    noisy = values * (1 + gamma * rng.standard_normal(values.shape))
    return sample._replace(times=sample.times[kept], values=noisy)


def corrupt_as_published(rng: Generator, sample: Sample) -> Sample:
    """The accident in the published training code: always ratio 0.5, γ = 0.1, the same indices.

    Ratio and γ are meant to be random, but each call starts a fresh RandomState(0); so for a given
    length the same points always survive. Only the noise itself is random.
    """
    state = np.random.RandomState(0)
    ratio = state.choice(np.linspace(0, 0.5, 5))
    n = len(sample.times)
    left_out = state.choice(n, int(n * ratio), replace=False)
    times, values = (np.delete(part, left_out, axis=0) for part in (sample.times, sample.values))
    return sample._replace(
        times=times, values=values * (1 + PUBLISHED_GAMMA * rng.standard_normal(values.shape))
    )


def change_units(system: System, units: NDArray, rate: float) -> System:
    """The system of y = x / units on a clock that runs `rate` times as fast as the first one.

    dy_i/dτ = f_i(units · y) / (rate · units_i), in canonical form; the words of f stay, and its
    constants absorb the scales.
    """
    scaled = []
    for equation, unit in zip(system, units, strict=True):
        inner: Equation = []
        for word in equation:
            is_variable = isinstance(word, str) and word.startswith("x_")
            inner += ["mul", float(units[int(word[2:])]), word] if is_variable else [word]
        scaled.append(canonical(["mul", 1 / float(rate * unit), *inner]))
    return scaled


def rescale(sample: Sample) -> Sample:
    """The scaled convention in which ODEFormer reads data: t from 1 to 10, every x starts at 1.

    t' = 1 + 9 (t − t₁)/(t_n − t₁) and x' = x/x(t₁), and the system is rewritten for (t', x'), so it
    is the ODE of the scaled trajectory. Raises ValueError if a first value is below 0.01 in size.
    """
    first, span = sample.values[0], sample.times[-1] - sample.times[0]
    if np.abs(first).min() < SMALLEST_START:
        raise ValueError(
            f"values start at {np.abs(first).min():g}: must be {SMALLEST_START} or more"
        )
    rate = (T_LAST - T_FIRST) / span
    return sample._replace(
        system=change_units(sample.system, first, rate),
        times=T_FIRST + rate * (sample.times - sample.times[0]),
        values=sample.values / first,
    )


def with_canonical_target(sample: Sample) -> Sample:
    """The sample as it is, its system in the form of official targets (constants to 4 decimals)."""
    return sample._replace(system=[round_constants(equation) for equation in sample.system])


# ---------------------------------------------------------------------------------------------
# Held-out skeletons

FAMILY_SKELETONS = frozenset(skeleton(family.system) for family in FAMILIES.values())
HELD_OUT_SHARE = 20  # one skeleton in so many


def held_out(system: System) -> bool:
    """Whether training never shows this skeleton: its hash is 0 modulo 20 and it is no family's.

    Families share their skeleton between training and evaluation by design; there the constants
    and starts are drawn from another random stream.
    """
    text = skeleton(system)
    return skeleton_hash(text) % HELD_OUT_SHARE == 0 and text not in FAMILY_SKELETONS
