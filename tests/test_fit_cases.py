"""`fit` on what people bring: curves and counts whose equation is known, and data that have none,
about which a word must be said. Nearly all by the search alone, without a model."""

import json
from pathlib import Path

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from attention_in_motion.fit import Law, fit, leaves_rest, moves
from attention_in_motion.odeformer.measurements import Track

MEASURED = json.loads(
    (Path(__file__).parent / "data" / "measured.json").read_text(encoding="utf-8")
)
T = np.linspace(0, 10, 40)
MINUTES = np.linspace(0, 60, 13)
HOURS = np.array([0, 0.5, 1, 2, 4, 8, 16, 32, 64, 110, 160])
DAYS = np.arange(41)
WEEK = np.linspace(0, 200, 60)
FINE = 0.01 * np.arange(1500)
DECAY = np.exp(-T / 2)


def solved(field, start, times):
    """The trajectory (n, dimension) of x' = field(*x) from a start, by SciPy."""
    span, exact = (times[0], times[-1]), {"method": "DOP853", "rtol": 1e-10, "atol": 1e-12}
    return solve_ivp(lambda _, x: field(*x), span, start, t_eval=times, **exact).y.T


EPIDEMIC = solved(lambda s, i: (-0.5 * s * i, 0.5 * s * i - 0.25 * i), [0.99, 0.01], DAYS)
REVERSED = solved(lambda x, y: (-y, x - (1 - x**2) * y), [1, 2], FINE)
PENDULUM = solved(lambda x, y: (y, -0.2 * y - np.sin(x)), [1.2, 0], 1.5 * T)
TAN, COS = np.tan(0.4), np.cos(0.4)
# x' of polynomial equations: {powers of x_0, x_1: coefficient}, one per coordinate
CASES = {
    "logistic curve from above": (T, 5 / (1 - 4 / 9 * np.exp(-T)), [{(1,): 1, (2,): -0.2}]),
    "fall with drag from rest": (T, 20 * np.tanh(9.81 * T / 20), [{(0,): 9.81, (2,): -0.024525}]),
    "straight line": (T, 3 + 2 * T, [{(0,): 2}]),
    "nearly at rest": (T, 5 + 1e-4 * T, [{(0,): 1e-4}]),
    "coffee": (MINUTES, 22 + 68 * np.exp(-0.045 * MINUTES), [{(0,): 0.99, (1,): -0.045}]),
    "a drug at uneven times": (HOURS, 80 * np.exp(-0.05 * HOURS), [{(1,): -0.05}]),
    "times before zero": (T - 20, 1 - DECAY, [{(0,): 0.5, (1,): -0.5}]),
    "a start near zero": (T, 3 * (1 - (1 - 1e-5) * DECAY), [{(0,): 1.5, (1,): -0.5}]),
    "cells by the billion": (
        WEEK,
        7.5e9 / (1 + 36.5 * np.exp(-0.035 * WEEK)),
        [{(1,): 0.035, (2,): -0.035 / 7.5e9}],
    ),
    "A to B to C": (
        T,
        np.stack([DECAY, 5 / 3 * (np.exp(-T / 5) - DECAY)], axis=1),
        [{(1, 0): -0.5}, {(1, 0): 0.5, (0, 1): -0.2}],
    ),
    "an epidemic": (DAYS, EPIDEMIC, [{(1, 1): -0.5}, {(1, 1): 0.5, (0, 1): -0.25}]),
    "an epidemic, by infected and recovered": (
        DAYS,
        np.stack([EPIDEMIC[:, 1], 1 - EPIDEMIC.sum(axis=1)], axis=1),
        [{(1, 0): 0.25, (2, 0): -0.5, (1, 1): -0.5}, {(1, 0): 0.25}],
    ),
    "a van der Pol oscillator backwards": (
        FINE,
        REVERSED,
        [{(0, 1): -1}, {(1, 0): 1, (0, 1): -1, (2, 1): 1}],
    ),
    "sine and cosine": (
        T,
        np.stack([np.sin(T), np.cos(T)], axis=1),
        [{(0, 1): 1}, {(1, 0): -1}],
    ),
    "waves out of step": (
        T,
        np.stack([2.3 * np.cos(T + 0.5), 1.2 * np.sin(T + 0.1)], axis=1),
        [{(1, 0): -TAN, (0, 1): -2.3 / 1.2 / COS}, {(1, 0): 1.2 / 2.3 / COS, (0, 1): TAN}],
    ),
}


