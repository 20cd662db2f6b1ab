"""Logistic curves: their derivatives, their equation, their range."""

import numpy as np
import pytest

from attention_in_motion.odeformer.recognise import predict
from attention_in_motion.odeformer.systems import sigmoids

CURVES = sigmoids.draw_sigmoids(np.random.default_rng(0), 40, 200)


def test_derivatives_are_those_of_the_curve():
    step = CURVES.times[1] - CURVES.times[0]
    for of, derivative in ((CURVES.x, CURVES.slope), (CURVES.slope, CURVES.curvature)):
        middle = (of[:, 2:] - of[:, :-2]) / (2 * step)
        scale = np.abs(derivative).max(axis=1, keepdims=True)
        assert np.abs((middle - derivative[:, 1:-1]) / scale).max() < 0.01


def test_each_curve_solves_the_equation_that_is_its_target():
    for sample, x in zip(CURVES.part(slice(0, 8)).samples(), CURVES.x, strict=False):
        assert np.allclose(sample.values[:, 0], x)
        found = predict(sample.system, [1.0], sample.times)[:, 0]
        assert np.allclose(found, x, rtol=1e-4, atol=1e-4 * x.max())


def test_curves_fall_and_rise_by_twos_within_the_range_of_training():
    rising = CURVES.x[:, -1] > CURVES.x[:, 0]
    assert rising.tolist() == [False, False, True, True] * 10
    assert (CURVES.first >= 0.01).all() and np.allclose(CURVES.x[:, 0], 1)
    assert (CURVES.width >= 4 / 3).all() and (CURVES.width <= 8).all()
    size = np.abs(CURVES.steepness) * (CURVES.middle - 1)
    assert (size <= 12 + 1e-9).all()


def test_the_posts_curves_are_its_own():
    post = sigmoids.sigmoids_of_the_post(50)
    t = np.linspace(0, 10, 50)
    expected = [1 / (1 + np.exp(a * t - b)) for a, b in sigmoids.OF_THE_POST]
    assert np.allclose(post.s, expected)


def test_too_few_curves_or_points_are_refused():
    with pytest.raises(ValueError, match="n = 3, n_points = 50: must be at least 4 and 8"):
        sigmoids.draw_sigmoids(np.random.default_rng(0), 3, 50)
