"""`fit` on what people bring: clean textbook curves whose equation is known, without a model."""

import numpy as np
import pytest
import sympy

from attention_in_motion.fit import Law, fit, moves
from attention_in_motion.odeformer.measurements import Track

T = np.linspace(0, 10, 40)
MINUTES = np.linspace(0, 60, 13)
HOURS = np.array([0, 0.5, 1, 2, 4, 8, 16, 32, 64, 110, 160])
DECAY = np.exp(-T / 2)
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
    "A to B to C": (
        T,
        np.stack([DECAY, 5 / 3 * (np.exp(-T / 5) - DECAY)], axis=1),
        [{(1, 0): -0.5}, {(1, 0): 0.5, (0, 1): -0.2}],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_equation_is_found(name):
    times, values, wanted = CASES[name]
    found = fit(times, values, n_samples=0)
    symbols = sympy.symbols([f"x_{i}" for i in range(len(wanted))])
    for right, terms in zip(found.sympy(None), wanted, strict=True):
        given = {powers: float(c) for powers, c in sympy.Poly(right, symbols).terms()}
        assert given == pytest.approx(terms, rel=2e-3)


def test_constants_are_rounded_inside_of_functions_too():
    system = [["sin", "mul", 1.8338586842, "x_0"]]
    law = Law(system, 1.0, 1.0, 0.0, [[1.0]], [1.0])
    assert str(law) == "sin(1.834*x_0)" and "1.834" in law.latex()
    assert "8586" not in law.latex()


def test_an_answer_that_stays_at_its_start_is_none():
    track = Track(T, (1 - DECAY)[:, None])
    assert moves(track.values, track) and not moves(0 * track.values, track)
    assert not moves(1e-3 * track.values, track)