def coefficients(found):
    """{powers: coefficient} of each right-hand side of the best law."""
    rights = found.sympy(None)
    symbols = sympy.symbols([f"x_{i}" for i in range(len(rights))])
    every = [sympy.Poly(right, symbols).terms() for right in rights]
    return [{powers: float(c) for powers, c in terms} for terms in every]


@pytest.mark.parametrize("name", CASES)
def test_the_equation_is_found(name):
    times, values, wanted = CASES[name]
    for given, terms in zip(coefficients(fit(times, values, n_samples=0)), wanted, strict=True):
        assert given == pytest.approx(terms, rel=2e-3)


HALVED = [256 >> k for k in range(9)]  # x' = −log 2 · x
NUMBERS = {
    "half precision": (T.astype(np.float16), DECAY.astype(np.float16), -0.5),
    "single precision": (T.astype(np.float32), DECAY.astype(np.float32), -0.5),
    "tuples": (tuple(T), tuple((x,) for x in DECAY), -0.5),
    "whole numbers": (list(range(9)), HALVED, -np.log(2)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_any_kind(name):
    times, values, rate = NUMBERS[name]
    [given] = coefficients(fit(times, values, n_samples=0, fast=True))
    assert given == pytest.approx({(1,): rate}, rel=2e-3)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e3, 1e9])
def test_a_speed_from_rest_may_have_any_unit(unit):
    wave = np.stack([np.cos(2 * T), -2 * unit * np.sin(2 * T)], axis=1)
    position, speed = coefficients(fit(T, wave, n_samples=0, fast=True))
    assert position == pytest.approx({(0, 1): 1 / unit}, rel=1e-5)
    assert speed == pytest.approx({(1, 0): -4 * unit}, rel=1e-5)


def test_counts_that_decay_to_nothing():
    """Whole numbers, the last ones zero or one."""
    counts = (200 * np.exp(-0.49 * np.arange(13))).round().astype(int).tolist()
    [given] = coefficients(fit(range(13), counts, n_samples=0))
    assert given == pytest.approx({(1,): -0.49}, rel=0.01)


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_on_a_circle_pays_for_no_constant(seed):
    times = np.linspace(1, 10, 50)
    circle = np.stack([np.cos(times), -np.sin(times)], axis=1)
    noise = 1 + 0.05 * np.random.default_rng(seed).standard_normal(circle.shape)
    first, second = coefficients(fit(times, noise * circle, n_samples=0))
    assert first == pytest.approx({(0, 1): 1}, rel=0.03)
    assert second == pytest.approx({(1, 0): -1}, rel=0.03)


def test_a_root_is_a_polynomial_near_it_on_the_data():
    """A tank that empties: x' = −√x / 2 cannot be written."""
    level = (3 - T[:-4] / 4) ** 2
    [right] = fit(T[:-4], level, n_samples=0).sympy(None)
    near = sympy.lambdify(sympy.Symbol("x_0"), right)
    assert near(level) == pytest.approx(-np.sqrt(level) / 2, abs=0.03)


def test_a_pendulum_from_rest_has_its_speed_and_a_push_near_the_sine():
    """x'' = −0.2 x' − sin x: the speed is exact, the sine may be a cubic near it on the data."""
    x, y = PENDULUM.T
    found = sympy.lambdify(
        sympy.symbols("x_0 x_1"), fit(1.5 * T, PENDULUM, n_samples=0).sympy(None)
    )
    speed, push = found(x, y)
    assert speed == pytest.approx(y, abs=1e-3)
    assert push == pytest.approx(-0.2 * y - np.sin(x), abs=0.01)


