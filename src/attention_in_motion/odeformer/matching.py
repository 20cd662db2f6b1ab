"""Equations against measured slopes: constants without integrating, and terms that pay.

Where x solves x_i' = f_i(x; c), x_i(t) − ∫ f_i(x(s); c) ds is constant. With the x inside the
integral read from a smoothing spline of the data, c follows from least squares on the deviations
from that, one equation at a time and without a start to begin from: cheap enough for every answer
of the model, and for each of them with a term more or less. The x before the integral is measured,
not smoothed: else noise that the spline leaves out would count as a fit, and pay for terms. Source:
Dattner and Klaassen, "Optimal rate of direct estimators in systems of ordinary differential
equations linear in functions of the parameters" (2015); the splines are SciPy's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from scipy.interpolate import CubicSpline, make_smoothing_spline
from scipy.optimize import least_squares

from attention_in_motion.odeformer.language.expressions import (
    canonical,
    chain,
    constants_of,
    monic,
    skeleton,
    vector_field,
    with_constants,
)
from attention_in_motion.odeformer.language.tokens import ARITY, Equation, System
from attention_in_motion.odeformer.measurements import Track
from attention_in_motion.odeformer.recognise import UNREADABLE, check_numbers
from attention_in_motion.odeformer.systems.simulate import Field

STIFFNESS = 10.0 ** np.arange(-6, 8.5, 0.5)  # of splines, for points that are 1 apart
ROBUST = 0.3  # the less, the smoother: 1 is plain cross-validation
FINE = 8  # places per interval between two points at which an equation is evaluated
LARGEST_DEGREE = 3  # of the terms that are tried
SMOOTH = 1e-8  # a mean squared error, in variances, that smoothing alone may make
FAR = 1e3  # a residual, in standard deviations, that is not told from larger ones
EVALUATIONS = 30  # of an equation while its constants are sought
KEPT = 4  # equations whose neighbours are tried in a round
ROUNDS = 4
COMBINED = 5  # equations per coordinate that are combined into systems
SYSTEMS = 8  # that come out


@dataclass(frozen=True)
class Slopes:
    """Smoothed trajectories, ready to be compared with equations."""

    states: NDArray  # (dimension, places) of all tracks, one after the other
    times: NDArray  # (places,)
    values: NDArray  # (dimension, n_points)
    points: tuple[NDArray, ...]  # of each track, the places of its points
    spread: NDArray  # (dimension,)

    @property
    def n_points(self) -> int:
        """Of all tracks together."""
        return self.values.shape[1]

    def deviations(self, field: Field, i: int, constants: NDArray) -> NDArray:
        """x_i − ∫ f_i less its mean over each track, in units of x_i's spread: (columns, n_points).

        field is the one equation f_i alone, compiled; constants (n_constants, columns).
        """
        n_columns = constants.shape[1]
        states = np.repeat(self.states[:, None], n_columns, axis=1)  # (dimension, columns, places)
        with np.errstate(all="ignore"):
            [slopes] = field(states, constants[:, :, None])
            parts, first = [], 0
            for points in self.points:
                inside = slice(points[0], points[-1] + 1)
                rise = cumulative_trapezoid(slopes[:, inside], self.times[inside], initial=0)
                gap = self.values[i, first : first + len(points)] - rise[:, points - points[0]]
                parts.append(gap - gap.mean(axis=1, keepdims=True))
                first += len(points)
            found = np.concatenate(parts, axis=1) / self.spread[i]
        return np.clip(np.nan_to_num(found, nan=FAR, posinf=FAR, neginf=-FAR), -FAR, FAR)


def slopes_of(tracks: Sequence[Track]) -> Slopes:
    """Every track smoothed, and read at `FINE` places per interval."""
    times, states, values, points, first = [], [], [], [], 0
    for track in tracks:
        n = len(track.times)
        places = np.arange((n - 1) * FINE + 1) / FINE
        fine = np.interp(places, np.arange(n), track.times)
        smooth = [spline(track.times, x) for x in track.values.T]
        times.append(fine)
        states.append(np.array([one(fine) for one in smooth]))
        values.append(track.values.T)
        points.append(first + FINE * np.arange(n))
        first += len(fine)
    every = np.concatenate(values, axis=1)  # (dimension, n_points)
    return Slopes(
        np.concatenate(states, axis=1), np.concatenate(times), every, tuple(points), spreads(tracks)
    )


def spline(times: NDArray, x: NDArray) -> CubicSpline:
    """A spline through smoothed values; through x where points are too few, or nothing moves.

    How stiff is decided by robust generalised cross-validation on a grid: the least
    n Σ gap² / (n − tr S)² · (0.3 + 0.7 tr S²/n), with S the matrix that takes x to its spline. It
    has several minima, and SciPy's own search makes straight lines of many fast oscillations.
    Source: Lukas, "Robust generalized cross-validation for choosing the regularization parameter"
    (2006).
    """
    if len(times) < 6 or np.ptp(x) == 0:
        return CubicSpline(times, x)
    n, unit = len(times), np.diff(times).mean() ** 3  # so that no unit of time matters
    columns = np.column_stack([x, np.eye(n)])

    def score(stiffness: float) -> float:
        found = make_smoothing_spline(times, columns, lam=stiffness)(times)
        gap, matrix = found[:, 0] - x, found[:, 1:]
        freedom = ROBUST + (1 - ROBUST) * np.square(matrix).sum() / n
        return float(np.square(gap).sum() / (n - np.trace(matrix)) ** 2 * freedom)

    smooth = make_smoothing_spline(times, x, lam=min(unit * STIFFNESS, key=score))
    return CubicSpline(times, smooth(times))  # its ends may bend, which a smoothing spline's do not


def spreads(tracks: Sequence[Track]) -> NDArray:
    """The standard deviation of each coordinate over all tracks, 1 where nothing moves."""
    every = np.concatenate([track.values for track in tracks])
    deviation = every.std(axis=0)
    return np.where(deviation == 0, 1.0, deviation)


# ---------------------------------------------------------------------------------------------
# One equation


@dataclass(frozen=True)
class Matched:
    """An equation with the constants that match the slopes, and what it costs.

    cost = n log(error + 10⁻⁸) + words log(n) / 2, with the mean squared deviation in variances:
    as in the Bayesian information criterion, but that every word counts half a constant; see
    `words_of`.
    """

    equation: Equation
    error: float
    cost: float


def cost_of(error: float, n_points: int, words: int, exact: float = SMOOTH) -> float:
    """The cost of an equation; see `Matched`. Errors below `exact` are equally good."""
    return n_points * math.log(error + exact) + words * math.log(max(n_points, 3)) / 2


def words_of(equation: Equation) -> int:
    """The words of an equation, where a constant beside other terms counts like c·x.

    By its one word it would be the cheapest of terms, and noise pays for the cheapest first.
    """
    terms = terms_of(equation)
    constants = sum(len(term) == 1 and isinstance(term[0], float) for term in terms)
    return len(equation) + 2 * constants * (len(terms) > 1)


def match(slopes: Slopes, i: int, equation: Equation) -> Matched | None:
    """The equation for x_i' with its constants matched; None where it cannot be computed."""
    with suppress(*UNREADABLE):
        equation = monic(equation)
        constants = np.array(constants_of([equation]))
        if constants.size and constants.size < slopes.n_points:
            constants = matched_constants(slopes, i, equation, constants)
        [settled] = with_constants([equation], constants)
        settled = canonical(settled)
        check_numbers([*[[0]] * i, settled, *[[0]] * (len(slopes.states) - i - 1)])
        last = np.array(constants_of([settled]))[:, None]
        error = np.square(slopes.deviations(vector_field([settled]), i, last))
        mean = float(error.mean())
        return Matched(settled, mean, cost_of(mean, slopes.n_points, words_of(settled)))
    return None


