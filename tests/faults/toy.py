"""A sweep whose points are no pages but short sleeps, as a process of its own.

python toy.py FOLDER SECONDS POINTS [SCHEDULER]: a point says in FOLDER/log when it starts and who
runs it, sleeps, and claims its own gamma. Points named in FOLDER/bad fail, those in FOLDER/deadly
kill their worker.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from attention_in_motion.book import points, sweep
from attention_in_motion.book.reading import Reading

WHERE, SECONDS = "TOY_FOLDER", "TOY_SECONDS"


def run(point: points.Point) -> Reading:
    """Sleep instead of executing a page."""
    folder, gamma = Path(os.environ[WHERE]), point.values["gamma"]
    with (folder / "log").open("a", encoding="utf-8") as log:
        log.write(f"{gamma} {os.getpid()}\n")
    time.sleep(float(os.environ[SECONDS]))
    if str(gamma) in listed(folder / "deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    if str(gamma) in listed(folder / "bad"):
        raise ValueError(f"gamma = {gamma} is bad")
    claim = {"id": "P1.1", "value": gamma, "interval": [gamma, gamma], "n_seeds": 2}
    return Reading(point.page, point.values, {"P1.1": claim | {"verdict": "holds"}})


def listed(path: Path) -> list[str]:
    """The words in a file; none where there is no file."""
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def asked(folder: Path, n: int) -> list[points.Point]:
    """n points of chapter 1 whose results lie in `folder`."""
    points.RUNS = folder
    return points.grid("1", {"gamma": ",".join(f"{(i + 1) / 1000}" for i in range(n))})


def main(folder: str, seconds: str, n: str, scheduler: str | None = None) -> None:
    os.environ |= {WHERE: folder, SECONDS: seconds}
    with sweep.cluster(scheduler, 2) as client:
        failed = sweep.sweep(asked(Path(folder), int(n)), client, flushed, run)
    sys.exit(3 if failed else 0)


def flushed(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
