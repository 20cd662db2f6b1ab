"""What a user measured, as `fit` takes it: arrays, lists, Series, DataFrames, several trajectories.

Everything that is wrong with it is said here, in one line, before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_in_motion.odeformer.recognise import FEWEST_POINTS, check_rising

KEPT_POINTS = 600  # of all trajectories together; more are thinned, with a word
MOST_POINTS = 200  # of these, to which constants are fitted
SEARCHED_POINTS = 100  # of these, in which forms are searched for
FEWEST_LEFT = 25  # points of each trajectory, however many there are
ALONE = 1000  # times both its neighbours: so large a value may be a mistake
LARGEST, SMALLEST = 1e100, 1e-100  # size of a coordinate, so that its cube is still a number


class Track(NamedTuple):
    """One measured trajectory: times (n,) rising, values (n, dimension)."""

    times: NDArray
    values: NDArray

    def part(self, chosen: slice | NDArray) -> Track:
        """The chosen points alone."""
        return Track(self.times[chosen], self.values[chosen])

    def thinned(self, most: int) -> Track:
        """At most so many points, evenly over the whole, first and last included."""
        n = len(self.times)
        return self if n <= most else self.part(np.linspace(0, n - 1, most).round().astype(int))


@dataclass(frozen=True)
class Measurements:
    """Trajectories of one system, the names of its coordinates, and what was done to them."""

    tracks: tuple[Track, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> NDArray:
        """The largest |x_i| of each coordinate, 1 for one that is zero throughout: (dimension,)."""
        largest = np.max([np.abs(track.values).max(axis=0) for track in self.tracks], axis=0)
        return np.where(largest == 0, 1.0, largest)

    @property
    def span(self) -> float:
        """The longest time from first to last point."""
        return max(float(track.times[-1] - track.times[0]) for track in self.tracks)


def read_measurements(times: Any, trajectory: Any, max_dimension: int) -> Measurements:
    """The measurements in what a user gives.

    times (n,) with trajectory (n,) or (n, dimension); or a list of trajectories, with a list of
    their times, or with (n,) for all of them. Any of them as lists, arrays, tensors, or as pandas'
    Series and DataFrames, whose column names are kept. More than 600 points are thinned evenly, and
    a note says so. Raises ValueError, in one line, for whatever else.
    """
    pairs = pairs_of(times, trajectory)
    tracks = [track_of(*pair) for pair in pairs]
    check_alike(tracks, max_dimension)
    used = thinned(tracks, KEPT_POINTS)
    given, kept = (max(len(t.times) for t in some) for some in (tracks, used))
    many = [f"{given} points are many: {kept} of them, evenly spaced, were used."]
    names = names_of(pairs[0][1], tracks[0].values.shape[1])
    notes = (*(many if given > kept else ()), *alone(used, names))
    found = Measurements(tuple(used), names, notes)
    check_sizes(found.sizes)
    return found


def alone(tracks: Sequence[Track], names: Sequence[str]) -> Iterator[str]:
    """A word on every value that is more than 1000 times both its neighbours."""
    for track in tracks:
        size = np.abs(track.values)
        near = np.maximum(size[:-2], size[2:])
        for k, i in np.argwhere((near > 0) & (size[1:-1] / ALONE > near)):
            at, x = track.times[k + 1], track.values[k + 1, i]
            far = f"more than {ALONE} times what it is before and after"
            yield f"{names[i]} is {x:g} at {at:g}, {far}: if by mistake, leave it out."


def thinned(tracks: Sequence[Track], most: int) -> list[Track]:
    """About so many points at most, in equal parts, but no fewer than 25 of each track."""
    return [track.thinned(max(most // len(tracks), FEWEST_LEFT)) for track in tracks]


def pairs_of(times: Any, trajectory: Any) -> list[tuple[Any, Any]]:
    """[(times, trajectory)], one pair for each trajectory."""
    listed = isinstance(times, (list, tuple)) and len(times) > 0 and depth(times[0]) > 0
    if not listed and not is_several(trajectory):
        return [(times, trajectory)]
    if not isinstance(trajectory, (list, tuple, np.ndarray)):
        raise ValueError("times is a list of times: trajectory must be a list of as many")
    given = list(times) if listed else [times] * len(trajectory)
    if len(given) != len(trajectory) or not given:
        raise ValueError(f"{len(given)} lists of times, {len(trajectory)} trajectories: must agree")
    return list(zip(given, trajectory, strict=True))


def is_several(trajectory: Any) -> bool:
    """Whether this is a list of trajectories, and not one written as a list of its points."""
    if isinstance(trajectory, (list, tuple)):
        return len(trajectory) > 0 and all(depth(one) == 2 for one in trajectory)
    return depth(trajectory) == 3


def depth(values: Any) -> int:
    """The number of axes: 0 for a number, 1 for a series, 2 for a table."""
    if hasattr(values, "ndim"):
        return int(values.ndim)
    listed = isinstance(values, (list, tuple))
    return 1 + max((depth(value) for value in values[:1]), default=0) if listed else 0


def track_of(times: Any, trajectory: Any) -> Track:
    """One trajectory, checked."""
    t, x = numbers("times", times), numbers("trajectory", trajectory)
    x = x[:, None] if x.ndim == 1 else x
    if t.ndim != 1 or x.ndim != 2 or len(t) != len(x):
        turned = x.ndim == 2 and t.ndim == 1 and x.shape[1] == len(t)
        hint = "; transposed? give trajectory.T" if turned else ""
        shapes = f"times {t.shape} and trajectory {np.shape(trajectory)}"
        raise ValueError(f"{shapes}: must be (n,) and (n,) or (n, dimension){hint}")
    for name, values in (("times", t), ("trajectory", x)):
        if not np.isfinite(values).all():
            first = values[~np.isfinite(values)][0]
            raise ValueError(f"{name} has {first}: every value must be finite")
    check_rising(t, FEWEST_POINTS)
    return Track(t, x)


def numbers(name: str, given: Any) -> NDArray:
    """The given as an array of floats. Raises ValueError for dates, complex numbers and words."""
    given = given.detach().cpu() if hasattr(given, "detach") else given
    try:
        values = np.asarray(given)
    except ValueError:
        values = np.asarray("no table")
    if values.dtype.kind in "mM":
        how = f"({name} - {name}[0]) / np.timedelta64(1, 'D'), for days"
        raise ValueError(f"{name} has dates: must be numbers in a unit of your choice; give {how}")
    if values.dtype.kind == "c":
        raise ValueError(f"{name} has complex numbers: must be real")
    try:
        return values.astype(float)
    except (TypeError, ValueError):
        shown = f"{' '.join(repr(given).split()):.40}"
        raise ValueError(f"{name} = {shown}: must be numbers, as many in each row") from None


def check_alike(tracks: Sequence[Track], max_dimension: int) -> None:
    """Raises ValueError unless all have as many coordinates, readable, and something moves."""
    dimensions = sorted({track.values.shape[1] for track in tracks})
    if len(dimensions) > 1:
        raise ValueError(f"trajectories have {dimensions} dimensions: must have the same")
    if not 1 <= dimensions[0] <= max_dimension:
        allowed = f"the model reads 1 to {max_dimension}"
        raise ValueError(f"trajectory has {dimensions[0]} dimensions: {allowed}")
    if all((track.values == track.values[0]).all() for track in tracks):
        still = tracks[0].values[0]
        raise ValueError(f"trajectory is {still} throughout: must not be constant")


def check_sizes(sizes: NDArray) -> None:
    """Raises ValueError for a coordinate whose cube is too large or too small for a float."""
    wrong = sizes[(sizes > LARGEST) | (sizes < SMALLEST)]
    if wrong.size:
        allowed = f"the largest of a coordinate must be from {SMALLEST:g} to {LARGEST:g}"
        raise ValueError(f"trajectory has values up to {wrong[0]:g}: {allowed}; change its unit")


def names_of(trajectory: Any, dimension: int) -> tuple[str, ...]:
    """The names of a DataFrame's columns or of a Series, else x_0, x_1, …"""
    given = getattr(trajectory, "columns", [getattr(trajectory, "name", None)])
    named = len(given) == dimension and all(isinstance(name, str) for name in given)
    return tuple(map(str, given)) if named else tuple(f"x_{i}" for i in range(dimension))


def whole(name: str, value: Any, least: int) -> int:
    """The value as an int: 10, 10.0 and NumPy's 10 are the same. Raises ValueError otherwise."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if isinstance(value, bool) or not number.is_integer() or number < least:
        raise ValueError(f"{name} = {value!r}: must be a whole number, at least {least}")
    return int(value)
