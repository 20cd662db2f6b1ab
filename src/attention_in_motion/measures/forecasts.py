"""How good forecasts are, and the rivals that need no network.

Pasts are (series, T), futures (series, h). A rival's forecast is a normal distribution per step,
with the width that its own errors of one step had in the past.
Sources: Gneiting and Raftery, "Strictly Proper Scoring Rules" (2007), for the CRPS; Hyndman and
Koehler, "Another look at measures of forecast accuracy" (2006), for the MASE.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Normal = tuple[NDArray, NDArray]  # mean and standard deviation: (series, h) each
MOST_ORDERS = 8  # of autoregressions
SHORTEST = 4  # season
LONGEST_ROOT = 1.1  # a fitted root outside of it would multiply by more than that each step


def crps_of_samples(samples: NDArray, y: NDArray) -> NDArray:
    """E|X − y| − E|X − X′|/2 of samples X (series, n, h) at y (series, h): (series, h).

    Both means are over all pairs of the n samples, so that a point mass has |x − y|.
    """
    n = samples.shape[1]
    ordered = np.sort(samples, axis=1)
    weights = (2 * np.arange(1, n + 1) - n - 1)[:, None] / n**2  # Σ_ij |x_i − x_j|/(2 n²)
    return np.abs(samples - y[:, None]).mean(1) - (weights * ordered).sum(1)


def crps_of_normal(forecast: Normal, y: NDArray) -> NDArray:
    """σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π) with z = (y − μ)/σ; |y − μ| where σ = 0."""
    mean, sd = (np.broadcast_to(part, y.shape) for part in forecast)
    wide = np.where(sd > 0, sd, 1.0)
    z = (y - mean) / wide
    cdf, density = stats.norm.cdf(z), stats.norm.pdf(z)
    found = wide * (z * (2 * cdf - 1) + 2 * density - 1 / math.sqrt(math.pi))
    return np.where(sd > 0, found, np.abs(y - mean))


def mase(point: NDArray, y: NDArray, past: NDArray) -> NDArray:
    """mean |y − point| / mean |past_t − past_{t−1}|: (series,). 1 is a step of the past."""
    return np.abs(y - point).mean(1) / np.abs(np.diff(past, axis=1)).mean(1)


def coverage(samples: NDArray, y: NDArray, share: float = 0.8) -> float:
    """Share of y (series, h) between the quantiles (1 ∓ share)/2 of samples (series, n, h)."""
    low, high = np.quantile(samples, [(1 - share) / 2, (1 + share) / 2], axis=1)
    return float(((low <= y) & (y <= high)).mean())


def skill(crps: NDArray, rival: NDArray) -> float:
    """1 − the geometric mean over series of crps/rival, each (series,) a mean over steps."""
    return float(1 - np.exp(np.mean(np.log(crps / rival))))


# ---------------------------------------------------------------------------------------------
# Rivals


def naive(past: NDArray, h: int) -> Normal:
    """The last value; a random walk's width, σ √k after k steps with σ² the mean squared step."""
    sd = np.sqrt(np.square(np.diff(past, axis=1)).mean(1))[:, None]  # (series, 1)
    steps = np.arange(1, h + 1)
    return np.repeat(past[:, -1:], h, axis=1), sd * np.sqrt(steps)


def season(past: NDArray) -> NDArray:
    """The lag in 4 … T/2 with the largest correlation of values and lagged values: (series,)."""
    lags = np.arange(SHORTEST, past.shape[1] // 2 + 1)
    found = [correlation(past[:, lag:], past[:, :-lag]) for lag in lags]
    return lags[np.argmax(found, axis=0)]


def correlation(a: NDArray, b: NDArray) -> NDArray:
    """Pearson's, row by row; −1 with a constant."""
    a, b = (part - part.mean(1, keepdims=True) for part in (a, b))
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(size > 0, (a * b).sum(1) / np.where(size > 0, size, 1), -1.0)


def seasonal_naive(past: NDArray, h: int) -> Normal:
    """What was one season before; σ √(seasons ahead) with σ² the mean squared seasonal step."""
    mean, sd = np.empty((len(past), h)), np.empty((len(past), h))
    for i, lag in enumerate(season(past)):
        ahead = np.arange(h)
        mean[i] = past[i, -lag + ahead % lag]
        spread = np.sqrt(np.square(past[i, lag:] - past[i, :-lag]).mean())
        sd[i] = spread * np.sqrt(ahead // lag + 1)
    return mean, sd


def autoregressive(past: NDArray, h: int) -> Normal:
    """x_t = c + Σ_{k ≤ p} a_k x_{t−k} + ε by least squares, p in 1 … 8 by Akaike's criterion.

    Roots beyond 1.1 are drawn in to it, as no function here grows faster. The variance after k
    steps is σ² Σ_{j < k} ψ_j² with the fit's response ψ to a unit error.
    """
    pairs = [autoregression(row, h) for row in past]
    return np.array([mean for mean, _ in pairs]), np.array([sd for _, sd in pairs])


def autoregression(x: NDArray, h: int) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of the h values after x (T,): (h,) each."""
    centre = x.mean()
    fits = [least_squares(x - centre, p) for p in range(1, MOST_ORDERS + 1)]
    _, constant, a, variance = min(fits, key=lambda fit: fit[0])
    a = drawn_in(a)
    known, response = list(x - centre), [0.0] * (len(a) - 1) + [1.0]
    for _ in range(h):
        known.append(constant + float(a @ known[: -len(a) - 1 : -1]))
        response.append(float(a @ response[: -len(a) - 1 : -1]))
    psi = np.array(response[len(a) - 1 : len(a) - 1 + h])
    return centre + np.array(known[-h:]), np.sqrt(variance * np.cumsum(psi**2))


def least_squares(x: NDArray, p: int) -> tuple[float, float, NDArray, float]:
    """Akaike's criterion, constant, coefficients (p,) and error variance of one autoregression.

    All orders are fitted to the same values, those after the first MOST_ORDERS.
    """
    y = x[MOST_ORDERS:]
    lagged = [x[MOST_ORDERS - k : len(x) - k] for k in range(1, p + 1)]
    columns = np.column_stack([np.ones(len(y)), *lagged])
    found = np.linalg.lstsq(columns, y, rcond=None)[0]
    variance = max(float(np.square(y - columns @ found).mean()), 1e-12)
    return len(y) * math.log(variance) + 2 * (p + 1), float(found[0]), found[1:], variance


def drawn_in(a: NDArray) -> NDArray:
    """Coefficients whose characteristic roots have at most the length 1.1, at the same angles."""
    roots = np.roots([1.0, *-a])
    long = np.abs(roots) > LONGEST_ROOT
    roots[long] *= LONGEST_ROOT / np.abs(roots[long])
    return -np.poly(roots)[1:].real if long.any() else a


RIVALS = {
    "last value": naive,
    "last season": seasonal_naive,
    "autoregression": autoregressive,
}
