"""95% intervals, by scipy. Seeds are the replicates of a trained claim; trajectories are not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

Estimate = tuple[float, tuple[float, float]]  # a value and its interval


def mean_over_seeds(values: Sequence[float]) -> Estimate:
    """Mean of signed values, one per seed, with its Student t interval.

    m ± t(0.975, n − 1) s / √n. Raises ValueError for fewer than two seeds.
    """
    values = [float(value) for value in values]
    if len(values) < 2:
        raise ValueError(f"n_seeds = {len(values)}: an interval over seeds needs at least 2")
    mean = sum(values) / len(values)
    if len(set(values)) == 1:  # equal seeds, for example a score of 1 in each
        return mean, (mean, mean)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return mean, (min(float(interval.low), mean), max(float(interval.high), mean))


def over_seeds(errors: Sequence[float]) -> Estimate:
    """Geometric mean of positive errors, one per seed, with Student's t interval on the log."""
    mean, (low, high) = mean_over_seeds([math.log(float(error)) for error in errors])
    return math.exp(mean), (math.exp(low), math.exp(high))


def share(successes: int, trials: int) -> Estimate:
    """A rate successes / trials with its Wilson score interval. Raises ValueError if impossible."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"successes = {successes}: must lie in 0 ... trials = {trials}")
    rate = successes / trials
    found = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return rate, (min(found.low, rate), max(found.high, rate))


def bootstrap(
    values: ArrayLike, statistic: Callable[..., float] = np.median, *, seed: int = 0
) -> Estimate:
    """A statistic of `values` (n,) with its bootstrap interval (bias-corrected, accelerated)."""
    values = np.asarray(values, dtype=float)
    value = float(statistic(values))
    if np.ptp(values) == 0:
        return value, (value, value)
    rng = np.random.default_rng(seed)
    found = stats.bootstrap((values,), statistic, n_resamples=2000, rng=rng).confidence_interval
    return value, (min(float(found.low), value), max(float(found.high), value))
