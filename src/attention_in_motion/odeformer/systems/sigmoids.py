"""Logistic curves with their exact derivatives, falling and rising, as a model reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from attention_in_motion.odeformer.systems.families import log_uniform
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST
from attention_in_motion.odeformer.systems.trajectories import SMALLEST_START, Sample, rescale

STEEPNESS = (0.5, 3.0)  # |b|: training has [0.1, 3]; below 0.5 the fall takes longer than the data
MIDDLE = (2.0, 9.0)
SATURATED = 12.0  # |b| (m − 1) at most, as in training
LEAST_START = 1.01 * SMALLEST_START
OF_THE_POST = ((1, 5), (2, 10), (2, 14), (3, 20), (8, 25))  # (a, b) of 1/(1 + e^(a t − b)), t ≤ 10


class Sigmoids(NamedTuple):
    """x = s/s(1) with s = 1/(1 + e^(−b (t − m))): rising for b > 0, falling for b < 0.

    times (n_points,) from 1 to 10; steepness b and middle m (n,). Derivatives are (n, n_points).
    """

    times: NDArray
    steepness: NDArray
    middle: NDArray

    @property
    def s(self) -> NDArray:
        """The curve before it is scaled, between 0 and 1: (n, n_points)."""
        return sigmoid(self.steepness[:, None] * (self.times - self.middle[:, None]))

    @property
    def first(self) -> NDArray:
        """s at the first time, by which the scaler divides: (n, 1)."""
        return self.s[:, :1]

    @property
    def x(self) -> NDArray:
        """The scaled curve, which begins at 1."""
        return self.s / self.first

    @property
    def slope(self) -> NDArray:
        """x′ = b s (1 − s)/s(1)."""
        return self.steepness[:, None] * self.s * (1 - self.s) / self.first

    @property
    def curvature(self) -> NDArray:
        """x″ = b² s (1 − s)(1 − 2 s)/s(1)."""
        return self.steepness[:, None] * self.slope * (1 - 2 * self.s)

    @property
    def width(self) -> NDArray:
        """4/|b|: how long the fall would take at its largest slope: (n,)."""
        return 4 / np.abs(self.steepness)

    def samples(self) -> Iterator[Sample]:
        """One sample a curve in the scaled convention: x′ = b x − b s(1) x²."""
        for b, s in zip(self.steepness.tolist(), self.s, strict=True):
            system = [["add", "mul", b, "x_0", "mul", -b, "pow", "x_0", 2]]
            yield rescale(Sample(system, self.times, s[:, None], "logistic"))

    def part(self, rows: slice) -> Sigmoids:
        """Some of the curves."""
        return Sigmoids(self.times, self.steepness[rows], self.middle[rows])


def sigmoid(z: NDArray) -> NDArray:
    """1/(1 + e^(−z)), without overflow."""
    return np.exp(-np.logaddexp(0, -z))


def draw_sigmoids(rng: Generator, n: int, n_points: int) -> Sigmoids:
    """n curves, two falling and two rising by turns, so that both halves of an even–odd split mix.

    |b| log-uniform in [0.5, 3]; m uniform from 2 to 9, or to where the start is e^(−12) from 1
    (falling) or 0.01 (rising). Raises ValueError for n below 4 or n_points below 8.
    """
    if n < 4 or n_points < 8:
        raise ValueError(f"n = {n}, n_points = {n_points}: must be at least 4 and 8")
    rising = np.arange(n) // 2 % 2 == 1
    b = log_uniform(rng, *STEEPNESS, n)
    largest = math.log(1 / LEAST_START - 1)  # b (m − 1) of a start at 0.0101
    nearest = np.where(rising, largest, SATURATED)
    middle = rng.uniform(MIDDLE[0], np.minimum(MIDDLE[1], T_FIRST + nearest / b))
    return Sigmoids(times(n_points), np.where(rising, b, -b), middle)


def sigmoids_of_the_post(n_points: int) -> Sigmoids:
    """The five falling curves of post 4, with t from 0 to 10 put to 1 … 10 by the scaler."""
    a, b = np.array(OF_THE_POST, dtype=float).T
    rate = (T_LAST - T_FIRST) / 10
    return Sigmoids(times(n_points), -a / rate, T_FIRST + rate * b / a)


def times(n_points: int) -> NDArray:
    """Even times from 1 to 10."""
    return np.linspace(T_FIRST, T_LAST, n_points)
