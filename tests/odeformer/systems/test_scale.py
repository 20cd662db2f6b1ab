"""The scaled convention and its inverse, for data and for equations."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from attention_in_motion.odeformer.language.expressions import (
    canonical,
    constants_of,
    skeleton,
    vector_field,
)
from attention_in_motion.odeformer.systems.families import FAMILIES, family_group
from attention_in_motion.odeformer.systems.prior import random_group, random_system
from attention_in_motion.odeformer.systems.scale import Scale, change_units
from attention_in_motion.odeformer.systems.trajectories import rescale


def test_change_of_units_there_and_back(derivatives):
    rng = np.random.default_rng(15)
    for _ in range(100):
        system = [canonical(equation) for equation in random_system(rng, 2)]
        units, rate = np.exp(rng.standard_normal(2)), 0.7
        back = change_units(change_units(system, units, rate), 1 / units, 1 / rate)
        assert skeleton(back) == skeleton(system)
        x = rng.standard_normal((2, 50))
        there, home = (derivatives(s, x) for s in (system, back))
        assert np.median(np.abs(home / there - 1)) < 1e-12


def samples() -> list:
    rng = np.random.default_rng(0)
    groups = [family_group(rng, name, 20, 30) for name in FAMILIES]
    for dimension in (1, 2, 1, 2, 3, 2):
        system = random_system(rng, dimension)
        groups.append(random_group(rng, system, 20, 200, "repaired", most=2))
    return [sample for group in groups for sample in list(group.samples())[:2]]


def test_original_and_scaled_systems_have_the_same_trajectories():
    rng, checked = np.random.default_rng(1), set()
    for sample in samples():
        units = rng.choice([-1, 1], len(sample.system)) * 10 ** rng.uniform(-3, 3)
        scale = Scale(first=-3.0, rate=10 ** rng.uniform(-2, 2), units=units)
        times = scale.first + (sample.times - 1) / scale.rate
        expected = solution_in_units(sample.system, sample.values[0], sample.times, 1.0) * units
        original = scale.undo(sample.system)
        found = solution_in_units(original, expected[0], times, units)
        assert np.abs(found - expected).max() <= 1e-8 * np.abs(expected).max()
        checked.add(sample.source)
    assert checked == {*FAMILIES, "repaired"}


def solution_in_units(system: list, start: np.ndarray, times: np.ndarray, units) -> np.ndarray:
    """SciPy's, (n, dimension), with an absolute tolerance that goes with the units."""
    field, constants = vector_field(system), np.array(constants_of(system))
    tight = dict(method="DOP853", rtol=1e-12, atol=1e-13 * np.abs(units))
    solved = solve_ivp(
        lambda _, x: field(x, constants), (times[0], times[-1]), start, t_eval=times, **tight
    )
    return solved.y.T


def test_undo_inverts_the_scaler_of_the_training_data(derivatives):
    for sample in samples():
        if np.abs(sample.values[0]).min() < 0.01:
            continue
        scale = Scale.of(sample.times, sample.values)
        scaled = rescale(sample)
        times, values = scale.apply(sample.times, sample.values)
        assert np.allclose(times, scaled.times) and np.allclose(values, scaled.values)
        x = np.random.default_rng(2).normal(size=(len(sample.system), 50))
        ours = derivatives(scale.undo(scaled.system), x)
        original = derivatives(sample.system, x)
        assert np.allclose(ours, original, rtol=1e-6, atol=1e-9)


def test_a_start_at_zero_keeps_its_unit():
    scale = Scale.of(np.array([2.0, 4.0]), np.array([[0.0, -5.0], [1.0, 2.0]]))
    assert scale.units.tolist() == [1.0, -5.0] and (scale.first, scale.rate) == (2.0, 4.5)
    times, values = scale.apply(np.array([2.0, 4.0]), np.array([[0.0, -5.0], [1.0, 2.0]]))
    assert times.tolist() == [1, 10] and values.tolist() == [[0, 1], [1, -0.4]]
