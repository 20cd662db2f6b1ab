"""What methods score on ODEBench: one table of cases, `data/odebench_scores.json`.

`benchmarks/odebench.py` fills it case by case, from several processes if wanted, and goes on where
it was cut off; figures and tables read it. A method under other settings (other weights, another
version) is another entry, so that nothing measured is ever replaced.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from filelock import FileLock
from scipy.stats import binomtest

from attention_in_motion.paths import DATA, read_json, save_atomically
from attention_in_motion.statistics import Estimate, share

FILE = DATA / "odebench_scores.json"
NOISES, DROPPED = (0.0, 0.03, 0.05), (0.0, 0.5)
CONDITIONS = [(noise, dropped) for noise in NOISES for dropped in DROPPED]
N_POINTS = 50  # of what is left, evenly, that every method is given
GOOD = 0.9  # a trajectory with a larger R² counts
ONE, TWO, EVERY = range(1, 24), range(24, 52), range(1, 52)  # ids, by the number of equations
STARTS = ("given", "other")  # reconstruction, generalisation
PUBLISHED = {"given": 0.664, "other": 0.328}
"""ODEFormer as quoted on a third party's page for arXiv 2310.05573, and not like for like: over all
63 systems of up to four equations, at a noise that is not said, with the released weights."""


class Case(NamedTuple):
    """What a method is shown: a system's trajectory, corrupted with a seed."""

    noise: float  # γ of x (1 + γ N(0, 1))
    dropped: float  # share of the points left out
    seed: int
    id: int


class Score(NamedTuple):
    """R² from the given and from the other start, terms of the answer, seconds of processor time.

    R² is −∞ where there is no answer, or none that can be integrated to the end.
    """

    given: float
    other: float
    terms: int
    seconds: float


class Method(NamedTuple):
    """A method under its settings, and the cases it was tried on."""

    name: str
    settings: dict[str, Any]
    scores: dict[Case, Score]

    def at(self, noise: float, dropped: float, ids: range) -> dict[Case, Score]:
        """The scores under one condition, of the systems with these ids."""
        found = self.scores.items()
        return {c: s for c, s in found if c[:2] == (noise, dropped) and c.id in ids}


# ---------------------------------------------------------------------------------------------
# The file


def read(path: Path = FILE) -> list[Method]:
    """The methods in a table, in the order in which they came; none where there is no file."""
    return [method_of(**row) for row in read_json(path)] if path.is_file() else []


def method_of(name: str, settings: dict[str, Any], rows: list[list]) -> Method:
    """A method from its entry in the file: one row of eight numbers per case."""
    cases = [Case(*row[:4]) for row in rows]
    scores = [Score(*(-math.inf if v is None else v for v in row[4:])) for row in rows]
    return Method(name, settings, dict(zip(cases, scores, strict=True)))


def find(methods: list[Method], name: str, settings: dict[str, Any]) -> Method:
    """The entry of this method under these settings, empty if it is new."""
    same = [m for m in methods if (m.name, m.settings) == (name, settings)]
    return same[0] if same else Method(name, settings, {})


def add(path: Path, name: str, settings: dict[str, Any], scores: dict[Case, Score]) -> None:
    """Put scores of a method into the file, at once or not at all, whoever else is writing."""
    with FileLock(f"{path}.lock"):
        methods = read(path)
        method = find(methods, name, settings)
        if not any(method is one for one in methods):
            methods.append(method)
        method.scores.update(scores)
        text = "[\n" + ",\n".join(lines(methods)) + "\n]\n"
        save_atomically(lambda partial: partial.write_text(text, encoding="utf-8"), path)


def lines(methods: list[Method]) -> Iterator[str]:
    """Each method as JSON, with one case a line."""
    for name, settings, scores in methods:
        rows = [
            json.dumps([*case, *(v if math.isfinite(v) else None for v in score)])
            for case, score in sorted(scores.items())
        ]
        head = json.dumps({"name": name, "settings": settings})[:-1]
        yield f'{head}, "rows": [\n' + ",\n".join(rows) + "\n]}"


# ---------------------------------------------------------------------------------------------
# What it comes to


class Summary(NamedTuple):
    """Of a method under a condition: shares with intervals over systems, medians, the slowest."""

    n_systems: int
    n_seeds: int
    given: Estimate
    other: Estimate
    terms: float
    seconds: float
    slowest: float


def summary(scores: dict[Case, Score]) -> Summary:
    """The shares of systems with R² > 0.9, as means over the corruption seeds.

    Seeds of one system are no replicates of each other, so Wilson's interval is that of the nearest
    whole number of systems. Raises ValueError without scores.
    """
    if not scores:
        raise ValueError("scores is empty: must have at least one case")
    ids, seeds = {case.id for case in scores}, {case.seed for case in scores}
    estimates = []
    for start in STARTS:
        rate = mean(rates(scores, start).values())
        _, interval = share(round(rate * len(ids)), len(ids))
        estimates.append((rate, interval))
    terms, seconds = median(s.terms for s in scores.values()), [s.seconds for s in scores.values()]
    return Summary(len(ids), len(seeds), *estimates, terms, median(seconds), max(seconds))


