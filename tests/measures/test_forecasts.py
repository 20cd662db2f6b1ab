"""Scores of forecasts with exact answers, and rivals on series that they must get right."""

import math

import numpy as np
import pytest
from scipy import stats

from attention_in_motion.measures import forecasts


def test_the_crps_of_a_point_mass_is_the_distance():
    y = np.array([[1.0, -2.0]])
    samples = np.full((1, 7, 2), 0.5)
    assert forecasts.crps_of_samples(samples, y) == pytest.approx(np.abs(y - 0.5))
    point = np.full((1, 2), 0.5), np.zeros((1, 2))
    assert forecasts.crps_of_normal(point, y) == pytest.approx(np.abs(y - 0.5))


def test_the_crps_of_two_points_is_counted_by_hand():
    samples = np.array([[[0.0], [1.0]]])
    found = forecasts.crps_of_samples(samples, np.array([[2.0]]))
    assert found == pytest.approx(np.array([[1.5 - 0.25]]))


@pytest.mark.parametrize(("mean", "sd", "y"), [(0.0, 1.0, 0.0), (1.0, 0.5, 2.0), (-3.0, 2.0, 1.0)])
def test_the_crps_of_a_normal_distribution_is_the_integral_that_defines_it(mean, sd, y):
    grid = np.linspace(-40, 40, 2_000_001)
    squares = (stats.norm.cdf(grid, mean, sd) - (grid >= y)) ** 2
    integral = np.trapezoid(squares, grid)
    normal = np.array([[mean]]), np.array([[sd]])
    found = forecasts.crps_of_normal(normal, np.array([[y]]))[0, 0]
    assert found == pytest.approx(integral, abs=1e-4)
    quantiles = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000, mean, sd)
    of_samples = forecasts.crps_of_samples(quantiles[None, :, None], np.array([[y]]))[0, 0]
    assert of_samples == pytest.approx(found, abs=1e-3)


def test_the_crps_at_the_mean_is_known():
    found = forecasts.crps_of_normal((np.zeros((1, 1)), np.ones((1, 1))), np.zeros((1, 1)))[0, 0]
    assert found == pytest.approx((math.sqrt(2) - 1) / math.sqrt(math.pi))


def test_mase_of_the_last_value_on_a_line_is_the_mean_distance_in_steps():
    x = np.arange(20.0)[None]
    mean, _ = forecasts.naive(x, 4)
    assert forecasts.mase(mean, np.array([[20.0, 21, 22, 23]]), x) == pytest.approx([2.5])


def test_coverage_counts_what_lies_inside():
    samples = np.linspace(0, 1, 1001)[None, :, None].repeat(4, axis=2)
    assert forecasts.coverage(samples, np.array([[0.05, 0.11, 0.89, 0.95]])) == 0.5


def test_skill_is_a_geometric_mean():
    assert forecasts.skill(np.array([1.0, 4.0]), np.array([4.0, 4.0])) == pytest.approx(0.5)
    assert forecasts.skill(np.array([2.0]), np.array([2.0])) == 0


def test_seasonal_naive_repeats_a_period():
    t = np.arange(60)
    x = np.stack([np.sin(2 * np.pi * t / 12), np.sin(2 * np.pi * t / 7 + 1)])
    mean, sd = forecasts.seasonal_naive(x[:, :45], 15)
    assert mean == pytest.approx(x[:, 45:], abs=1e-9) and sd.max() < 1e-9


@pytest.mark.parametrize("x", [np.sin(0.3 * np.arange(71)), 0.95 ** np.arange(71)])
def test_autoregression_continues_what_solves_a_recurrence(x):
    mean, sd = forecasts.autoregressive(x[None, :55], 16)
    assert mean[0] == pytest.approx(x[55:], abs=1e-3)
    assert (np.diff(sd[0]) >= 0).all()


def test_autoregression_of_white_noise_says_its_width():
    noise = np.random.default_rng(0).standard_normal((400, 71))
    forecast = forecasts.autoregressive(noise[:, :55], 16)
    assert np.sqrt(np.square(forecast[1]).mean()) == pytest.approx(1, abs=0.1)
    z = (noise[:, 55:] - forecast[0]) / forecast[1]
    assert z.std() == pytest.approx(1.1, abs=0.1)  # the fit has seen 47 values


def test_roots_that_explode_are_drawn_in():
    assert forecasts.drawn_in(np.array([2.0])) == pytest.approx([1.1])
    tame = np.array([0.5, -0.2])
    assert forecasts.drawn_in(tame) is tame
