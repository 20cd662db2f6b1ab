"""Running the points of a sweep side by side on Dask, and what they come to.

The result of a point is its reading, kept in `runs/sweep/<page>/points/` under a digest of the
page, its parameters and its version: a finished point is read, never run again, whatever happened
to the process that asked for it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from itertools import chain, count
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from attention_in_motion.book import cost as duration
from attention_in_motion.book import pages, reading
from attention_in_motion.book.points import Point, folder, varied, version
from attention_in_motion.book.reading import Reading
from attention_in_motion.paths import BOOK, read_json, save_atomically

if TYPE_CHECKING:
    from distributed import Client

KILLED = "failed: its worker died again and again"
PATIENCE = {"distributed.deploy.lost-worker-timeout": "1h"}  # to start a dead worker again: Dask's
# 15 s are too few on a busy machine, and a worker given up is never replaced
CLAIM_COLUMNS = ("claim", "value", "low", "high", "seeds", "verdict")


def execute(point: Point) -> Reading:
    """Execute the page in a kernel of its own. Raises ValueError in one line where it fails.

    So it does on a worker whose checkout is another than that of whoever asked.
    """
    if (here := version(point.page)) != point.version:
        raise ValueError(f"{point.page}: version {here} on this worker, {point.version} is asked")
    source = BOOK / f"{point.page}.ipynb"
    notebook = parameterize_notebook(load_notebook_node(str(source)), point.values)
    with redirect_stderr(io.StringIO()):  # the client says which points have ended
        done = pages.execute(pages.client(notebook, source.parent), source.name)
    if done.fault is not None:
        kept = point.path.with_suffix(".traceback.txt")
        pages.put(kept, done.traceback)
        raise ValueError(f"{done.fault} (traceback in {kept})")
    return reading.of_notebook(done.notebook)


def settle(point: Point, path: Path, run: Callable[[Point], Reading]) -> tuple[Reading, float]:
    """The point's reading and the seconds it took, 0 where it was there; on a worker.

    Whoever holds the lock runs the page; others wait, and read what was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with FileLock(f"{path}.lock"):
        if (found := finished(point, path)) is not None:
            return found, 0.0
        found = run(point)
        keep(found, path)
    return found, time.monotonic() - start


def keep(found: Reading, path: Path) -> None:
    """Write a reading."""
    pages.put(path, reading.as_json([found]) + "\n")


def finished(point: Point, path: Path | None = None) -> Reading | None:
    """The point's reading if it has run. Raises ValueError for a file that holds something else."""
    path = path or point.path
    if not path.exists():
        return None
    try:
        (found,) = reading.collect(path)
        if (found.page, found.parameters) == (point.page, point.values):
            return found
    except ValueError:  # what is no JSON, or no reading
        pass
    raise ValueError(f"{path}: is not the reading of {point.page} that belongs there; delete it")


def sweep(
    points: list[Point],
    client: Client,
    say: Callable[[str], None] = print,
    run: Callable[[Point], Reading] = execute,
) -> dict[str, str]:
    """Run the points that have not run, in workers of `client`; {key: why} of those that fail.

    A point that fails stops no other; nor does one whose worker died more often than Dask allows,
    or one that was lost with its scheduler. They run at the next call. Dask counts a death against
    every point that the worker held, so one that it gives up runs once more, with no other beside.
    """
    names, ended = varied(points), count(1)
    waiting = [p for p in points if finished(p) is None]
    failed, suspects = {}, []
    for trial in chain([waiting], ([p] for p in suspects)):  # known when the first trial is over
        for point, why in outcomes(trial, client, run):
            if why == KILLED and point not in suspects:
                suspects.append(point)
                continue
            if why is not None:
                failed[point.key] = why
            say(f"{next(ended)} of {len(waiting)}: {point.name(names)}: {why or 'finished'}")
    return failed


def outcomes(
    points: list[Point], client: Client, run: Callable[[Point], Reading]
) -> Iterator[tuple[Point, str | None]]:
    """Every point as it ends, with why it failed; with None where it has finished."""
    from distributed import as_completed

    waiting = {
        client.submit(settle, p, p.path, run, pure=False): p  # not Dask's memory, our files count
        for p in points
    }
    for future in as_completed(waiting):
        try:
            receive(waiting[future], *future.result())
            why = None
        except Exception as error:  # whatever it is, the other points still run
            why = sentence(error, future.status)
        yield waiting[future], why


def receive(point: Point, found: Reading, seconds: float) -> None:
    """Write what a worker elsewhere could not write here, and how long it took."""
    if finished(point) is None:
        keep(found, point.path)
    if seconds:
        note_seconds(point.page, seconds)