def matched_constants(slopes: Slopes, i: int, equation: Equation, constants: NDArray) -> NDArray:
    """The constants (n_constants,) of least squares from these on."""
    field, size = vector_field([equation]), np.where(constants == 0, 1.0, np.abs(constants))

    def residuals(shifts: NDArray) -> NDArray:
        return slopes.deviations(field, i, constants[:, None] + size[:, None] * shifts)

    def jacobian(shift: NDArray, step: float = 1e-6) -> NDArray:
        nearby = shift[:, None] + step * np.eye(len(shift), len(shift) + 1)
        moved = residuals(nearby)  # (n_constants + 1, n_points), unmoved last
        return (moved[:-1] - moved[-1]).T / step

    found = least_squares(
        lambda shift: residuals(shift[:, None])[0],
        np.zeros(len(constants)),
        jacobian,
        method="lm",
        max_nfev=EVALUATIONS,
    )
    return constants + size * found.x


# ---------------------------------------------------------------------------------------------
# A term more, a term less


def terms_of(equation: Equation) -> list[Equation]:
    """The terms of a sum in canonical form, which is nested to the right."""
    terms, rest = [], equation
    while rest[0] == "add":
        end = 1 + length_of_first(rest[1:])
        terms.append(rest[1:end])
        rest = rest[end:]
    return [*terms, rest]


