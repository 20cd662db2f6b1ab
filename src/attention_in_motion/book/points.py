"""The points of a sweep: which executions of a page are asked for, and what each is called.

A point is a page and a value for each of its parameters. Texts become values here, and every point
is checked before anything starts.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

from papermill.iorw import load_notebook_node

from attention_in_motion.book import pages
from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK, DATA, ROOT, RUNS

MOST_POINTS = 100_000
COMPUTED_WITH = ("physics", "models", "training", "measures", "odeformer", "chapters")


@dataclass(frozen=True)
class Point:
    """One execution of a page: every parameter's value, and what the page was when it was asked."""

    page: str
    values: dict[str, Any]
    version: str

    @property
    def key(self) -> str:
        """Twelve hex digits of all that the result depends on."""
        whole = json.dumps([self.page, self.values, self.version], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:12]

    @property
    def path(self) -> Path:
        """Where the point's result lies, once there is one."""
        return folder(self.page) / "points" / f"{self.key}.json"

    def name(self, varied: Iterable[str] = ()) -> str:
        """What the point is called in messages: '01_fixed_omega, gamma = 0.3'."""
        return ", ".join([self.page, *(f"{name} = {self.values[name]!r}" for name in varied)])


def folder(page: str) -> Path:
    """Where everything about the sweeps of a page lies."""
    return RUNS / "sweep" / page


def grid(
    chapter: str, axes: Mapping[str, str], rows: Iterable[Mapping[str, str]] = ({},)
) -> list[Point]:
    """Every combination of the values of `axes` with every row, checked, each point once.

    Texts as on the command line: '0.1,0.3' names two values, '0:32' the whole numbers 0 … 31.
    Raises ValueError in one line for the first point that the page cannot use.
    """
    module = contents.named(chapter)
    own, now = pages.defaults(module.PAGE), version(module.PAGE)
    chosen = {}
    for row in rows:
        if twice := sorted(row.keys() & axes.keys()):
            raise ValueError(f"{twice[0]}: is named twice, by -p and by the file of points")
        lists = {name: values(name, text) for name, text in {**row, **axes}.items()}
        lists = ensemble(lists, own)
        if math.prod(map(len, lists.values())) > MOST_POINTS:
            raise ValueError(f"sweep: must have at most {MOST_POINTS} points")
        for choice in product(*lists.values()):
            given = own | dict(zip(lists, choice, strict=True))
            point = Point(module.PAGE, module.Parameters.given(given).model_dump(), now)
            chosen[point.key] = point
    return list(chosen.values())


def axes_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names with the texts of their values. Raises ValueError for a name given twice."""
    found: dict[str, str] = {}
    for name, text in pairs:
        if name in found:
            raise ValueError(f"{name}: is named twice; write -p {name} {found[name]},{text}")
        found[name] = text
    return found


def values(name: str, text: str) -> list[Any]:
    """The values that one text names. Raises ValueError if there are none."""
    found: list[Any] = []
    for part in text.split(","):
        found += whole_numbers(part) if ":" in part else [pages.literal(part.strip())]
    if not found or "" in found:
        allowed = "values like 0.1,0.3, or whole numbers like 0:32"
        raise ValueError(f"{name} = {text!r}: must be {allowed}")
    return found


def whole_numbers(text: str) -> list[Any]:
    """'2:5' → 2, 3, 4 and '0:10:5' → 0, 5; a text that is no such range is itself the value."""
    try:
        ends = [int(part) for part in text.split(":")]
        numbers = range(*ends)
    except (TypeError, ValueError):
        return [text.strip()]
    return list(numbers[: MOST_POINTS + 1])


def ensemble(lists: dict[str, list[Any]], own: Mapping[str, Any]) -> dict[str, list[Any]]:
    """`seed` 0 … n − 1 as n_seeds = n, where a page trains its seeds together.

    Raises ValueError for other seeds: an ensemble's are counted from zero.
    """
    if "seed" not in lists or "seed" in own or "n_seeds" not in own or "n_seeds" in lists:
        return lists
    seeds = lists.pop("seed")
    if seeds != list(range(len(seeds))):
        allowed = "0:n, because the page trains its seeds 0 ... n - 1 together"
        raise ValueError(f"seed = {','.join(map(str, seeds))}: must be {allowed}")
    return lists | {"n_seeds": [len(seeds)]}


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file whose first line names parameters. Raises ValueError without any."""
    if not path.is_file():
        raise ValueError(f"points = {str(path)!r}: no such file")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, restkey="", restval=""))
    if not rows:
        raise ValueError(f"{path}: must hold a line of names and a line for each point")
    for number, row in enumerate(rows, start=2):
        if "" in row or "" in row.values():
            raise ValueError(f"{path}, line {number}: must have a value for each name, no more")
    return rows


def version(page: str) -> str:
    """Twelve hex digits of what a page computes with: its code, ours, shipped weights, PyTorch."""
    whole = hashlib.sha256(metadata.version("torch").encode())
    for cell in load_notebook_node(str(BOOK / f"{page}.ipynb")).cells:
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            whole.update(cell.source.encode() + b"\0")
    source = ROOT / "src" / "attention_in_motion"
    files = [path for name in COMPUTED_WITH for path in (source / name).rglob("*.py")]
    files += [*source.glob("[!_]*.py"), DATA / "manifest.json"]
    for path in sorted([*files, *(DATA / "odeformer").glob("*.json")]):
        whole.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:12]


def varied(points: list[Point]) -> list[str]:
    """The parameters that differ between points, else those that are off their defaults."""
    names = [n for n in points[0].values if len({repr(p.values[n]) for p in points}) > 1]
    own = pages.defaults(points[0].page)
    return names or [n for n, value in points[0].values.items() if own.get(n) != value]


def plottable(points: list[Point], claim: str | None, name: str | None) -> str:
    """The parameter to draw a claim against; the one that is varied, where `name` is None.

    Raises ValueError where the page has no such claim or parameter, or it is not clear which.
    """
    rules, known = contents.named(points[0].page).RULES, points[0].values
    if claim not in rules:
        raise ValueError(f"plot = {claim!r}: must be one of {', '.join(rules)}")
    several = varied(points)
    if name is None and len(several) == 1:
        return several[0]
    if name not in known:
        raise ValueError(f"against = {name!r}: must be one of {', '.join(several or known)}")
    return name
