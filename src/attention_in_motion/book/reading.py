"""Readings: a page, its parameters and the claims it recorded, read back from executed pages.

Everything that collects, compares or tabulates works on readings, page by page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat

from attention_in_motion.claims import HEAD, MIME
from attention_in_motion.paths import read_json

GLUED = "application/papermill.record/"  # glue's prefix for what it stores in a notebook
TOLERANCE = 1e-2  # relative, of exact and shipped numbers
FACTOR = 30  # between rounding errors of two machines; a hundred is a change
ROUNDING = 1e-12  # what is smaller is rounding error, whatever its source


@dataclass(frozen=True)
class Reading:
    """One executed page: its name, the parameters it ran with, and its claims by id."""

    page: str
    parameters: dict[str, Any]
    claims: dict[str, dict[str, Any]]


def collect(source: Path) -> list[Reading]:
    """The readings of a JSON file (of `claims --json`, of `run`) or of the pages below a folder.

    A page is a notebook, or the .glue.json that the book's build leaves for it in
    _build/jupyter_execute. Raises ValueError where there is nothing to read.
    """
    if not source.exists():
        raise ValueError(f"{source}: no such file or folder")
    if source.suffix == ".json" and not source.name.endswith(".glue.json"):
        found = read_json(source)
        try:
            return [Reading(one["page"], one["parameters"], one["claims"]) for one in found]
        except (KeyError, TypeError):
            raise ValueError(f"{source}: holds no readings of pages") from None
    pages = [source] if source.is_file() else sorted(pages_below(source))
    found = [reading for page in pages if (reading := read(page)) is not None]
    if not found:
        raise ValueError(f"{source}: holds no executed page")
    return found


def pages_below(folder: Path) -> Iterator[Path]:
    """Executed pages below a folder; checkpoints and a page's own .glue.json do not count twice."""
    glued = set(folder.rglob("*.glue.json"))
    yield from glued
    for path in folder.rglob("*.ipynb"):
        hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        if not hidden and path.with_suffix(".glue.json") not in glued:
            yield path


def read(path: Path) -> Reading | None:
    """The reading of one executed page; None if it records neither parameters nor claims."""
    if path.suffix == ".json":
        return of_bundles([entry["data"] for entry in read_json(path).values()])
    try:
        return of_notebook(nbformat.read(path, as_version=4))
    except ValueError:
        raise ValueError(f"{path}: is no notebook") from None


def of_notebook(page: nbformat.NotebookNode) -> Reading | None:
    """The reading of an executed notebook in memory; None as for `read`."""
    outputs = [out for cell in page.cells if cell.cell_type == "code" for out in cell.outputs]
    return of_bundles([out["data"] for out in outputs if "data" in out])


def of_bundles(bundles: list[dict[str, Any]]) -> Reading | None:
    """The reading that MIME bundles of outputs hold; None if they record nothing."""
    plain = [{k.removeprefix(GLUED): v for k, v in bundle.items()} for bundle in bundles]
    heads = [json.loads(bundle[HEAD]) for bundle in plain if HEAD in bundle]
    claims = [json.loads(bundle[MIME]) for bundle in plain if MIME in bundle]
    return Reading(**heads[-1], claims={c["id"]: c for c in claims}) if heads else None


def as_json(readings: list[Reading]) -> str:
    """What `collect` reads back."""
    return json.dumps([asdict(reading) for reading in readings], indent=1, ensure_ascii=False)


def compare(old: list[Reading], new: list[Reading]) -> list[str]:
    """One line per claim that went missing, appeared, flipped its verdict or left its tolerance.

    Page by page. Where one side is a single page, only that page is compared; a page that was run
    with other parameters is named as such. Raises ValueError if they have no page in common.
    """
    old_pages, new_pages = by_page(old), by_page(new)
    common = [page for page in old_pages if page in new_pages]
    if not common:
        names = ", ".join(old_pages), ", ".join(new_pages)
        raise ValueError(f"nothing to compare: the old pages are {names[0]}, the new {names[1]}")
    lines = []
    if min(len(old_pages), len(new_pages)) > 1:
        lines += [f"{page}: missing from the new readings" for page in old_pages.keys() - common]
    for page in common:
        lines += [f"{page}: {line}" for line in differences(old_pages[page], new_pages[page])]
    return lines


def by_page(readings: list[Reading]) -> dict[str, Reading]:
    """Readings by page. Raises ValueError for two readings of one page."""
    found: dict[str, Reading] = {}
    for reading in readings:
        if reading.page in found:
            parts = [found[reading.page].parameters, reading.parameters]
            raise ValueError(f"{reading.page}: read twice, {changed(*parts)}; name one of them")
        found[reading.page] = reading
    return found


def changed(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Which parameters differ, for example 'gamma 0.1 → 0.3'; 'same parameters' if none."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    pairs = [f"{name} {old.get(name)!r} → {new.get(name)!r}" for name in names]
    return ", ".join(pairs) or "same parameters"


def differences(old: Reading, new: Reading) -> list[str]:
    """What changed between two readings of one page."""
    lines = []
    if old.parameters != new.parameters:
        lines.append(f"parameters differ: {changed(old.parameters, new.parameters)}")
    lines += [f"{i}: not in the old reading" for i in new.claims.keys() - old.claims]
    pairs = [(claim, new.claims.get(i)) for i, claim in old.claims.items()]
    return lines + [line for pair in pairs if (line := difference(*pair))]


def difference(old: dict[str, Any], new: dict[str, Any] | None) -> str | None:
    """What changed beyond tolerance between two records of one claim; None if nothing did.

    Live claims must have overlapping intervals: another machine's rounding trains other members of
    the same ensemble. Rounding errors must agree within FACTOR; every other number within
    one per cent, and a share of exactly 0 or 1 to the last count.
    """
    if new is None:
        return f"{old['id']}: missing from the new reading"
    if new["verdict"] != old["verdict"]:
        return f"{old['id']}: verdict {old['verdict']} became {new['verdict']}"
    if old["value"] is None:
        return None
    low, high = allowed(old)
    least, most = new["interval"] if old["source"] == "live" else (new["value"], new["value"])
    if not (least <= high and low <= most):
        return f"{old['id']}: value {new['value']:.6g} left [{low:.6g}, {high:.6g}]"
    return None


def allowed(old: dict[str, Any]) -> tuple[float, float]:
    """The range in which the new value, or for a live claim its interval, must lie."""
    value, size = old["value"], abs(old["value"])
    if old["source"] == "live":
        return tuple(old["interval"])
    if old["source"] == "rounding" or 0 < size < ROUNDING:
        least = size / FACTOR if size >= ROUNDING else 0.0  # nearer to nothing is no news
        ends = least, max(FACTOR * size, 1e-40)
        return ends if value >= 0 else (-ends[1], -ends[0])
    margin = 1e-9 if value in (0.0, 1.0) else TOLERANCE * size
    return value - margin, value + margin


def table(readings: list[Reading], defaults: dict[str, dict[str, Any]]) -> list[str]:
    """One line per claim, under the name of its page and the parameters that are off default."""
    lines = []
    for reading in readings:
        default = {k: defaults.get(reading.page, {}).get(k) for k in reading.parameters}
        off = changed(default, reading.parameters) if reading.page in defaults else ""
        lines.append(reading.page + ("" if off in ("", "same parameters") else f" ({off})"))
        for claim in reading.claims.values():
            value = "–" if claim["value"] is None else f"{claim['value']:.4g}"
            lines.append(f"  {claim['id']:6} {claim['verdict'].replace('_', ' '):13} {value}")
    return lines