def sentence(error: BaseException, status: str) -> str:
    """Why a point failed, in one line."""
    if status in ("cancelled", "lost"):
        return "failed: lost with its scheduler"
    if type(error).__name__ == "KilledWorker":
        return KILLED
    return "failed: " + " ".join(str(error).split())[:300]


@contextmanager
def cluster(scheduler: str | None = None, workers: int | None = None) -> Iterator[Client]:
    """A client of a running scheduler, or of workers on this machine, one thread each.

    Raises ValueError in one line where dask.distributed is not installed or nobody answers.
    """
    try:
        from dask import config
        from distributed import Client, LocalCluster
    except ImportError:
        advice = "pip install -e '.[sweep]' installs it"
        raise ValueError(f"sweep: needs dask.distributed; {advice}") from None
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=10)
        except (OSError, ValueError) as error:
            raise ValueError(f"scheduler = {scheduler!r}: {error.args[0]}") from None
        with client:
            yield client
        return
    options = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}
    options |= {"silence_logs": logging.CRITICAL}  # what fails is said once, by us
    options |= {"n_workers": workers or pages.cores()}
    with config.set(PATIENCE), LocalCluster(**options) as local, Client(local) as own:
        yield own


# ---------------------------------------------------------------------------------------------
# What it costs


def note_seconds(page: str, seconds: float) -> None:
    """Add to what is known about how long the page takes: the last hundred points."""
    known = [*seconds_of(page), round(seconds, 1)][-100:]
    pages.put(folder(page) / "seconds.json", json.dumps(known) + "\n")


def seconds_of(page: str) -> list[float]:
    """The seconds that points of the page took here; empty if none has run."""
    path = folder(page) / "seconds.json"
    return read_json(path) if path.exists() else []


def cost(points: list[Point], workers: int) -> str:
    """What a sweep will do and about how long it takes, in one line.

    From the points that have run here; before the first, from the page's own time.
    """
    left = sum(finished(p) is None for p in points)
    page, known = points[0].page, seconds_of(points[0].page)
    line = f"{len(points)} points of {page}: {len(points) - left} finished, {left} to run"
    if not left:
        return line
    each = mean(known) if known else duration.seconds()[page]
    whole = duration.about(each * math.ceil(left / workers))
    line = f"{line}, {workers} at a time; each takes {duration.about(each)}, all {whole}"
    return line if known else f"{line}, if each is as much work as the page as published"


# ---------------------------------------------------------------------------------------------
# The table


def table(points: list[Point]) -> list[dict[str, Any]]:
    """One row per finished point and claim: every parameter, then the claim's columns."""
    pairs = [(p, found) for p in points if (found := finished(p)) is not None]
    return [p.values | columns for p, found in pairs for columns in claims(found)]


def claims(found: Reading) -> Iterator[dict[str, Any]]:
    """The claims of a reading as the last columns of the table."""
    for claim in found.claims.values():
        low, high = claim["interval"] or (None, None)
        facts = (claim["id"], claim["value"], low, high, claim["n_seeds"], claim["verdict"])
        yield dict(zip(CLAIM_COLUMNS, facts, strict=True))


def write_table(points: list[Point], rows: list[dict[str, Any]]) -> list[Path]:
    """Write the table as CSV, and as Parquet where pyarrow is installed; the paths written.

    Files are named after what is varied and a digest of the points, so no sweep overwrites another.
    """
    if not rows:
        return []
    path = stem(points).with_suffix(".csv")
    save_atomically(lambda partial: write_csv(rows, partial), path)
    try:
        from pyarrow import Table, parquet
    except ImportError:
        return [path]
    columns = Table.from_pylist(rows)
    save_atomically(lambda p: parquet.write_table(columns, p), path.with_suffix(".parquet"))
    return [path, path.with_suffix(".parquet")]


def write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    """Rows of the same columns, with their names in the first line."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def stem(points: list[Point]) -> Path:
    """Where the results of a sweep lie, but for the ending: runs/sweep/<page>/gamma-1a2b3c4d."""
    keys = "".join(sorted(point.key for point in points))
    digest = hashlib.sha256(keys.encode()).hexdigest()[:8]
    return folder(points[0].page) / "-".join([*varied(points)[:4], digest])


def against(rows: list[dict[str, Any]], claim: str, name: str) -> list[dict[str, Any]]:
    """The rows of one claim, ordered by one parameter. Raises ValueError if none has a value."""
    found = [row for row in rows if row["claim"] == claim and row["value"] is not None]
    if not found:
        raise ValueError(f"plot = {claim!r}: has no value in any point that has run")
    return sorted(found, key=lambda row: row[name])
