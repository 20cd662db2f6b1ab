"""Systems against whole trajectories: constants and starts by least squares on what is integrated.

The last word on an equation that `matching` found: nothing is smoothed here, and a start that was
measured badly does not pin the trajectory, because it is a parameter like the constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from attention_in_motion.odeformer.language.expressions import (
    canonical,
    chain,
    constants_of,
    skeleton,
    vector_field,
    with_constants,
)
from attention_in_motion.odeformer.language.tokens import Equation, System
from attention_in_motion.odeformer.matching import FAR, cost_of, spreads, terms_of, words_of
from attention_in_motion.odeformer.measurements import Track
from attention_in_motion.odeformer.recognise import UNREADABLE
from attention_in_motion.odeformer.systems.simulate import integrate

EXTRA_STEPS = 150  # an integration that needs this many more than its points is given up
TOLERANCE = 1e-9
EXACT = 1e-10  # a mean squared error, in variances, below which all systems are equally good
STEP = 1e-5  # of the differences that are derivatives by constants and starts
FIRST, EVALUATIONS = 4, 12  # trials of the constants, of all systems and of the final ones
FINAL = 4  # systems that are fitted to the end
MOST_STEPS = 80_000  # of integration, for all systems of a fit: half a minute of one core at most
MINOR, RESIDUE = 0.05, 1e-5  # shares of a derivative below which terms are tried to be dropped


@dataclass
class Budget:
    """Steps of integration that are left; a trial takes the most that it may need."""

    left: int = MOST_STEPS

    def trials(self, tracks: Sequence[Track]) -> int:
        """How many trials, each with the derivatives after it, are paid for."""
        return max(self.left, 0) // (2 * steps_of(tracks))

    def take(self, tracks: Sequence[Track]) -> None:
        """Pay for one integration of every track."""
        self.left -= steps_of(tracks)


def steps_of(tracks: Sequence[Track]) -> int:
    """The most steps that one integration of every track takes."""
    return sum(len(track.times) + EXTRA_STEPS for track in tracks)


@dataclass(frozen=True)
class Shot:
    """A system with its constants, the starts (tracks, dimension) it goes through, and its error.

    error is the mean squared distance of each coordinate, in its variances: (dimension,).
    """

    system: System
    starts: NDArray
    error: NDArray
    n_points: int

    @property
    def cost(self) -> float:
        """The sum of the costs of its equations; see `matching.cost_of`."""
        pairs = zip(self.error.tolist(), self.system, strict=True)
        return sum(cost_of(e, self.n_points, words_of(equation), EXACT) for e, equation in pairs)


def curves(
    system: System,
    constants: NDArray,
    starts: NDArray,
    times: NDArray,
    tolerance: float = 1e-7,
    extra_steps: int = EXTRA_STEPS,
) -> NDArray:
    """Trajectories (columns, n, dimension) of constants (n_constants, columns), starts likewise.

    In scaled variables, so that no coordinate is much larger than 1; NaN where one ends.
    """
    values, _ = integrate(
        *(vector_field(system), starts, constants, times),
        bound=FAR**2,
        tolerance=tolerance,
        max_steps=len(times) + extra_steps,
    )
    return values.transpose(2, 0, 1)


def residuals(
    system: System, constants: NDArray, starts: NDArray, tracks: Sequence[Track], spread: NDArray
) -> NDArray:
    """(columns, points of all tracks, dimension): distances in standard deviations.

    constants (n_constants, columns), starts (tracks, dimension, columns).
    """
    parts = []
    for track, start in zip(tracks, starts, strict=True):
        found = curves(system, constants, start, track.times, TOLERANCE)
        with np.errstate(all="ignore"):
            parts.append((found - track.values) / spread)
    every = np.concatenate(parts, axis=1)
    return np.clip(np.nan_to_num(every, nan=FAR), -FAR, FAR)


def shoot(
    system: System,
    tracks: Sequence[Track],
    evaluations: int = EVALUATIONS,
    starts: NDArray | None = None,
    budget: Budget | None = None,
) -> Shot:
    """The system with constants and starts of least squares, from its own and the first points on.

    With `evaluations` = 0, or nothing left in the budget, as it stands. Times and values are
    scaled: about 1 in size.
    """
    budget = Budget() if budget is None else budget
    evaluations, spread = min(evaluations, budget.trials(tracks)), spreads(tracks)
    first = np.array([track.values[0] for track in tracks]) if starts is None else starts
    constants = np.array(constants_of(system))
    size = np.concatenate([np.where(constants == 0, 1.0, np.abs(constants)), np.ones(first.size)])
    given = np.concatenate([constants, first.ravel()])  # (parameters,)

    def distances(shifts: NDArray) -> NDArray:
        """shifts (parameters, columns) → (columns, points, dimension)."""
        moved = given[:, None] + size[:, None] * shifts
        begun = moved[len(constants) :].reshape(*first.shape, -1)
        budget.take(tracks)
        return residuals(system, moved[: len(constants)], begun, tracks, spread)

    def jacobian(shift: NDArray) -> NDArray:
        nearby = shift[:, None] + STEP * np.eye(len(shift), len(shift) + 1)
        moved = distances(nearby).reshape(len(shift) + 1, -1)
        return (moved[:-1] - moved[-1]).T / STEP

    shift = np.zeros(len(given))
    if evaluations:
        options = {"max_nfev": evaluations, "ftol": 1e-6, "xtol": 1e-6, "gtol": 1e-10}
        one = lambda shift: distances(shift[:, None]).ravel()  # noqa: E731
        shift = least_squares(one, shift, jacobian, **options).x
    settled = given + size * shift
    [last] = distances(shift[:, None])
    return Shot(
        with_constants(system, settled[: len(constants)]),
        settled[len(constants) :].reshape(first.shape),
        np.square(last).mean(axis=0),
        len(last),
    )


# ---------------------------------------------------------------------------------------------
# Many systems


def shoot_all(
    tracks: Sequence[Track], systems: Sequence[System], fast: bool, budget: Budget | None = None
) -> list[Shot]:
    """The systems fitted to the trajectory, cheapest first: all a little, the best to the end.

    As far as the budget goes: what it does not pay for stays as it stands.
    """
    budget = Budget() if budget is None else budget
    shots = distinct(
        cleared(shoot(system, tracks, FIRST, budget=budget), tracks) for system in systems
    )
    if fast:
        return shots
    final = [
        shoot(shot.system, tracks, starts=shot.starts, budget=budget) for shot in shots[:FINAL]
    ]
    final = [lightened(cleared(shot, tracks), tracks, budget) for shot in final]
    return distinct([*final, *shots[FINAL:]])


def distinct(shots: Iterable[Shot]) -> list[Shot]:
    """Cheapest first, each skeleton once."""
    found: dict[str, Shot] = {}
    for shot in sorted(shots, key=lambda shot: shot.cost):
        found.setdefault(skeleton(shot.system), shot)
    return list(found.values())


def cleared(shot: Shot, tracks: Sequence[Track]) -> Shot:
    """The shot without the residue of least squares, unless that matters.

    Residue are terms next to nothing on the data, and constants next to zero, as in sin(x + 10⁻¹²).
    """
    constants = [c if abs(c) > RESIDUE else 0.0 for c in constants_of(shot.system)]
    for lighter in (with_constants(shot.system, constants), shot.system):
        with suppress(*UNREADABLE):
            parts = [shares(canonical(equation), tracks) for equation in lighter]
            kept = [[term for term, share in some if share > RESIDUE] or [[0]] for some in parts]
            system = [canonical(chain("add", terms)) for terms in kept]
            again = shoot(system, tracks, 0, shot.starts)
            if again.cost <= shot.cost:
                return again
    return shot


def lightened(shot: Shot, tracks: Sequence[Track], budget: Budget) -> Shot:
    """The shot without its minor terms, one by one while that costs less and can be paid."""
    for lighter in without_minor_terms(shot.system, tracks):
        if not budget.trials(tracks):
            break
        again = shoot(lighter, tracks, starts=shot.starts, budget=budget)
        if again.cost < shot.cost:
            return lightened(again, tracks, budget)
    return shot


def without_minor_terms(system: System, tracks: Sequence[Track]) -> list[System]:
    """The system without one of its terms that add less than 5 % to a derivative, least first."""
    minor: list[tuple[float, int, Equation]] = []
    for i, equation in enumerate(system):
        parts = shares(equation, tracks)
        for k, (_, share) in enumerate(parts):
            rest = [term for term, _ in parts[:k] + parts[k + 1 :]]
            if share < MINOR and rest:
                minor.append((share, i, canonical(chain("add", rest))))
    minor.sort(key=lambda one: one[0])
    return [[*system[:i], lighter, *system[i + 1 :]] for _, i, lighter in minor]


def shares(equation: Equation, tracks: Sequence[Track]) -> list[tuple[Equation, float]]:
    """The terms of an equation, each with its mean size on the data over that of the largest."""
    states = np.concatenate([track.values for track in tracks]).T  # (dimension, points)
    terms = terms_of(equation)
    with np.errstate(all="ignore"):
        values = [vector_field([term])(states, np.array(constants_of([term]))) for term in terms]
    sizes = [float(np.abs(value).mean()) for value in values]
    return [(term, size / (max(sizes) or 1.0)) for term, size in zip(terms, sizes, strict=True)]