def length_of_first(words: Equation) -> int:
    """How many words the first complete prefix tree has."""
    missing = 1
    for n, word in enumerate(words, start=1):
        missing += (ARITY.get(word, 0) if isinstance(word, str) else 0) - 1
        if not missing:
            return n
    raise ValueError(f"equation = {words}: must begin with a complete prefix tree")


def monomials(dimension: int) -> list[Equation]:
    """0.1 times every product of at most three variables, the empty one included."""
    names = [f"x_{j}" for j in range(dimension)]
    products = (
        combinations_with_replacement(names, degree) for degree in range(LARGEST_DEGREE + 1)
    )
    return [chain("mul", [[0.1], *([v] for v in chosen)]) for some in products for chosen in some]


def linear(dimension: int) -> Equation:
    """a + Σ b_j x_j: where every search begins, whatever was proposed."""
    return chain("add", [[0.1], *(["mul", 0.1, f"x_{j}"] for j in range(dimension))])


def neighbours(equation: Equation, dimension: int) -> Iterator[Equation]:
    """The equation without one of its terms, and with one more monomial that it has not."""
    terms = terms_of(equation)
    for k in range(len(terms)):
        rest = terms[:k] + terms[k + 1 :]
        yield chain("add", rest) if rest else [0]
    own = skeleton([equation])
    for term in monomials(dimension):
        wider = canonical(chain("add", [*terms, term]))
        if skeleton([wider]) != own:
            yield wider


def search(
    slopes: Slopes, i: int, equations: Iterable[Equation], rounds: int = ROUNDS
) -> list[Matched]:
    """Equations for x_i', cheapest first: the given ones, and what terms more or less make of them.

    Each skeleton once. In each round the neighbours of the four cheapest are tried.
    """
    found: dict[str, Matched] = {}
    tried: set[str] = set()

    def add(equation: Equation) -> None:
        one = match(slopes, i, equation)
        if one is not None:
            name = skeleton([one.equation])
            found[name] = min(found.get(name, one), one, key=lambda m: m.cost)

    for equation in (*equations, linear(len(slopes.states))):
        add(equation)
    for _ in range(rounds):
        best = sorted(found.values(), key=lambda m: m.cost)[:KEPT]
        fresh = [m for m in best if skeleton([m.equation]) not in tried]
        for one in fresh:
            tried.add(skeleton([one.equation]))
            for equation in neighbours(one.equation, len(slopes.states)):
                name = skeleton([equation])
                if name not in tried and name not in found:
                    add(equation)
    return sorted(found.values(), key=lambda m: m.cost)


# ---------------------------------------------------------------------------------------------
# Whole systems


def match_all(tracks: Sequence[Track], proposed: Sequence[System], fast: bool) -> list[System]:
    """The systems to fit to the trajectory, cheapest first by their match with the slopes.

    The cheapest equations of every coordinate are combined, whichever system they come from.
    """
    slopes, pools = slopes_of(tracks), []
    for i in range(tracks[0].values.shape[1]):
        still = all(np.ptp(track.values[:, i]) == 0 for track in tracks)
        given = {str(e): e for e in ([0] if still else system[i] for system in proposed)}
        found = search(
            slopes, i, [[0]] if still else given.values(), rounds=0 if still or fast else 4
        )
        pools.append(front(found)[:COMBINED])
    combined = sorted(product(*pools), key=lambda pair: sum(one.cost for one in pair))
    return [[one.equation for one in some] for some in combined[:SYSTEMS]]


def front(found: Sequence[Matched]) -> list[Matched]:
    """Those that no shorter one matches better, cheapest first."""
    kept: list[Matched] = []
    for one in sorted(found, key=lambda m: (len(m.equation), m.cost)):
        if all(one.error < other.error for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda m: m.cost)
