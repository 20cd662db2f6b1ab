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


def paired(rho, n, seeds):
    """`seeds` samples of n pairs, normal with correlation rho."""
    draws = np.random.default_rng(0).standard_normal((seeds, 2, n))
    return draws[:, 0], rho * draws[:, 0] + math.sqrt(1 - rho**2) * draws[:, 1]


def test_the_interval_of_a_rank_correlation_covers_the_truth():
    truth = 6 / math.pi * math.asin(0.6 / 2)  # Spearman's, of a normal correlation of 0.6
    pairs = zip(*paired(0.6, 30, 1000), strict=True)
    intervals = [statistics.rank_correlation(a, b)[1] for a, b in pairs]
    assert np.mean([low <= truth <= high for low, high in intervals]) == pytest.approx(
        0.95, abs=0.02
    )
    assert statistics.rank_correlation(range(9), range(9)) == (1.0, (1.0, 1.0))
    with pytest.raises(ValueError, match="n_seeds = 3: a rank correlation needs at least 4"):
        statistics.rank_correlation([1, 2, 3], [1, 2, 3])


def test_the_interval_of_a_comparison_of_two_groups_covers_the_truth():
    rng = np.random.default_rng(0)
    truth = stats.norm.cdf(1.2 / math.sqrt(2))
    high, low = 1.2 + rng.standard_normal((800, 15)), rng.standard_normal((800, 25))
    found = [statistics.outranks(a, b) for a, b in zip(high, low, strict=True)]
    covered = np.mean([low <= truth <= high for _, (low, high) in found])
    assert covered == pytest.approx(0.95, abs=0.025)
    assert found[0][0] == pytest.approx(stats.mannwhitneyu(high[0], low[0]).statistic / (15 * 25))


def test_groups_that_do_not_overlap_are_less_certain_when_they_are_small():
    few, many = (statistics.outranks(range(n, 2 * n), range(n)) for n in (4, 40))
    assert few[0] == many[0] == few[1][1] == 1.0
    assert 0.3 < few[1][0] < 0.8 < many[1][0] < 1
    mirrored = statistics.outranks(range(4), range(4, 8))
    assert mirrored[1] == pytest.approx((0.0, 1 - few[1][0]), abs=1e-6)
    assert statistics.outranks([1.0, 1.0], [1.0])[0] == 0.5
    with pytest.raises(ValueError, match="groups of 0 and 2: both must have a member"):
        statistics.outranks([], [1, 2])


def test_rank_sum_counts_the_arrangements():
    assert statistics.rank_sum([3, 4], [1, 2]) == pytest.approx(1 / 6)
    assert statistics.rank_sum([1, 2], [3, 4]) == pytest.approx(1)
    assert statistics.rank_sum(range(100, 106), range(20)) == pytest.approx(1 / math.comb(26, 6))


def test_permutation_p_counts_the_found_one_itself():
    assert statistics.permutation_p(2.0, [1.0] * 19) == 0.05
    assert statistics.permutation_p(2.0, [2.0] + [1.0] * 98) == 0.02


def test_above_zero_is_one_sided():
    values = [0.1, 0.2, 0.3, 0.25]
    p = statistics.above_zero(values)
    assert 0 < p < 0.05 and statistics.above_zero([-v for v in values]) == pytest.approx(1 - p)
    assert statistics.above_zero([0.5, 0.5]) == 0 and statistics.above_zero([0.0, 0.0]) == 1


def test_a_detectable_distance_is_seen_four_times_in_five():
    rng, n = np.random.default_rng(0), 6
    distance = statistics.detectable(np.repeat([-1.0, 1.0], 3) * math.sqrt(5 / 6))  # s = 1
    draws = distance + rng.standard_normal((2000, n))
    seen = sum(low > 0 for _, (low, _) in map(statistics.mean_over_seeds, draws))
    assert seen / 2000 == pytest.approx(0.8, abs=0.04)


def test_holm_corrects_step_by_step_and_keeps_the_order_of_names():
    found = statistics.holm({"a": 0.03, "b": 0.01, "c": 0.04, "d": 0.9})
    assert found == pytest.approx({"a": 0.09, "b": 0.04, "c": 0.09, "d": 0.9})
    assert list(found) == ["a", "b", "c", "d"] and statistics.holm({}) == {}
    assert statistics.holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: statistics.permutation_p(1.0, [0.0] * 18),
            "n_permutations = 18: must be at least",
        ),
        (lambda: statistics.rank_sum([], [1.0]), "high: must have at least one value"),
        (lambda: statistics.rank_sum([1.0], [math.nan]), "low: must have at least one value"),
        (lambda: statistics.above_zero([1.0]), "n_seeds = 1: an interval over seeds needs"),
        (lambda: statistics.holm({"P1": 1.2}), r"P1: p = 1\.2: must lie in \[0, 1\]"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_one_line(call, line):
    with pytest.raises(ValueError, match=line):
        call()
