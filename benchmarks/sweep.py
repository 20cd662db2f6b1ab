"""A sweep of chapter 1 on two workers against one, and what the scheduler adds to a page.

Sixteen points, each a whole execution of the page, are run by one worker and, afresh, by two; the
ratio of the two times is printed, and the seconds per point beyond those of the page itself, as
JSON; wanted are at least 1.7 and at most 2 s. Run it on a quiet machine, where it takes minutes:
python benchmarks/sweep.py [POINTS] [STEPS]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from attention_in_motion.book import points, sweep
from attention_in_motion.book.points import Point

N_POINTS, STEPS = 16, 2000


def timed(asked: list[Point], workers: int) -> tuple[float, float]:
    """Seconds that a sweep takes on so many workers, and those that its pages took, summed.

    The workers are started before the clock: on a cluster they are there already.
    """
    with tempfile.TemporaryDirectory() as folder, sweep.cluster(workers=workers) as client:
        points.RUNS = Path(folder)
        client.wait_for_workers(workers)
        start = time.perf_counter()
        failed = sweep.sweep(asked, client, lambda line: None)
        total = time.perf_counter() - start
        if failed:
            raise RuntimeError("; ".join(failed.values()))
        return total, sum(sweep.seconds_of(asked[0].page))


def main(n_points: int = N_POINTS, steps: int = STEPS) -> None:
    gammas = ",".join(f"{0.1 + 0.05 * i:.2f}" for i in range(n_points))
    small = {"steps": str(steps), "lr": "0.02", "batch": "64", "n_seeds": "4", "n_starts": "64"}
    asked = points.grid("1", {"gamma": gammas, **small})
    (one, pages), (two, _) = timed(asked, 1), timed(asked, 2)
    results = {"points": n_points, "seconds_one_worker": one, "seconds_two_workers": two}
    results |= {"ratio": one / two, "overhead_seconds_per_point": (one - pages) / n_points}
    print(json.dumps({name: round(value, 2) for name, value in results.items()}, indent=1))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
