"""A system with its trajectory, and what is done to one before a model reads it.

A *group* is one system with many constant sets and starts (columns), so that the symbolic work and
the NumPy calls are shared. Sources: package odeformer 0.1.7 for corruption and scaling.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from attention_in_motion.odeformer.language.expressions import round_constants, with_constants
from attention_in_motion.odeformer.language.tokens import System
from attention_in_motion.odeformer.systems.scale import Scale, change_units

PUBLISHED_RATIO, PUBLISHED_GAMMA = 0.5, 0.1  # what the published accident comes to
SMALLEST_START = 0.01  # below this a first value is too small to divide by


class Sample(NamedTuple):
    """One system and its trajectory: times (n_points,), values (n_points, dimension)."""

    system: System
    times: NDArray
    values: NDArray
    source: str  # the family's name, or that of the prior


class Group(NamedTuple):
    """One system with many constant sets; column j is a trajectory.

    constants (n_constants, columns), times (n_points,), values (n_points, dimension, columns).
    """

    system: System
    constants: NDArray
    times: NDArray
    values: NDArray
    source: str

    def samples(self) -> Iterator[Sample]:
        """One sample a column, with the column's constants in its system."""
        for j in range(self.constants.shape[1]):
            system = with_constants(self.system, self.constants[:, j])
            yield Sample(system, self.times, self.values[:, :, j], self.source)


def corrupt(rng: Generator, sample: Sample, ratio: float, gamma: float) -> Sample:
    """Leave out int(n·ratio) points at random, then x ← x (1 + γ N(0, 1)), each entry by itself."""
    n = len(sample.times)
    kept = np.sort(rng.permutation(n)[int(n * ratio) :])
    values = sample.values[kept]
    noisy = values * (1 + gamma * rng.standard_normal(values.shape))
    return sample._replace(times=sample.times[kept], values=noisy)


def corrupt_as_published(rng: Generator, sample: Sample) -> Sample:
    """The accident in the published training code: always ratio 0.5, γ = 0.1, the same indices.

    Ratio and γ are meant to be random, but each call starts a fresh RandomState(0); so for a given
    length the same points always survive. Only the noise itself is random.
    """
    state = np.random.RandomState(0)
    ratio = state.choice(np.linspace(0, 0.5, 5))
    n = len(sample.times)
    left_out = state.choice(n, int(n * ratio), replace=False)
    times, values = (np.delete(part, left_out, axis=0) for part in (sample.times, sample.values))
    return sample._replace(
        times=times, values=values * (1 + PUBLISHED_GAMMA * rng.standard_normal(values.shape))
    )


def rescale(sample: Sample) -> Sample:
    """The scaled convention in which ODEFormer reads data: t from 1 to 10, every x starts at 1.

    t' = 1 + 9 (t − t₁)/(t_n − t₁) and x' = x/x(t₁), and the system is rewritten for (t', x'), so it
    is the ODE of the scaled trajectory. Raises ValueError if a first value is below 0.01 in size.
    """
    smallest = np.abs(sample.values[0]).min()
    if smallest < SMALLEST_START:
        raise ValueError(f"values start at {smallest:g}: must be {SMALLEST_START} or more")
    scale = Scale.of(sample.times, sample.values)
    times, values = scale.apply(sample.times, sample.values)
    system = change_units(sample.system, scale.units, scale.rate)
    return sample._replace(system=system, times=times, values=values)


def with_canonical_target(sample: Sample) -> Sample:
    """The sample as it is, its system in the form of official targets (constants to 4 decimals)."""
    return sample._replace(system=[round_constants(equation) for equation in sample.system])
