"""Samples per second and core: our generator of random ODE systems beside the official one.

    python benchmarks/odeformer_generator.py [--seconds 60]

Equal terms: official prior, n_points ~ U{50..200} on [1, 10], dimension 1 and 2, |x| < 100, nine in
ten stationary trajectories left out. Both count accepted (system, trajectory) pairs with their
target in canonical form. The official numbers need odeformer 0.1.7 (requirements-official.txt) and
are left out without it. Also the stream that the shipped model was trained on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attention_in_motion.odeformer.language.expressions import round_constants
from attention_in_motion.odeformer.stream import Chunks, StreamConfig
from attention_in_motion.odeformer.systems.prior import random_group, random_system

COLUMNS = 256
CONFIG = Path(__file__).parents[1] / "configs" / "odeformer" / "main.toml"


def ours(dimension: int) -> Iterator[int]:
    """Accepted samples of one group after the other."""
    rng = np.random.default_rng(dimension)
    while True:
        system, n_points = random_system(rng, dimension, "official"), int(rng.integers(50, 201))
        group = random_group(
            rng, system, n_points, COLUMNS, "official", most=COLUMNS, extra_steps=200
        )
        targets = [[round_constants(e) for e in sample.system] for sample in group.samples()]
        yield len(targets)


def official(dimension: int) -> Iterator[int]:
    from odeformer.envs import FunctionEnvironment

    parser = argparse.ArgumentParser()
    FunctionEnvironment.register_args(parser)
    params = parser.parse_args([])
    vars(params).update(min_dimension=dimension, max_dimension=dimension, debug=False, cpu=True)
    environment = FunctionEnvironment(params)
    environment.rng = np.random.RandomState(dimension)
    while True:
        environment.gen_expr(True, dimension=dimension)
        yield 1


def stream() -> Iterator[int]:
    """The stream of the shipped model: corrupted, scaled, tokenised and padded."""
    table = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    shared = {name: table["model"][name] for name in ("max_dimension", "precision")}
    chunks = Chunks(StreamConfig(**shared, **table["stream"]), seed=0)
    for k in itertools.count():
        yield sum(len(batch["points"]) for batch in chunks[k])


def rate(blocks: Iterator[int], seconds: float) -> float:
    """Samples a second of processor time, over at least so many seconds of it, in whole blocks."""
    next(blocks)  # imports and first calls
    start, n = time.process_time(), 0
    while time.process_time() < start + seconds:
        n += next(blocks)
    return n / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="processor time per number")
    seconds = parser.parse_args().seconds
    result = {"stream": rate(stream(), seconds)}
    for dimension in (1, 2):
        result[f"ours_{dimension}d"] = rate(ours(dimension), seconds)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result[f"official_{dimension}d"] = rate(official(dimension), seconds)
        except ImportError:
            continue
        ratio = result[f"ours_{dimension}d"] / result[f"official_{dimension}d"]
        result[f"ratio_{dimension}d"] = ratio
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
