"""Systems with their trajectories, and SciPy to compare them with."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from attention_in_motion.odeformer.language.expressions import constants_of, vector_field
from attention_in_motion.odeformer.systems.prior import random_group, random_system
from attention_in_motion.odeformer.systems.trajectories import Sample


def reference(sample: Sample) -> np.ndarray:
    """SciPy's solution from the sample's first point on its times, (n_points, dimension)."""
    field, constants = vector_field(sample.system), np.array(constants_of(sample.system))
    solution = solve_ivp(
        lambda _, x: field(x, constants),
        (sample.times[0], sample.times[-1]),
        sample.values[0],
        method="DOP853",
        t_eval=sample.times,
        rtol=1e-12,
        atol=1e-14,
    )
    return solution.y.T


def error_of(sample: Sample) -> float:
    size = np.maximum(1, np.abs(sample.values).max(axis=0))
    return (np.abs(reference(sample) - sample.values) / size).max()


def draw(dimension: int, n: int, seed: int, prior: str = "repaired") -> list[Sample]:
    """Samples of the random prior, at most three of one system."""
    rng = np.random.default_rng(seed)
    systems = (random_system(rng, dimension, prior) for _ in itertools.count())
    groups = (random_group(rng, system, 40, 64, prior, most=3) for system in systems)
    return list(itertools.islice((s for group in groups for s in group.samples()), n))


def values_of(system: list, x: np.ndarray) -> np.ndarray:
    return vector_field(system)(x, np.array(constants_of(system))[:, None])


@pytest.fixture
def relative_error() -> Callable[[Sample], float]:
    return error_of


@pytest.fixture
def random_samples() -> Callable[..., list[Sample]]:
    return draw


@pytest.fixture
def derivatives() -> Callable[[list, np.ndarray], np.ndarray]:
    """The field of a system at states x (dimension, n)."""
    return values_of