# ---------------------------------------------------------------------------------------------
# What was measured


def measured(name):
    """(times, values) of a series in the file of data, one column per coordinate."""
    given = MEASURED[name]
    return given["times"], np.column_stack(list(given["values"].values()))


def test_lynx_and_hare_obey_lotka_and_volterra():
    """A form that the model proposes, with the constants that SciPy finds for it."""
    years, pelts = measured("lynx and hare")

    def distances(p):
        a, b, c, d, *start = p
        curve = solved(lambda x, y: (a * x - b * x * y, c * x * y - d * y), start, years)
        return ((curve - pelts) / pelts.std(axis=0)).ravel()

    about = np.array([0.5, 0.03, 0.03, 0.9, 30.0, 4.0])
    a, b, c, d, *_ = least_squares(distances, about, x_scale=about).x
    found = fit(years, pelts.astype(np.float32))
    hare, lynx = coefficients(found)
    assert hare == pytest.approx({(1, 0): a, (1, 1): -b}, rel=2e-3)
    assert lynx == pytest.approx({(1, 1): c, (0, 1): -d}, rel=2e-3)
    assert any("does not show that the equation is right" in note for note in found.notes)


def test_yeast_grows_to_what_its_sugar_feeds():
    [given] = coefficients(fit(*measured("yeast"), n_samples=0))
    assert given.keys() == {(1,), (2,)}
    assert given[(1,)] == pytest.approx(0.54, abs=0.02)
    assert -given[(1,)] / given[(2,)] == pytest.approx(663, abs=5)


def test_a_population_that_no_law_of_its_own_drives_is_doubted():
    found = fit(*measured("United States"), n_samples=0)
    assert found.best.r2 > 0.99 and not found.best.held_out > 0.9
    assert "do not trust it beyond the data" in str(found)


# ---------------------------------------------------------------------------------------------
# Words


def test_a_motion_from_rest_without_its_speed_is_called_that():
    """x = t² from zero: x' = 2 √x never leaves it."""
    found = fit(T, T**2, n_samples=0)
    assert any(note.startswith("The data begin at rest and then move") for note in found.notes)


def test_only_a_law_that_leaves_it_faster_is_wrong_about_rest():
    rest, push = Track(T, (T**2)[:, None]), Law([[2.0]], 1.0, 1.0, 0.0, [[0.0]], [100.0])
    assert leaves_rest(push, rest, [0.0])
    steep = Track(T, 1e-6 * np.exp(5 * T)[:, None])  # as good as at rest for two points
    growth = Law([["mul", 5.0, "x_0"]], 1.0, 1.0, 0.0, [[1e-6]], [float(steep.values.max())])
    assert not leaves_rest(growth, steep, [1e-6])
    assert not leaves_rest(push, Track(T, DECAY[:, None]), [1.0])


def test_a_value_far_from_all_others_is_named():
    wrong = np.exp(-T / 4)
    wrong[20] = 1e39
    found = fit(T, wrong, n_samples=0, fast=True)
    assert found.notes[0].startswith("x_0 is 1e+39 at 5.12821, more than 1000 times what it is")
    assert any("explains little" in note for note in found.notes[1:])
    assert not any("more than" in note for note in fit(T, DECAY, n_samples=0, fast=True).notes)


def test_constants_are_rounded_inside_of_functions_too():
    system = [["sin", "mul", 1.8338586842, "x_0"]]
    law = Law(system, 1.0, 1.0, 0.0, [[1.0]], [1.0])
    assert str(law) == "sin(1.834*x_0)" and "1.834" in law.latex()
    assert "8586" not in law.latex()


def test_an_answer_that_stays_at_its_start_is_none():
    track = Track(T, (1 - DECAY)[:, None])
    assert moves(track.values, track) and not moves(0 * track.values, track)
    assert not moves(1e-3 * track.values, track)
