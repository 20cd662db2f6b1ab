"""ODEBench: our model, alone and with `fit`, beside PySINDy, on the same corrupted trajectories.

    pip install -e .[bench]
    python benchmarks/odebench.py                     # every tenth system, clean, to see it run
    python benchmarks/odebench.py --all --out data/odebench_scores.json --part 1 2 &
    python benchmarks/odebench.py --all --out data/odebench_scores.json --part 2 2

Each of the 51 systems is observed from one start, at six combinations of noise and thinning, with
five seeds where there is either, and scored on its clean trajectory (reconstruction) and on the
one from its other start (generalisation), integrated from the true starts. The table is written
after every case, parts may share it, and the same command goes on where it was cut off. Defaults
of `fit` are never chosen here.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from attention_in_motion.fit import RECIPE, fit, loaded
from attention_in_motion.odeformer import odebench_scores as table
from attention_in_motion.odeformer import recognise
from attention_in_motion.odeformer.measurements import Track
from attention_in_motion.odeformer.odebench import System, corrupted, systems
from attention_in_motion.odeformer.odebench_scores import Case, Score
from attention_in_motion.odeformer.weights import record_of

THRESHOLDS, ALPHA = (0.1, 0.05, 0.01, 0.002), 0.05  # of PySINDy's STLSQ; the first is its default
ESCAPED = 1e4  # times the largest value seen: there PySINDy's trajectories are given up
RAW = {"n_samples": 10, "temperature": 0.1}
Predict = Callable[[NDArray, NDArray], NDArray]  # times (n,), a start → (n, dimension)


class Method(NamedTuple):
    """What tells two entries of the table apart, and a track to (a prediction, its terms)."""

    settings: dict[str, Any]
    answer: Callable[[Track], tuple[Predict, int]]


# ---------------------------------------------------------------------------------------------
# Methods


def raw(model: Any, seen: Track) -> tuple[Predict, int]:
    """The best of ten samples at temperature 0.1, as written."""
    best = recognise.ask(model, *seen, **RAW).candidates[0]
    return lambda times, start: best.integrate(start, times), terms(best.expressions)


def default(model: Any, options: dict[str, int], seen: Track) -> tuple[Predict, int]:
    """`fit` as it comes, or with another number of samples; 0 leaves the model out."""
    found = fit(*seen, model, **options)
    return found.predict, terms(found.sympy())


def sindy(fourier: bool, thresholds: tuple[float, ...], seen: Track) -> tuple[Predict, int]:
    """PySINDy with a cubic library, at the threshold and differences that reconstruct best.

    Of one threshold alone with finite differences, of several with smoothed ones as well.
    """
    import pysindy as ps

    differences = [ps.FiniteDifference, ps.SmoothedFiniteDifference][: len(thresholds)]
    tried = []
    for threshold in thresholds:
        for slopes in differences:
            library = ps.PolynomialLibrary(degree=3)
            library = library + ps.FourierLibrary(n_frequencies=1) if fourier else library
            optimizer = ps.STLSQ(threshold=threshold, alpha=ALPHA)
            model = ps.SINDy(
                feature_library=library, optimizer=optimizer, differentiation_method=slopes()
            )
            model.fit(seen.values, t=seen.times)
            predict = partial(follow, model, np.abs(seen.values).max())
            score = finite(recognise.r2(seen.values, predict(seen.times, seen.values[0])))
            tried.append((score, int(np.count_nonzero(model.coefficients())), predict))
    _, n, predict = max(tried, key=lambda one: one[0])
    return predict, n


def follow(model: Any, size: float, times: NDArray, start: NDArray) -> NDArray:
    """PySINDy's trajectory, by SciPy's LSODA; NaN where it fails, or leaves the data far behind."""
    from scipy.integrate import solve_ivp

    def slope(_: float, x: NDArray) -> NDArray:
        return model.predict(x[None])[0]  # refuses what is not finite

    def inside(_: float, x: NDArray) -> float:
        return ESCAPED * size - np.abs(x).max()

    inside.terminal = True  # such an R² is no different from NaN, and takes minutes
    with suppress(ValueError, ArithmeticError):
        options = {"t_eval": times, "rtol": 1e-6, "events": inside}
        found = solve_ivp(slope, times[[0, -1]], start, "LSODA", **options)
        if found.status == 0:
            return found.y.T
    return np.full((len(times), len(start)), np.nan)


def terms(expressions: list) -> int:
    """The number of terms of all right-hand sides."""
    return sum(len(one.as_ordered_terms()) for one in expressions)


def finite(value: float) -> float:
    """The value, −∞ for what is no number."""
    return value if math.isfinite(value) else -math.inf


def methods(name: str) -> dict[str, Method]:
    """Everything that is compared, by its name in the table."""
    model, about = loaded(name), {"weights": record_of(name)["sha256"]}
    found = {
        f"{name}, as written": Method(about | RAW, partial(raw, model)),
        f"{name}, fit": Method(about | {"recipe": RECIPE}, partial(default, model, {})),
        "fit without a model": Method(
            {"recipe": RECIPE, "n_samples": 0}, partial(default, model, {"n_samples": 0})
        ),
    }
    if not find_spec("pysindy"):
        print("PySINDy is not installed and left out; pip install -e .[bench]")
        return found
    for kind, fourier in {"cubic": False, "cubic + Fourier": True}.items():
        for how, thresholds in {"default": THRESHOLDS[:1], "tuned": THRESHOLDS}.items():
            settings = {"pysindy": version("pysindy"), "thresholds": list(thresholds)}
            answer = partial(sindy, fourier, thresholds)
            found[f"PySINDy {kind}, {how}"] = Method(settings | {"alpha": ALPHA}, answer)
    return found


# ---------------------------------------------------------------------------------------------
# Cases


def cases(n_conditions: int, n_seeds: int, every: int) -> list[Case]:
    """All cases: the first seed under every condition, then the next, so that rounds are complete.

    Systems are shuffled, so that what is left to do is like what is done. Without corruption there
    is one seed.
    """
    ids = [system.id for system in systems()[::every]]
    order = np.random.default_rng(0).permutation(ids).tolist()
    return [
        Case(noise, dropped, seed, i)
        for seed in range(n_seeds)
        for noise, dropped in table.CONDITIONS[:n_conditions]
        if seed == 0 or noise or dropped
        for i in order
    ]


def observe(system: System, case: Case) -> tuple[Track, list[Track]]:
    """What the methods are shown, and the clean trajectories from both starts."""
    clean = [system.trajectory(which) for which in (0, 1)]
    rng = np.random.default_rng([case.seed, case.id])
    return corrupted(clean[0], case.noise, case.dropped, rng).thinned(table.N_POINTS), clean


def score(method: Method, seen: Track, clean: list[Track]) -> Score:
    """One method on one case; where there is no answer, −∞ and no terms."""
    begun, n, found = time.process_time(), 0, [-math.inf, -math.inf]
    spent = math.nan
    try:
        predict, n = method.answer(seen)
        spent = time.process_time() - begun
        found = [finite(recognise.r2(x.values, predict(x.times, x.values[0]))) for x in clean]
    except (LookupError, ValueError, ArithmeticError) as error:
        tqdm.write(f"  no answer: {type(error).__name__}: {str(error)[:80]}")
    spent = spent if math.isfinite(spent) else time.process_time() - begun
    return Score(*found, n, round(spent, 3))


def missing(chosen: dict[str, Method], every: list[Case], out: Path) -> dict[str, list[Case]]:
    """{method: the cases that the table has not}."""
    known = table.read(out)
    found = {name: table.find(known, name, m.settings).scores for name, m in chosen.items()}
    return {name: [case for case in every if case not in found[name]] for name in chosen}


def run(chosen: dict[str, Method], todo: dict[str, list[Case]], every: list[Case], out: Path):
    """Score every method on the cases that it misses, and keep each case at once."""
    by_id = {system.id: system for system in systems()}
    for case in tqdm([c for c in every if any(c in part for part in todo.values())], disable=None):
        seen, clean = observe(by_id[case.id], case)
        for name, method in chosen.items():
            if case in todo[name]:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = score(method, seen, clean)
                table.add(out, name, method.settings, {case: found})


# ---------------------------------------------------------------------------------------------
# What is printed


def announce(todo: dict[str, list[Case]], out: Path) -> None:
    """How much there is to do, and how long what is timed will take on one core."""
    n = sum(map(len, todo.values()))
    seconds = table.remaining_seconds(todo, table.read(out))
    known = sum(value for value in seconds.values() if math.isfinite(value))
    new = [name for name, value in seconds.items() if not math.isfinite(value)]
    rest = f", besides what was never timed: {'; '.join(new)}" if new else ""
    print(f"{n} fits to do: about {known / 3600:.1f} hours of one core{rest}", flush=True)


def show(chosen: dict[str, Method], out: Path) -> None:
    """One line per condition, method and number of equations."""
    known = table.read(out)
    for noise, dropped in table.CONDITIONS:
        for name, method in chosen.items():
            entry = table.find(known, name, method.settings)
            for title, ids in (("1-D", table.ONE), ("2-D", table.TWO), ("all", table.EVERY)):
                if found := entry.at(noise, dropped, ids):
                    print(f"noise {noise} dropped {dropped} {name:30} {title}", line(found))
    quoted = [f"{start} {value:.1%}" for start, value in table.PUBLISHED.items()]
    print(f"published, not like for like (63 systems, noise not said): {', '.join(quoted)}")


def line(scores: dict[Case, Score]) -> str:
    """A summary in one line."""
    found = table.summary(scores)
    parts = [
        f"{start} {rate * found.n_systems:4.1f}/{found.n_systems} [{low:.2f}, {high:.2f}]"
        for start, (rate, (low, high)) in zip(table.STARTS, found[2:4], strict=True)
    ]
    spent = f"{found.seconds:.2f} s, at most {found.slowest:.1f}"
    return f"{'  '.join(parts)}  {found.terms:g} terms, {spent}, {found.n_seeds} seeds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="ours")
    parser.add_argument("--all", action="store_true", help="51 systems, 6 conditions, 5 seeds")
    parser.add_argument("--seeds", type=int, default=1, help="of the corruptions")
    parser.add_argument("--conditions", type=int, default=1, help="the first so many of 6")
    parser.add_argument("--every", type=int, default=10, help="every k-th system alone")
    parser.add_argument("--only", default="", help="a part of the methods' names")
    parser.add_argument("--part", type=int, nargs=2, default=(1, 1), metavar=("K", "N"))
    parser.add_argument("--out", type=Path, help="the table, which is kept and gone on with")
    options = parser.parse_args()
    part, n_parts = options.part
    if not 1 <= part <= n_parts:
        parser.error(f"--part {part} {n_parts}: must be K N with 1 ≤ K ≤ N")
    torch.set_num_threads(1)
    chosen = {n: m for n, m in methods(options.weights).items() if options.only in n}
    whole = (len(table.CONDITIONS), 5, 1)
    every = cases(*(whole if options.all else (options.conditions, options.seeds, options.every)))
    every = every[part - 1 :: n_parts]
    with TemporaryDirectory() as folder:
        out = options.out or Path(folder) / "scores.json"
        todo = missing(chosen, every, out)
        announce(todo, out)
        run(chosen, todo, every, out)
        show(chosen, out)


if __name__ == "__main__":
    main()
