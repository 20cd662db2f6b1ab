"""An equation for your data:

    from attention_in_motion.fit import fit

    found = fit(times, trajectory)
    print(found)
    found.predict(later, start)

The model proposes, the data decide: what ODEFormer writes about the trajectory is drawn at several
temperatures and from several of its points on; every distinct equation gets the constants that
match the slopes of the data, and is tried with a term more or less (`odeformer.matching`); the
cheapest systems are then fitted to the trajectory itself, start included (`odeformer.shooting`),
and ranked by error and length. The pages of the book, which are about what the model writes, do not
come here: they use `odeformer.recognise`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from attention_in_motion.odeformer import weights
from attention_in_motion.odeformer.language.expressions import (
    constants_of,
    rounded,
    to_infix,
    to_latex,
    to_sympy,
)
from attention_in_motion.odeformer.language.tokens import System
from attention_in_motion.odeformer.matching import match_all
from attention_in_motion.odeformer.measurements import (
    MOST_POINTS,
    SEARCHED_POINTS,
    Measurements,
    Track,
    read_measurements,
    thinned,
    whole,
)
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.proposals import likeliest_of, propose
from attention_in_motion.odeformer.recognise import UNREADABLE, check_rising, r2
from attention_in_motion.odeformer.shooting import Shot, curves, shoot, shoot_all
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST, Scale, change_units

if TYPE_CHECKING:
    from attention_in_motion.figures.fit import Figure

RECIPE = 3  # raised when the same data may get another answer; measured tables are kept under it
TEMPERATURES = (0.1, 0.5, 1.0)
HELD_OUT = 3  # laws that are checked on what they were not fitted to
AGAIN = 6  # trials of their constants, which begin at those of all points
POOR, DOUBTFUL = 0.9, 0.999  # R² below which a note says so
LONGEST = 20_000  # steps of a prediction, besides one for each of its times
DECIMALS = 12  # of scaled values: the same curve is the same in any unit


# ---------------------------------------------------------------------------------------------
# What is found


@dataclass(frozen=True, repr=False)
class Law:
    """A system x_i' = f_i(x) in the units of the data, and what speaks for it.

    r2 is that of its trajectory, from `starts` on, on the points it was fitted to. held_out is the
    share of the variance that it explains where it was not fitted: its constants are fitted again
    without the last fifth of the points, or without the last of several trajectories, and predict
    them; NaN where that was not tried. cost counts error and length: the lower the better.
    """

    system: System
    r2: float
    held_out: float
    cost: float
    starts: list[list[float]]  # (trajectories, dimension), as fitted
    sizes: list[float]  # the largest |x_i| of the data

    def predict(self, times: ArrayLike, start: ArrayLike) -> NDArray:
        """The trajectory (n, dimension) from x(times[0]) = start; NaN from where it ends.

        times (n,) rising, at least two. Raises ValueError for other times, or a start that has not
        one value per equation.
        """
        times, start = np.asarray(times, dtype=float), np.asarray(start, dtype=float)
        check_rising(times, fewest=2)
        if start.shape != (len(self.system),):
            raise ValueError(f"start has shape {start.shape}: must be ({len(self.system)},)")
        units = np.maximum(self.sizes, np.abs(start))
        rate = (T_LAST - T_FIRST) / (times[-1] - times[0])
        system = change_units(self.system, units, rate)
        clock = T_FIRST + rate * (times - times[0])
        constants = np.array(constants_of(system))[:, None]
        scaled = (start / units)[:, None]
        return curves(system, constants, scaled, clock, extra_steps=LONGEST)[0] * units

    def sympy(self, digits: int | None = 4) -> list[sympy.Expr]:
        """The right-hand sides as SymPy expressions of x_0, x_1, …, with so many digits, or all."""
        system = self.system if digits is None else rounded(self.system, digits)
        return [to_sympy(equation, real=None) for equation in system]

    def latex(self, digits: int = 4) -> str:
        """The system in LaTeX, one line per coordinate."""
        return to_latex(rounded(self.system, digits), digits)

    def __str__(self) -> str:
        return to_infix(rounded(self.system, 4))

    def __repr__(self) -> str:
        return f"<Law: {self}, R² {self.r2:.5f}>"


@dataclass(frozen=True, repr=False, eq=False)
class Fit:
    """Laws, best first, for some measurements; `found[0]` is `found.best`."""

    laws: tuple[Law, ...]
    data: Measurements
    seed: int
    notes: tuple[str, ...]

    @property
    def best(self) -> Law:
        """The law with the lowest cost. Raises LookupError where none was found."""
        if not self.laws:
            raise LookupError("no law was found; print the fit for the reason")
        return self.laws[0]

    def __getitem__(self, place: int) -> Law:
        return self.laws[place]

    def __len__(self) -> int:
        return len(self.laws)

    def __iter__(self) -> Iterator[Law]:
        return iter(self.laws)

    def predict(self, times: ArrayLike, start: ArrayLike | None = None) -> NDArray:
        """`Law.predict` of the best; without a start, from its own at the first measured time.

        times are then those of the data, none before its first.
        """
        if start is not None:
            return self.best.predict(times, start)
        times, first = np.asarray(times, dtype=float), self.data.tracks[0].times[0]
        check_rising(times, fewest=1)
        if times[0] < first:
            raise ValueError(
                f"times begins at {times[0]:g}: must be at least {first:g}, or a start"
            )
        before = times if times[0] == first else np.array([first, *times])
        before = before if len(before) > 1 else np.array([first, first + self.data.span])
        found = self.best.predict(before, self.best.starts[0])
        return (
            found[len(before) - len(times) :] if len(before) > len(times) else found[: len(times)]
        )

    def score(self, times: Any, trajectory: Any) -> float:
        """R² of the best law on other measurements, from their first points on.

        Input as for `fit`; of several trajectories the mean.
        """
        given = read_measurements(times, trajectory, len(self.best.system))
        if given.tracks[0].values.shape[1] != len(self.best.system):
            dimension = given.tracks[0].values.shape[1]
            wanted = f"the law has {len(self.best.system)}"
            raise ValueError(f"trajectory has {dimension} dimensions: {wanted}")
        found = [r2(t.values, self.best.predict(t.times, t.values[0])) for t in given.tracks]
        return float(np.mean(found))

    def sympy(self, digits: int | None = 4) -> list[sympy.Expr]:
        """`Law.sympy` of the best."""
        return self.best.sympy(digits)

    def latex(self, digits: int = 4) -> str:
        """`Law.latex` of the best."""
        return self.best.latex(digits)

    def plot(self) -> Figure:
        """The measured points and the best law's trajectory through them."""
        from attention_in_motion.figures.fit import fitted

        lines = []
        for track, start in zip(self.data.tracks, self.best.starts, strict=True):
            fine = np.linspace(track.times[0], track.times[-1], 400)
            lines.append((fine, self.best.predict(fine, start)))
        return fitted(self.data.tracks, lines, self.data.names)

    def to_dict(self) -> dict[str, Any]:
        """Everything as lists, numbers and text, for JSON; `from_dict` is the way back."""
        tracks = [[t.times.tolist(), t.values.tolist()] for t in self.data.tracks]
        names = list(self.data.names)
        laws = [asdict(law) for law in self.laws]
        return {"laws": laws, "seed": self.seed, "notes": list(self.notes)} | {
            "names": names,
            "tracks": tracks,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Fit:
        """The fit that `to_dict` wrote. Raises ValueError for anything else."""
        try:
            tracks = tuple(Track(np.array(t), np.array(x)) for t, x in values["tracks"])
            laws = tuple(Law(**law) for law in values["laws"])
            data = Measurements(tracks, tuple(values["names"]))
            return cls(laws, data, values["seed"], tuple(values["notes"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"values = {values!r:.40}: must be what to_dict wrote") from error

    def __repr__(self) -> str:
        if not self.laws:
            return "<Fit: no law>"
        return f"<Fit: {self.best}, R² {self.best.r2:.5f}, {len(self) - 1} more>"

    def __str__(self) -> str:
        if not self.laws:
            return "\n".join(["No law was found.", *self.notes])
        left = " | ".join(f"x_{i}'" for i in range(len(self.best.system)))
        lines = [f"{'R²':>9} {'held out':>9}  {left}"]
        for law in self.laws:
            held = f"{law.held_out:9.5f}" if math.isfinite(law.held_out) else f"{'':9}"
            lines.append(f"{law.r2:9.5f} {held}  {law}")
        plain = [f"x_{i}" for i in range(len(self.data.names))]
        named = [f"{x} is {name}." for x, name in zip(plain, self.data.names, strict=True)]
        names = [" ".join(named)] if list(self.data.names) != plain else []
        return "\n".join([*lines, *names, self.meaning(), *self.notes])

    def meaning(self) -> str:
        """What the two columns of the table are measured on."""
        tracks, k = self.data.tracks, len(self.data.tracks)
        n, fitted = (
            sum(len(track.times) for track in some)
            for some in (tracks, thinned(tracks, MOST_POINTS))
        )
        more = f"{n} points, {fitted} of them fitted to"
        of = more if n > fitted else f"the {n} points fitted to"
        part = "the last fifth of them" if k == 1 else f"the last of {k} trajectories"
        return f"R² is of {of}; held out is {part}, predicted without it."

    def _repr_latex_(self) -> str | None:
        """The best law as a system of equations; None, for plain text, if there is none."""
        return rf"$$\begin{{cases}} {self.latex()} \end{{cases}}$$" if self.laws else None


# ---------------------------------------------------------------------------------------------
# Finding it


def fit(
    times: Any,
    trajectory: Any,
    model: ODEFormer | str | Path = "ours",
    *,
    fast: bool = False,
    n_samples: int = 90,
    temperatures: Sequence[float] = TEMPERATURES,
    seed: int | None = 0,
) -> Fit:
    """The differential equations that a trajectory obeys, best first.

    times (n,) rising and trajectory (n,) or (n, dimension), in any units, of at least 4 points; or
    lists of several trajectories of one system. Arrays, lists, tensors, Series and DataFrames are
    taken. Forms are searched for in 100 points, constants fitted to 200 and laws scored on 600, all
    evenly spaced; of more points a note says so. model is a name in `weights.PLACES`, a path or a
    loaded model. n_samples sequences are drawn, shared out over the temperatures; with 0 the model
    is not asked, and what is found is the search alone. `fast` looks once, greedily, and fits
    constants without trying other terms. The same seed gives the same result; None draws one. The
    work is bounded: some 30 seconds of one core, usually less than ten.

    Right-hand sides are sums, products, whole powers and sines of the coordinates: one like √x
    comes out as a polynomial that is near it on the data. A high R² on the points fitted to does
    not show that the equation is right: a wrong form with enough constants has one too. What was
    held out says more, and another start says most, for which there is `Fit.score`.

    Raises ValueError, in one line that names it, for whatever cannot be used.
    """
    if isinstance(times, ODEFormer):
        raise ValueError("times is a model: must be numbers; the model comes third")
    model = model if isinstance(model, ODEFormer) else loaded(str(model))
    n_samples, seed = whole("n_samples", n_samples, 0), chosen_seed(seed)
    check_temperatures(temperatures)
    data = read_measurements(times, trajectory, model.config.max_dimension)
    tracks = scaled(data)
    with tqdm(total=4, desc="fitting", delay=5, leave=False, disable=None) as bar:
        written = propose(model, tracks, n_samples, temperatures, seed, fast) if n_samples else []
        bar.update()
        searched, fitted = (thinned(tracks, most) for most in (SEARCHED_POINTS, MOST_POINTS))
        systems = match_all(searched, written, fast) + likeliest_of(searched, written)
        bar.update()
        shots = shoot_all(fitted, systems, fast)
        bar.update()
        laws = laws_of(data, tracks, shots)
    return Fit(tuple(laws), data, seed, (*data.notes, *doubts(laws, data.tracks)))


@lru_cache(maxsize=2)
def loaded(name: str) -> ODEFormer:
    """`weights.load`, once per name."""
    return weights.load(name)


def chosen_seed(seed: int | None) -> int:
    """The seed, or a fresh one for None."""
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return whole("seed", seed, 0)


def check_temperatures(temperatures: Sequence[float]) -> None:
    """Raises ValueError unless there is at least one, and all are positive."""
    given = np.asarray(temperatures, dtype=float)
    if given.ndim != 1 or not given.size or not (np.isfinite(given) & (given > 0)).all():
        raise ValueError(f"temperatures = {temperatures}: must be a list of positive numbers")


def scaled(data: Measurements) -> list[Track]:
    """The tracks with time in [1, 10] and every coordinate in units of its largest value.

    So nothing that follows sees the user's units.
    """
    rate = (T_LAST - T_FIRST) / data.span
    return [
        Track(
            np.round(T_FIRST + rate * (track.times - track.times[0]), DECIMALS),
            np.round(track.values / data.sizes, DECIMALS),
        )
        for track in data.tracks
    ]


# What comes back


def laws_of(data: Measurements, tracks: Sequence[Track], shots: Sequence[Shot]) -> list[Law]:
    """Laws in the user's units; those that cannot be integrated, or stay at the start, left out."""
    found = []
    for shot in shots:
        law = law_of(data, tracks, shot)
        if law is not None:
            fitted = thinned(tracks, MOST_POINTS)
            held = held_out(fitted, shot) if len(found) < HELD_OUT else math.nan
            found.append(replace(law, held_out=held))
    return found


def law_of(data: Measurements, tracks: Sequence[Track], shot: Shot) -> Law | None:
    """The shot in the user's units, not yet held to anything.

    None where it ends before the data do, never leaves its start, or has no numbers in these units.
    """
    constants = np.array(constants_of(shot.system))[:, None]
    pairs = list(zip(tracks, shot.starts, strict=True))
    found = [curves(shot.system, constants, s[:, None], track.times)[0] for track, s in pairs]
    if not any(moves(values, track) for values, (track, _) in zip(found, pairs, strict=True)):
        return None
    share = data.sizes / data.sizes.max()  # of the units, so that R² is that of the user's values
    measured = np.concatenate([track.values for track in tracks]) * share
    score = r2(measured, np.concatenate(found) * share)
    rate = (T_LAST - T_FIRST) / data.span
    with suppress(*UNREADABLE):
        system = Scale(0.0, rate, data.sizes).undo(shot.system)
        starts, sizes = (shot.starts * data.sizes).tolist(), data.sizes.tolist()
        if math.isfinite(score):
            return Law(system, score, math.nan, shot.cost, starts, sizes)
    return None


def moves(values: NDArray, track: Track) -> bool:
    """Whether a trajectory (n, dimension) leaves its start, by 1 % of what the track does."""
    return bool((np.ptp(values, axis=0) > 0.01 * np.ptp(track.values, axis=0)).any())


def held_out(tracks: Sequence[Track], shot: Shot) -> float:
    """The share of the variance explained where it was not fitted; see `Law`."""
    if len(tracks) > 1:
        seen, asked = tracks[:-1], tracks[-1]
        again = shoot(shot.system, seen, AGAIN, shot.starts[:-1])
        start, first = asked.values[0], 1
    else:
        [asked] = tracks
        first = len(asked.times) - max(len(asked.times) // 5, 1)
        again = shoot(shot.system, [asked.part(slice(0, first))], AGAIN, shot.starts)
        start = again.starts[0]
    constants = np.array(constants_of(again.system))[:, None]
    found = curves(again.system, constants, start[:, None], asked.times)[0]
    gap = np.square(found - asked.values)[first:].mean(axis=0).sum()
    return float(1 - gap / asked.values.var(axis=0).sum())


def doubts(laws: Sequence[Law], tracks: Sequence[Track]) -> list[str]:
    """In words what speaks against the best law."""
    if not laws:
        return ["No equation that was tried follows the data from their start."]
    best, notes = laws[0], []
    if best.r2 < POOR:
        notes.append(
            f"Even the best explains little (R² = {best.r2:.3f}): the data may depend on time, or "
            "on something that was not measured."
        )
    elif best.r2 < DOUBTFUL:
        notes.append(f"R² = {best.r2:.4f} does not show that the equation is right, noise aside.")
    if not best.held_out >= POOR:
        notes.append("It does not predict what was held out: do not trust it beyond the data.")
    if any(leaves_rest(best, *pair) for pair in zip(tracks, best.starts, strict=True)):
        notes.append(
            "The data begin at rest and then move, which no smooth law of these coordinates does: "
            "another one, such as a speed, may be missing."
        )
    return notes


def leaves_rest(law: Law, track: Track, start: Sequence[float]) -> bool:
    """Whether the track begins at rest, as x = t² does, and the law at more than twice its speed.

    At rest is where every speed at the first point is below a tenth of that at the second, and
    grows until the fourth. A smooth law with such a start stays there.
    """
    speeds = np.abs(np.gradient(track.values, track.times, axis=0, edge_order=2)[:4])
    if (speeds[0] > 0.1 * speeds[1]).any() or (np.diff(speeds, axis=0) <= 0).any():
        return False
    seen, found = track.values[:2], law.predict(track.times[:2], start)
    return bool((np.ptp(found, axis=0) > 2 * np.ptp(seen, axis=0)).all())
