"""95% intervals, by scipy. Seeds are the replicates of a trained claim; trajectories are not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

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


def logistic(features: ArrayLike, successes: ArrayLike, penalty: float = 0.01) -> list[Estimate]:
    """Log-odds of success per unit of each feature, the others fixed, with Wald intervals.

    Maximises Σ log p − penalty |b|²/2 for p = 1/(1 + e^(−a − X b)), features X (n, k) and successes
    (n,) of zeros and ones; the penalty keeps b finite where the successes can be separated.
    """
    x = np.column_stack([np.ones(len(successes)), np.asarray(features, dtype=float)])
    y, ridge = np.asarray(successes, dtype=float), penalty * np.eye(x.shape[1])
    ridge[0, 0], b = 0.0, np.zeros(x.shape[1])
    for _ in range(50):  # Newton's steps
        p = 1 / (1 + np.exp(-np.clip(x @ b, -30, 30)))
        curvature = (x * (p * (1 - p))[:, None]).T @ x + ridge + 1e-9 * np.eye(len(b))
        b = b + np.linalg.solve(curvature, x.T @ (y - p) - ridge @ b)
    half = 1.96 * np.sqrt(np.diag(np.linalg.inv(curvature)))
    return [(float(m), (float(m - h), float(m + h))) for m, h in zip(b[1:], half[1:], strict=True)]


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


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Spearman's ρ of two values per seed, with the interval tanh(atanh ρ ± 1.96 · 1.03/√(n − 3)).

    Fisher's transformation with the variance of Fieller, Hartley and Pearson (1957). Raises
    ValueError for fewer than four seeds.
    """
    n = len(a)
    if n < 4:
        raise ValueError(f"n_seeds = {n}: a rank correlation needs at least 4")
    rho = float(stats.spearmanr([float(x) for x in a], [float(x) for x in b]).statistic)
    if abs(rho) == 1:
        return rho, (rho, rho)
    reach = stats.norm.ppf(0.975) * 1.03 / math.sqrt(n - 3)
    return rho, (math.tanh(math.atanh(rho) - reach), math.tanh(math.atanh(rho) + reach))


def outranks(high: Sequence[float], low: Sequence[float]) -> Estimate:
    """Chance θ that one of `high` exceeds one of `low`, ties half: the area under the ROC curve.

    The interval holds every θ with (θ̂ − θ)² ≤ 1.96² V(θ), V being Hanley and McNeil's variance
    (1982); so it has a length at θ̂ = 1, too. Raises ValueError when one of the two is empty.
    """
    n, m = len(high), len(low)
    if n < 1 or m < 1:
        raise ValueError(f"groups of {n} and {m}: both must have a member")
    pairs = np.sign(np.subtract.outer(np.asarray(high, float), np.asarray(low, float)))
    found, z = float((1 + pairs.mean()) / 2), stats.norm.ppf(0.975)

    def excess(theta: float) -> float:
        spread = 1 + (n - 1) * (1 - theta) / (2 - theta) + (m - 1) * theta / (1 + theta)
        return (found - theta) ** 2 - z**2 * theta * (1 - theta) * spread / (n * m)

    inside = min(max(found, 1e-9), 1 - 1e-9)  # at 0 and 1 themselves V vanishes, a false root
    low_end = 0.0 if found == 0 else optimize.brentq(excess, 0.0, inside)
    high_end = 1.0 if found == 1 else optimize.brentq(excess, inside, 1.0)
    return found, (min(low_end, found), max(high_end, found))


def permutation_p(found: float, permuted: ArrayLike) -> float:
    """(1 + number of permuted values ≥ found) / (1 + number of permuted values): never zero.

    Raises ValueError for fewer than 19, with which no p-value can be 0.05.
    """
    permuted = np.asarray(permuted, dtype=float)
    if len(permuted) < 19:
        raise ValueError(f"n_permutations = {len(permuted)}: must be at least 19")
    return float((1 + (permuted >= found).sum()) / (1 + len(permuted)))


def rank_sum(high: Sequence[float], low: Sequence[float]) -> float:
    """One-sided p of the rank-sum test of Wilcoxon, Mann and Whitney: is `high` above `low`?

    Exact without ties. Raises ValueError for a group that is empty or has a NaN.
    """
    for name, values in (("high", high), ("low", low)):
        if len(values) < 1 or np.isnan(np.asarray(values, dtype=float)).any():
            raise ValueError(f"{name}: must have at least one value and no NaN, is {list(values)}")
    return float(stats.mannwhitneyu(high, low, alternative="greater").pvalue)


def above_zero(values: Sequence[float]) -> float:
    """One-sided p of Student's t over seeds: is their mean above 0? ValueError for fewer than 2."""
    mean_over_seeds(values)  # refuses what has no spread over seeds
    if len(set(values)) == 1:
        return 0.0 if values[0] > 0 else 1.0
    return float(stats.ttest_1samp(values, 0.0, alternative="greater").pvalue)


def detectable(values: Sequence[float]) -> float:
    """How far from a limit the mean must lie to be seen beyond it in four of five repetitions.

    (t(0.975, n − 1) + t(0.8, n − 1)) s/√n, with the spread s of these values, one per seed. Raises
    ValueError for fewer than two.
    """
    mean_over_seeds(values)
    n = len(values)
    reach = stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)
    return float(reach * np.std(values, ddof=1) / math.sqrt(n))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected so that one false alarm among them has at most the chance that each says.

    The k-th smallest of m is multiplied by m − k + 1, none becomes smaller than one before it, or
    larger than 1 (Holm 1979). Raises ValueError for what is no probability.
    """
    for name, p in p_values.items():
        if not 0 <= p <= 1:
            raise ValueError(f"{name}: p = {p}: must lie in [0, 1]")
    names = sorted(p_values, key=p_values.__getitem__)
    factors = range(len(names), 0, -1)
    multiplied = [min(1.0, k * p_values[name]) for k, name in zip(factors, names, strict=True)]
    corrected = np.maximum.accumulate(multiplied) if multiplied else []
    found = dict(zip(names, map(float, corrected), strict=True))
    return {name: found[name] for name in p_values}
