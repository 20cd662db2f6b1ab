"""Many trajectories of one system at once: extrapolated midpoint steps of order eight.

Each trajectory (column) has its own constants, start, clock and step size; all columns share the
NumPy calls. The step is Gragg's: the explicit midpoint rule with 2, 4, 6 and 8 substeps has an
error in even powers of h, so one combination of the four results is of order eight, another of
three of them is of order six, and their difference estimates the error. Source: Hairer, Nørsett,
Wanner, Solving Ordinary Differential Equations I (1993), section II.9.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from attention_in_motion.odeformer.language.expressions import vector_field
from attention_in_motion.odeformer.language.tokens import System
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST
from attention_in_motion.odeformer.systems.trajectories import Group

BOUND = 100.0  # a trajectory that reaches this is rejected
EXTRA_STEPS = 30  # a random system that needs this many more than its points is too stiff or fast
LARGEST_GAP = 1e-6  # between two tolerances, as a share of the largest value

Field = Callable[[NDArray, NDArray], NDArray]

SUBSTEPS = np.array([8, 6, 4, 2])


def extrapolation_weights(substeps: NDArray) -> NDArray:
    """w_j = Π_{i≠j} n_j² / (n_j² − n_i²): the value at h = 0 of a polynomial in h² through T_j."""
    squares = substeps.astype(float) ** 2
    gaps = squares[:, None] - squares + np.diag(squares)  # (rows, rows)
    return (squares[:, None] / gaps).prod(axis=1)  # (rows,)


EIGHTH = extrapolation_weights(SUBSTEPS)
SIXTH = np.append(extrapolation_weights(SUBSTEPS[:-1]), 0.0)
RESULT_AND_ERROR = np.stack([EIGHTH, EIGHTH - SIXTH])  # (2, 4)


def midpoint_step(
    field: Field, x: NDArray, constants: NDArray, h: NDArray
) -> tuple[NDArray, NDArray]:
    """One step from x (dimension, columns) by h (columns,): (result, estimated error).

    The four substep counts are rows of one array, the longest first; a row leaves it on arrival.
    """
    h = h / SUBSTEPS[:, None]  # (4, columns)
    before = x[:, None]  # (dimension, 1, columns)
    now = before + h * field(x, constants)[:, None]  # (dimension, 4, columns)
    arrived: list[NDArray] = []
    for i in range(1, SUBSTEPS[0]):
        if i in SUBSTEPS:
            arrived.insert(0, now[:, -1:])
            before, now, h = before[:, :-1], now[:, :-1], h[:-1]
        before, now = now, before + 2 * h * field(now, constants)  # (dimension, rows, columns)
    table = np.concatenate([now, *arrived], axis=1)  # (dimension, 4, columns)
    combined = RESULT_AND_ERROR @ table  # (dimension, 2, columns)
    return combined[:, 0], combined[:, 1]


def integrate(
    field: Field,
    start: NDArray,
    constants: NDArray,
    times: NDArray,
    *,
    bound: float = 100.0,
    tolerance: float | NDArray = 1e-7,
    max_steps: int = 100,
) -> tuple[NDArray, NDArray]:
    """Solve x' = field(x, constants) from x(times[0]) = start, and say which columns to keep.

    start (dimension, columns), constants (n_constants, columns), times (n_points,) rising,
    tolerance one number or (columns,). Every step keeps its estimated error below
    tolerance·max(|x|, 10⁻³) in each coordinate. Returns values (n_points, dimension,
    columns), float64, and kept (columns,): False for a column that reached |x| ≥ bound, met a NaN
    or a step below 10⁻⁵, or was not done after max_steps steps.
    """
    points, columns = len(times), start.shape[1]
    tolerance = np.broadcast_to(tolerance, columns)
    values = np.full((points, *start.shape), np.nan)  # (n_points, dimension, columns)
    values[0] = start
    alive = np.arange(columns)  # the columns under way; what follows is per column under way
    x, clock, h = start.astype(float), np.full(columns, times[0]), np.full(columns, 0.1)
    reached = np.zeros(columns, dtype=int)  # index of the last time written
    with np.errstate(all="ignore"):
        for _ in range(max_steps):
            remaining = times[reached + 1] - clock
            pieces = np.maximum(np.ceil(remaining / h), 1.0)
            step = remaining / pieces
            after, error = midpoint_step(field, x, constants, step)
            size = np.maximum(np.maximum(np.abs(x), np.abs(after)), 1e-3)  # (dimension, alive)
            ratio = np.abs(error / size).max(axis=0) / tolerance[alive]  # (alive,)
            good = ratio <= 1  # a NaN is not
            growth = np.where(ratio < np.inf, 0.9 * (ratio + 1e-12) ** (-1 / 7), 0.0)
            growth = np.minimum(np.maximum(growth, 0.2), 4.0)
            h = np.where(growth > 1, np.maximum(h, step * growth), step * growth)
            x, clock = np.where(good, after, x), np.where(good, clock + step, clock)
            arrived = good & (pieces == 1)
            reached += arrived
            values[reached[arrived], :, alive[arrived]] = x[:, arrived].T
            going = (np.abs(x) < bound).all(axis=0) & (reached < points - 1) & (h > 1e-5)
            if not going.all():
                alive, clock, h, reached = alive[going], clock[going], h[going], reached[going]
                x, constants = x[:, going], constants[:, going]
            if not alive.size:
                break
        kept = (np.abs(values) < bound).all(axis=(0, 1))  # (columns,); NaN compares false
    return values, kept


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
