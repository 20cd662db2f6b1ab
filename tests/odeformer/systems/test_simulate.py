"""The integrator: exact weights, independent columns, and what is given up."""

from __future__ import annotations

import numpy as np
import pytest

from attention_in_motion.odeformer.language.expressions import vector_field
from attention_in_motion.odeformer.systems.families import FAMILIES, signed
from attention_in_motion.odeformer.systems.simulate import extrapolation_weights, integrate


def test_extrapolation_weights_remove_even_powers():
    weights, n = extrapolation_weights(np.array([8, 6, 4, 2])), np.array([8.0, 6, 4, 2])
    assert np.isclose(weights.sum(), 1)
    for power in (2, 4, 6):
        assert abs(weights @ n**-power) < 1e-13


def test_columns_do_not_see_each_other():
    rng = np.random.default_rng(3)
    system, times = FAMILIES["linear"].system, np.linspace(1, 10, 20)
    constants, start = FAMILIES["linear"].draw(rng, 16)
    field = vector_field(system)
    values, kept = integrate(field, start, constants, times)
    for j in range(16):
        alone, kept_alone = integrate(field, start[:, [j]], constants[:, [j]], times)
        assert kept_alone[0] == kept[j]
        assert np.allclose(alone[:, :, 0], values[:, :, j], rtol=1e-12, equal_nan=True)


def test_error_falls_with_the_tolerance():
    field, times = vector_field(FAMILIES["damped"].system), np.linspace(1, 10, 5)
    arguments = field, np.array([[1.0], [0.0]]), np.array([[-9.0], [0.0]]), times
    exact = np.cos(3 * (times - 1))
    errors = []
    for tolerance in (1e-4, 1e-6, 1e-8):
        values, _ = integrate(*arguments, tolerance=tolerance, max_steps=1000)
        errors.append(np.abs(values[:, 0, 0] - exact).max())
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_blow_ups_poles_and_stiff_systems_are_left_out():
    field, times = vector_field([["mul", 1.0, "pow", "x_0", 2]]), np.linspace(1, 10, 20)
    start = np.array([[1.0, -1.0, 0.1]])  # poles at t = 2, none, 11
    _, kept = integrate(field, start, np.ones((1, 3)), times)
    assert kept.tolist() == [False, True, True]
    pole = vector_field([["mul", 1.0, "pow", "x_0", -1]])  # x² = 1 − 2 t reaches zero
    assert not integrate(pole, np.array([[1.0]]), np.array([[-1.0]]), times)[1][0]
    linear = vector_field([["mul", 1.0, "x_0"]])
    assert not integrate(linear, np.array([[1.0]]), np.array([[-1e4]]), times)[1][0]


@pytest.mark.parametrize("bound", [2.0, 100.0])
def test_no_kept_trajectory_reaches_the_bound(bound):
    rng = np.random.default_rng(4)
    field, constants = vector_field([["mul", 1.0, "x_0"]]), signed(rng, 0.01, 2, (1, 200))
    values, kept = integrate(
        field, np.ones((1, 200)), constants, np.linspace(1, 10, 9), bound=bound
    )
    assert np.abs(values[:, :, kept]).max() < bound
    assert np.array_equal(kept, np.exp(9 * constants[0]) < bound)
