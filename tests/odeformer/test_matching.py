"""Constants from slopes, and terms added and dropped, on equations with known solutions."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from attention_in_motion.odeformer.language.expressions import constants_of, skeleton
from attention_in_motion.odeformer.matching import (
    front,
    match,
    match_all,
    neighbours,
    search,
    slopes_of,
    spline,
    terms_of,
    words_of,
)
from attention_in_motion.odeformer.measurements import Track

T = np.linspace(1, 10, 50)
CIRCLE = Track(T, np.stack([np.cos(T), -np.sin(T)], axis=1))  # x' = y, y' = −x
GROWTH = 3 * np.exp(1.2 * T) / (3e3 + np.exp(1.2 * T))  # x' = 1.2 x − 0.4 x²
LOGISTIC = Track(T, GROWTH[:, None])


def test_terms_and_neighbours():
    equation = ["add", 0.5, "add", "mul", 2.0, "x_0", "mul", 3.0, "pow", "x_0", 2]
    assert terms_of(equation) == [[0.5], ["mul", 2.0, "x_0"], ["mul", 3.0, "pow", "x_0", 2]]
    assert terms_of(["x_0"]) == [["x_0"]]
    near = {skeleton([one]) for one in neighbours(equation, 1)}
    fewer = {"add C x_0", "add C pow x_0 2", "add x_0 pow x_0 2"}
    assert near == {*fewer, "add C add x_0 add pow x_0 2 pow x_0 3"}


def test_a_constant_beside_other_terms_counts_like_one_more_coordinate():
    assert words_of(["add", 0.5, "mul", 2.0, "x_0"]) == 7
    assert words_of(["add", "mul", 2.0, "x_0", "mul", 0.5, "x_1"]) == 7
    assert words_of([0.5]) == 1 and words_of(["sin", "add", 0.5, "x_0"]) == 4


def test_constants_are_matched_from_far_away():
    slopes = slopes_of([LOGISTIC])
    start = ["add", "mul", -9.0, "x_0", "mul", 7.0, "pow", "x_0", 2]
    found = match(slopes, 0, start)
    assert constants_of([found.equation]) == pytest.approx([1.2, -0.4], rel=1e-3)
    assert found.error < 1e-7


def test_what_cannot_be_computed_is_no_match():
    assert match(slopes_of([LOGISTIC]), 0, ["cos", "x_0"]) is None


def test_the_search_finds_a_term_that_nobody_proposed():
    best = search(slopes_of([LOGISTIC]), 0, [["mul", 0.5, "x_0"]])[0]
    assert skeleton([best.equation]) == "add x_0 pow x_0 2"


def test_a_search_without_rounds_keeps_to_what_is_proposed():
    found = search(slopes_of([LOGISTIC]), 0, [["sin", "x_0"]], rounds=0)
    assert {skeleton([one.equation]) for one in found} == {"sin x_0", "add C x_0"}


def test_equations_of_different_proposals_are_combined():
    proposed = [[["mul", 0.3, "x_1"], ["sin", "x_1"]], [["sin", "x_0"], ["mul", 0.3, "x_0"]]]
    best = match_all([CIRCLE], proposed, fast=True)[0]
    assert [skeleton([equation]) for equation in best] == ["x_1", "x_0"]
    assert constants_of(best) == pytest.approx([1, -1], rel=1e-3)


def noisy(track, seed):
    """With 5 % of noise."""
    noise = 1 + 0.05 * np.random.default_rng(seed).standard_normal(track.values.shape)
    return Track(track.times, noise * track.values)


@pytest.mark.parametrize("seed", range(5))
def test_a_fast_oscillation_is_not_smoothed_away_and_a_slow_curve_is_smoothed(seed):
    fine, deviation = np.linspace(1, 10, 400), np.sqrt(0.5)
    fast = noisy(Track(T, np.cos(5 * T)[:, None]), seed).values[:, 0]
    assert (spline(T, fast)(fine) - np.cos(5 * fine)).std() < 0.15 * deviation
    slow = noisy(Track(T, np.exp(-T / 4)[:, None]), seed).values[:, 0]
    error, rough = (
        (one.derivative()(fine) + np.exp(-fine / 4) / 4).std()
        for one in (spline(T, slow), CubicSpline(T, slow))
    )
    assert error < 0.1 * rough


def test_clean_points_are_kept_up_to_their_ends():
    fine = np.linspace(1, 10, 400)
    assert spline(T, np.exp(-T / 2))(fine) == pytest.approx(np.exp(-fine / 2), abs=5e-6)


def test_noise_pays_for_few_terms():
    """x' = y, y' = −x: a constant may creep in, but not what follows the noise of the circle."""
    found = match_all([noisy(CIRCLE, 1)], [], fast=False)
    assert max(len(terms_of(equation)) for equation in found[0]) <= 2
    assert ["x_1", "x_0"] in [[skeleton([equation]) for equation in one] for one in found]


def test_only_what_is_better_may_be_longer():
    found = search(slopes_of([CIRCLE]), 0, [])
    kept = sorted(front(found), key=lambda one: len(one.equation))
    errors = [one.error for one in kept]
    assert errors == sorted(errors, reverse=True) and len(kept) < len(found)


def test_two_tracks_match_as_one():
    later = Track(T, np.stack([np.sin(T), np.cos(T)], axis=1))
    both = slopes_of([CIRCLE, later])
    assert both.n_points == 100
    found = match(both, 1, ["mul", 0.5, "x_0"])
    assert constants_of([found.equation]) == pytest.approx([-1], rel=1e-3)