def rates(scores: dict[Case, Score], start: str) -> dict[int, float]:
    """{system: the share of its seeds with R² > 0.9 from a start, "given" or "other"}."""
    found: dict[int, list[bool]] = {}
    for case, score in scores.items():
        found.setdefault(case.id, []).append(getattr(score, start) > GOOD)
    return {system: mean(good) for system, good in sorted(found.items())}


def by_condition(methods: list[Method], start: str) -> dict[str, list[Estimate]]:
    """{method: its share under each of `CONDITIONS`}, of those that were tried on all systems.

    Of a method under several settings the last entry counts.
    """
    found = {}
    for method in methods:
        parts = [method.at(*condition, EVERY) for condition in CONDITIONS]
        if all({case.id for case in part} == set(EVERY) for part in parts):
            found[method.name] = [getattr(summary(part), start) for part in parts]
    return found


def markdown(methods: list[Method], noise: float, dropped: float) -> str:
    """A table of all methods under one condition: shares, terms and seconds."""
    rows = ["| method | reconstructed | generalises | terms | seconds |", "|---|---|---|---|---|"]
    for method in methods:
        if scores := method.at(noise, dropped, EVERY):
            found = summary(scores)
            shares = [f"{v:.0%} ({low:.0%}–{high:.0%})" for v, (low, high) in found[2:4]]
            cells = [method.name, *shares, f"{found.terms:g}", f"{found.seconds:.1f}"]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


class Comparison(NamedTuple):
    """Systems at which one method succeeds at more, or at fewer, seeds than another; sign test."""

    more: int
    fewer: int
    p: float


def compare(one: dict[Case, Score], other: dict[Case, Score], start: str) -> Comparison:
    """One method against another on the cases that both were tried on.

    p is that of the two-sided sign test over systems, 1 where they never differ.
    """
    both = one.keys() & other.keys()
    left, right = (rates({case: s[case] for case in both}, start) for s in (one, other))
    more = sum(left[i] > right[i] for i in left)
    fewer = sum(left[i] < right[i] for i in left)
    return Comparison(more, fewer, binomtest(more, n).pvalue if (n := more + fewer) else 1.0)


def best_of(samples: Sequence[Sequence[float]], n: int, start: str) -> float:
    """The probability that the best of n samples has R² > 0.9 from a start, "given" or "other".

    samples are pairs of R², given and other; n of them are drawn without repetition and the one
    with the highest R² at the given start is taken. Of N ranked so, the k-th (from 0) is the best
    of n with probability C(N − 1 − k, n − 1) / C(N, n). Raises ValueError for n out of 1 … N.
    """
    if not 1 <= n <= len(samples):
        raise ValueError(f"n = {n}: must be from 1 to the {len(samples)} samples")
    ranked = sorted(samples, key=lambda pair: -pair[0])
    good = [pair[STARTS.index(start)] > GOOD for pair in ranked]
    ways = [math.comb(len(good) - 1 - k, n - 1) for k in range(len(good))]
    return sum(w for w, g in zip(ways, good, strict=True) if g) / math.comb(len(good), n)


def by_samples(
    rows: dict[str, dict[str, list[list[float | None]]]], start: str, numbers: Sequence[int]
) -> dict[str, list[float]]:
    """{how: the share of systems expected to be right with the best of n samples, n in numbers}.

    rows are those of `data/odebench_samples.json`: by system, by how the constants were found, a
    pair of R² for every sample, None where there is none.
    """
    found: dict[str, list[float]] = {}
    for how in next(iter(rows.values())):
        every = [finite(row[how]) for row in rows.values()]
        found[how] = [mean(best_of(one, n, start) for one in every) for n in numbers]
    return found


def finite(pairs: list[list[float | None]]) -> list[list[float]]:
    """The pairs with −∞ for None."""
    return [[-math.inf if value is None else value for value in pair] for pair in pairs]


def remaining_seconds(missing: dict[str, list[Case]], methods: list[Method]) -> dict[str, float]:
    """{method: seconds for its missing cases}, by the medians of 1-D and 2-D in the table.

    Where only one of the two is timed it counts for both; NaN where neither is.
    """
    timed: dict[tuple[str, bool], list[float]] = {}
    for name, _, scores in methods:
        for case, score in scores.items():
            timed.setdefault((name, case.id in ONE), []).append(score.seconds)

    def seconds(name: str, one: bool) -> float:
        return median(timed.get((name, one)) or timed.get((name, not one), [math.nan]))

    return {
        name: sum(seconds(name, case.id in ONE) for case in cases)
        for name, cases in missing.items()
    }
