"""Intervals cover the truth, and agree with their defining equations."""

import math

import numpy as np
import pytest
from scipy import stats

from attention_in_motion import statistics


def test_intervals_over_seeds_cover_the_truth_19_times_in_20():
    draws = 3.0 * np.exp(0.5 * np.random.default_rng(0).standard_normal((2000, 8)))
    covered = sum(low <= 3.0 <= high for _, (low, high) in map(statistics.over_seeds, draws))
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_the_t_interval_is_its_textbook_formula():
    values = [1.0, 2.0, 4.0, 9.0]
    mean, (low, high) = statistics.mean_over_seeds(values)
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) / 2
    assert (mean, low, high) == pytest.approx((4.0, 4.0 - half, 4.0 + half))


def test_equal_seeds_have_an_interval_of_no_width():
    assert statistics.mean_over_seeds([2.0, 2.0, 2.0]) == (2.0, (2.0, 2.0))


@pytest.mark.parametrize("interval", [statistics.over_seeds, statistics.mean_over_seeds])
def test_one_seed_has_no_interval(interval):
    with pytest.raises(ValueError, match="n_seeds = 1"):
        interval([1.0])


def test_the_wilson_interval_solves_its_defining_equation():
    rate, (low, high) = statistics.share(7, 50)
    for bound in (low, high):
        assert abs(rate - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 50))
    assert statistics.share(0, 10)[1][0] == 0 and statistics.share(10, 10)[1][1] == 1
    with pytest.raises(ValueError, match="successes = 5"):
        statistics.share(5, 4)


def test_the_bootstrap_covers_a_median_and_repeats_itself():
    draws = np.random.default_rng(1).standard_normal((100, 40))
    covered = sum(low <= 0 <= high for _, (low, high) in map(statistics.bootstrap, draws))
    assert 85 <= covered <= 100
    assert statistics.bootstrap(draws[0]) == statistics.bootstrap(draws[0])
    assert statistics.bootstrap([1.0, 1.0]) == (1.0, (1.0, 1.0))


def test_logistic_gives_the_log_odds_ratio_of_a_table():
    """One binary feature: b = log(ad/bc), its variance 1/a + 1/b + 1/c + 1/d (Woolf)."""
    successes, failures = (30, 10), (20, 40)  # where the feature is 1, and where it is 0
    feature = np.repeat([1.0, 0.0], [40, 60])
    counted = np.repeat([1, 0, 1, 0], [*successes, *failures])
    [(value, (low, high))] = statistics.logistic(feature[:, None], counted, penalty=0.0)
    expected = math.log(30 * 40 / (10 * 20))
    half = 1.96 * math.sqrt(1 / 30 + 1 / 10 + 1 / 20 + 1 / 40)
    assert (value, low, high) == pytest.approx((expected, expected - half, expected + half))


def test_logistic_stays_finite_where_the_successes_are_separated():
    x = np.linspace(-1, 1, 20)
    [(value, (low, high))] = statistics.logistic(x[:, None], x > 0)
    assert 0 < low < value < high < 1e3
