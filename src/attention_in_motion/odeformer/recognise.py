"""What a model writes about a trajectory: scale, write, read, put back, integrate, rank.

    found = recognise.ask(model, times, trajectory)
    print(found)

This is the model alone, as the pages of the book measure it; an equation for your own data is the
business of `attention_in_motion.fit`.

Everything runs in process, without signals, and in bounded time, so it may run in any thread.
Source: d'Ascoli et al., "ODEFormer" (2023), section 3, and package odeformer 0.1.7, whose path this
follows but for the repairs said where they are made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from attention_in_motion.odeformer.language.expressions import (
    constants_of,
    to_infix,
    to_latex,
    to_sympy,
    variables_of,
    vector_field,
    with_constants,
)
from attention_in_motion.odeformer.language.tokens import System, Vocabulary
from attention_in_motion.odeformer.network.decode import (
    Decoded,
    beam,
    check_sampling,
    generate,
    likeliest,
    sample,
)
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST, Scale
from attention_in_motion.odeformer.systems.simulate import Field, integrate

METHODS = ("sample", "greedy", "beam")
MAX_TOKENS = 200  # as in the official package
FEWEST_POINTS = 4
LARGEST_POWER = 100  # an integer beyond this in a system is no recognition
PREDICTION_STEPS = 1000  # an integration that needs this many more than its points is given up
REFINING = 1e-10  # tolerance while constants are refined: their derivatives are differences
REFINED = 3  # candidates whose constants `ask` refines, at most
FAR = 1e3  # residual, in standard deviations, of a trajectory that cannot be integrated

UNREADABLE = (ValueError, ArithmeticError, RecursionError, SyntaxError)


# ---------------------------------------------------------------------------------------------
# Integration and score


def predict(system: System, start: ArrayLike, times: ArrayLike) -> NDArray:
    """The system's trajectory from x(times[0]) = start: (n, dimension), in its own units.

    start (dimension,), times (n,) rising. Relative error about 10⁻⁷; NaN from where the solution
    leaves the floating-point numbers, or takes more than n + 1000 steps. Raises ValueError for a
    start that has not one value per equation, times that are not at least two and rising, or a
    system with other words than operators, its own variables, ints and floats.
    """
    return trajectories([system], start, times)[0]


def trajectories(systems: Sequence[System], start: ArrayLike, times: ArrayLike) -> NDArray:
    """`predict` for many systems: (n_systems, n, dimension).

    One start (dimension,) for all, or (n_systems, dimension). Systems that differ by their
    constants alone are integrated together, one column each.
    """
    start, times = np.asarray(start, dtype=float), np.asarray(times, dtype=float)
    check_rising(times, fewest=2)
    for system in systems:
        if start.shape[-1:] != (len(system),):
            raise ValueError(f"start has shape {start.shape}: must be (…, {len(system)})")
        check_variables(system, len(system))
    start = np.broadcast_to(start, (len(systems), start.shape[-1]))  # (n_systems, dimension)
    values = np.full((len(systems), len(times), start.shape[1]), np.nan)
    groups: dict[str, list[int]] = {}
    for i, system in enumerate(systems):
        blank = with_constants(system, np.ones(len(constants_of(system))))
        groups.setdefault(str(blank), []).append(i)
    for members in groups.values():
        constants = np.array([constants_of(systems[i]) for i in members]).T  # (constants, columns)
        field = vector_field(systems[members[0]])
        values[members] = columns(field, constants, start[members].T, times)
    return values


def columns(
    field: Field,
    constants: NDArray,
    start: NDArray,
    times: NDArray,
    tolerance: float = 1e-7,
    extra_steps: int = PREDICTION_STEPS,
) -> NDArray:
    """Trajectories for constants (n_constants, columns): (columns, n, dimension).

    start (dimension,), or (dimension, columns). Integrated on the clock of the scaled convention
    with every coordinate in units of its start, so that the integrator's own scales fit data in any
    units.
    """
    n, n_columns = constants.shape
    start = np.broadcast_to(start.reshape(len(start), -1), (len(start), n_columns))
    units = np.where(start == 0, 1.0, np.abs(start))  # (dimension, columns)
    rate = (T_LAST - T_FIRST) / (times[-1] - times[0])

    def scaled(x: NDArray, numbers: NDArray) -> NDArray:
        constants, unit = numbers[:n], numbers[n:]  # (n_constants, columns), (dimension, columns)
        unit = unit.reshape(len(unit), *[1] * (x.ndim - 2), -1)  # (dimension, …, columns)
        return field(unit * x, constants) / (unit * rate)

    values, _ = integrate(
        *(scaled, start / units, np.concatenate([constants, units])),
        T_FIRST + rate * (times - times[0]),
        bound=np.inf,
        tolerance=tolerance,
        max_steps=len(times) + extra_steps,
    )
    return values.transpose(2, 0, 1) * units.T[:, None]  # (columns, n, dimension)


def r2(truth: ArrayLike, prediction: ArrayLike) -> float:
    """R² = 1 − Σ (x − x̂)² / Σ (x − x̄)², over times and coordinates: (n, dimension) each.

    This is the mean of the coordinates' R² weighted by their variance, scikit-learn's
    "variance_weighted", except that a coordinate without variance counts its error here, where
    scikit-learn leaves it out. NaN if the prediction is not finite or the truth is constant.
    """
    truth, prediction = np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float)
    total = ((truth - truth.mean(axis=0)) ** 2).sum()
    if total == 0 or not np.isfinite(prediction).all():
        return math.nan
    with np.errstate(over="ignore"):
        return float(1 - ((truth - prediction) ** 2).sum() / total)


# ---------------------------------------------------------------------------------------------
# Candidates


@dataclass(frozen=True)
class Candidate:
    """A recognised system in original units, its R² on the data, and the model's log p of it.

    `system` is one prefix list per dimension, `expressions` the same for SymPy. Refined constants
    keep the log-probability of the system they were refined from.
    """

    system: System
    r2: float
    log_probability: float

    @cached_property
    def expressions(self) -> list[sympy.Expr]:
        """The right-hand sides, as SymPy expressions."""
        return [to_sympy(equation) for equation in self.system]

    def integrate(self, start: ArrayLike, times: ArrayLike) -> NDArray:
        """The trajectory (n, dimension) from any start at times[0]; see `predict`."""
        return predict(self.system, start, times)

    def __str__(self) -> str:
        return f"{self.r2:9.5f} {self.log_probability:9.2f}  {to_infix(self.system)}"


@dataclass(frozen=True)
class Answers:
    """Candidates, best first by R², those that cannot be integrated last; possibly none."""

    candidates: list[Candidate]

    def __str__(self) -> str:
        if not self.candidates:
            return "The model recognised no valid system."
        dimension = len(self.candidates[0].system)
        left = " | ".join(f"x_{i}'" for i in range(dimension))
        return "\n".join([f"{'R²':>9} {'log p':>9}  {left}", *map(str, self.candidates)])

    def _repr_latex_(self) -> str | None:
        """The best candidate as a system of equations; None, for plain text, if there is none."""
        if not self.candidates:
            return None
        return rf"$$\begin{{cases}} {to_latex(self.candidates[0].system)} \end{{cases}}$$"

    @property
    def best_r2(self) -> float:
        """The highest R² of the candidates; −∞ where none can be integrated."""
        return max((c.r2 for c in self.candidates if math.isfinite(c.r2)), default=-math.inf)


def rank(
    scored: Sequence[tuple[System, float]], times: NDArray, trajectory: NDArray
) -> list[Candidate]:
    """Candidates from (system, log-probability) pairs, by R² from the first point on, NaN last.

    Equal R² go by log-probability. The official package ranks by Σ √(MSE / variance) over
    coordinates, which is the same order in one dimension.
    """
    found = trajectories([system for system, _ in scored], trajectory[0], times)
    candidates = [
        Candidate(system, r2(trajectory, values), log_probability)
        for (system, log_probability), values in zip(scored, found, strict=True)
    ]
    return sorted(candidates, key=order)


def order(candidate: Candidate) -> tuple[bool, float, float]:
    """Sort key of candidates: by R², equal ones by log-probability, unscored ones last."""
    unscored = math.isnan(candidate.r2)
    return unscored, 0.0 if unscored else -candidate.r2, -candidate.log_probability


def refine(
    candidate: Candidate, times: ArrayLike, trajectory: ArrayLike, max_evaluations: int = 20
) -> Candidate:
    """The candidate with the constants that maximise its R², found by least squares from its own.

    The residuals are those of the integrated trajectory, which starts at the first point. Returns
    the candidate itself where nothing better is found in `max_evaluations` steps.
    """
    times, trajectory = np.asarray(times, dtype=float), np.asarray(trajectory, dtype=float)
    constants = np.array(constants_of(candidate.system))  # (n_constants,)
    if not constants.size or math.isnan(candidate.r2):
        return candidate
    steps = least_squares_steps(candidate.system, times, trajectory, max_evaluations)
    system = with_constants(candidate.system, steps)
    [refined] = rank([(system, candidate.log_probability)], times, trajectory)
    return refined if refined.r2 > candidate.r2 else candidate


def least_squares_steps(
    system: System, times: NDArray, trajectory: NDArray, max_evaluations: int
) -> NDArray:
    """The constants (n_constants,) of the least squares in `refine`.

    Each is varied in proportion to its size; the columns of a Jacobian are integrated together.
    """
    field, constants = vector_field(system), np.array(constants_of(system))
    size = np.where(constants == 0, 1.0, np.abs(constants))  # (n_constants,)
    spread = math.sqrt(((trajectory - trajectory.mean(axis=0)) ** 2).sum())

    def residuals(shifts: NDArray) -> NDArray:
        """shifts (n_constants, columns) → (columns, n · dimension)."""
        moved = constants[:, None] + size[:, None] * shifts
        values = columns(field, moved, trajectory[0], times, REFINING)
        with np.errstate(all="ignore"):
            distance = ((values - trajectory) / spread).reshape(shifts.shape[1], -1)
        return np.clip(np.nan_to_num(distance, nan=FAR), -FAR, FAR)

    def jacobian(shift: NDArray, step: float = 1e-6) -> NDArray:
        """(n · dimension, n_constants)"""
        nearby = shift[:, None] + step * np.eye(len(shift), len(shift) + 1)
        moved = residuals(nearby)  # (n_constants + 1, n · dimension), unmoved last
        return (moved[:-1] - moved[-1]).T / step

    best = least_squares(
        lambda shift: residuals(shift[:, None])[0],
        np.zeros(len(constants)),
        jacobian,
        max_nfev=max_evaluations,
    )
    return constants + size * best.x


# ---------------------------------------------------------------------------------------------
# Recognition


def ask(
    model: ODEFormer,
    times: ArrayLike,
    trajectory: ArrayLike,
    n_samples: int = 10,
    temperature: float = 0.1,
    method: str = "sample",
    refine: bool = False,
    seed: int = 0,
) -> Answers:
    """The ODE systems that the model recognises in a trajectory, ranked by R².

    times (n,) rising, trajectory (n, dimension), in any units. method "sample" draws n_samples
    sequences at this temperature, "beam" searches with a beam of n_samples, "greedy" writes one.
    Sequences that are no system of this dimension are dropped, and so are repetitions. `refine`
    fits the constants of the best three by least squares. The same seed gives the same result.

    As in the official package, time is scaled to [1, 10] and every coordinate by its first value.
    Unlike there, points are not permuted, constants are not rounded, and one sequence that does not
    end does not spoil the others.

    Raises ValueError, in one line, for data with NaN or infinities, times that do not rise, fewer
    than 4 points, more dimensions than the model reads, a trajectory that is constant or spans too
    many orders of magnitude, n_samples below 1, a temperature that is not positive, or an unknown
    method.
    """
    times, trajectory = np.asarray(times, dtype=float), np.asarray(trajectory, dtype=float)
    vocabulary, dimension = model.config.vocabulary, trajectory.shape[-1]
    check_data(times, trajectory, vocabulary.max_dimension)
    check_sampling(n_samples, temperature)
    if method not in METHODS:
        raise ValueError(f"method = {method!r}: must be one of {', '.join(METHODS)}")
    scale = Scale.of(times, trajectory)
    points = torch.from_numpy(vocabulary.encode_points(*scale.apply(times, trajectory)))
    written = write(model, points, n_samples, temperature, method, seed)
    candidates = rank(distinct(vocabulary, written, dimension, scale), times, trajectory)
    return Answers(refined(candidates, times, trajectory) if refine else candidates)


def check_data(times: NDArray, trajectory: NDArray, max_dimension: int) -> None:
    """One line about the first thing that is wrong with the data."""
    if times.ndim != 1 or trajectory.ndim != 2 or len(times) != len(trajectory):
        shapes = f"times {times.shape} and trajectory {trajectory.shape}"
        raise ValueError(f"{shapes}: must be (n,) and (n, dimension)")
    if not 1 <= trajectory.shape[1] <= max_dimension:
        allowed = f"the model reads 1 to {max_dimension}"
        raise ValueError(f"trajectory has {trajectory.shape[1]} dimensions: {allowed}")
    for name, values in (("times", times), ("trajectory", trajectory)):
        if not np.isfinite(values).all():
            first = values[~np.isfinite(values)][0]
            raise ValueError(f"{name} has {first}: every value must be finite")
    check_rising(times, FEWEST_POINTS)
    if (trajectory == trajectory[0]).all():
        raise ValueError(f"trajectory is {trajectory[0]} throughout: must not be constant")


def check_rising(times: NDArray, fewest: int) -> None:
    """Raises ValueError unless there are so many times and each is later than the one before."""
    if len(times) < fewest:
        raise ValueError(f"times has {len(times)} points: must be at least {fewest}")
    falls = np.diff(times) <= 0  # (n - 1,)
    if falls.any():
        i = int(np.argmax(falls))
        raise ValueError(f"times has {times[i + 1]:g} after {times[i]:g}: must rise strictly")


def write(
    model: ODEFormer,
    points: torch.Tensor,
    n_samples: int,
    temperature: float,
    method: str,
    seed: int,
) -> list[Decoded]:
    """What the model writes about one input, points (n, words); unfinished sequences left out."""
    device = model.decoder.proj.bias.device
    inputs = points[None].to(device), torch.tensor([len(points)], device=device)
    if method == "beam":
        [written] = beam(model, *inputs, n_samples, max_tokens=MAX_TOKENS)
    elif method == "greedy":
        [written] = generate(model, *inputs, 1, likeliest, MAX_TOKENS)
    else:
        generator = torch.Generator().manual_seed(seed)
        [written] = sample(model, *inputs, n_samples, temperature, generator, MAX_TOKENS)
    return [decoded for decoded in written if len(decoded.tokens) < MAX_TOKENS]


def distinct(
    vocabulary: Vocabulary, written: Iterable[Decoded], dimension: int, scale: Scale
) -> list[tuple[System, float]]:
    """(system in original units, log-probability) of every readable sequence, each system once."""
    found: dict[str, tuple[System, float]] = {}
    for decoded in sorted(written, key=lambda decoded: -decoded.log_probability):
        with suppress(*UNREADABLE):
            system = system_of(vocabulary, decoded.tokens, dimension, scale)
            found.setdefault(str(system), (system, decoded.log_probability))
    return list(found.values())


def system_of(vocabulary: Vocabulary, tokens: list[int], dimension: int, scale: Scale) -> System:
    """The system that tokens (without <EOS>) spell: read, put back into original units, checked.

    Raises one of UNREADABLE if it is not one of this dimension, or cannot be computed.
    """
    scaled = vocabulary.decode_system([vocabulary.eos, *tokens, vocabulary.eos])
    check_variables(scaled, dimension)
    system = scale.undo(scaled)
    check_numbers(system)
    return system


def check_variables(system: System, dimension: int) -> None:
    """Raises ValueError unless there are so many equations, and no other variables than theirs."""
    others = variables_of(system) - {f"x_{i}" for i in range(dimension)}
    if len(system) != dimension or others:
        raise ValueError(f"system = {system}: must have {dimension} equations and variables")


def check_numbers(system: System) -> None:
    """Raises for constants that are not finite, too large integers, and what cannot be computed."""
    if not np.isfinite(constants_of(system)).all():
        raise ValueError(f"system = {system}: constants must be finite")
    if any(isinstance(word, int) and abs(word) > LARGEST_POWER for e in system for word in e):
        raise ValueError(f"system = {system}: integers must be at most {LARGEST_POWER} in size")
    with np.errstate(all="ignore"):
        vector_field(system)(np.ones(len(system)), np.array(constants_of(system)))


def refined(candidates: list[Candidate], times: NDArray, trajectory: NDArray) -> list[Candidate]:
    """Candidates with the constants of the best few refined, in their new order."""
    best = [refine(candidate, times, trajectory) for candidate in candidates[:REFINED]]
    return sorted([*best, *candidates[REFINED:]], key=order)
