"""What is done to a trajectory: points left out, noise, and the scaled convention."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from attention_in_motion.odeformer.systems.families import FAMILIES, family_group
from attention_in_motion.odeformer.systems.trajectories import (
    Sample,
    corrupt,
    corrupt_as_published,
    rescale,
    with_canonical_target,
)


def test_corruption_keeps_order_and_the_right_number():
    rng = np.random.default_rng(11)
    times = np.linspace(1, 10, 41)
    sample = Sample([["x_0"]], times, times[:, None] * 2, "test")
    thinned = corrupt(rng, sample, ratio=0.3, gamma=0.0)
    assert len(thinned.times) == 41 - int(41 * 0.3)
    assert np.array_equal(thinned.values[:, 0], 2 * thinned.times)
    assert (np.diff(thinned.times) > 0).all()
    whole = corrupt(rng, sample, ratio=0.0, gamma=0.0)
    assert np.array_equal(whole.values, sample.values)


def test_noise_is_multiplicative_with_the_given_size():
    rng = np.random.default_rng(12)
    values = np.exp(rng.standard_normal((20000, 2)))
    noisy = corrupt(rng, Sample([["x_0"]], np.arange(20000.0), values, "test"), 0.0, 0.05)
    relative = noisy.values / values - 1
    assert abs(relative.std() - 0.05) < 5 * 0.05 / (2 * relative.size) ** 0.5
    assert abs(np.corrcoef(relative.T)[0, 1]) < 5 / 20000**0.5


def test_published_corruption_always_keeps_the_same_half():
    times = np.linspace(1, 10, 60)
    sample = Sample([["x_0"]], times, np.ones((60, 1)), "test")
    first, second = (corrupt_as_published(np.random.default_rng(s), sample) for s in (0, 1))
    assert len(first.times) == 30
    assert np.array_equal(first.times, second.times)
    assert not np.array_equal(first.values, second.values)


def test_rescaled_system_is_the_ode_of_the_rescaled_trajectory(random_samples, derivatives):
    """Scaling changes no trajectory: the scaled field at y is the field at x, in the new units."""
    for dimension in (1, 2, 3):
        for sample in random_samples(dimension, 12, seed=20 + dimension):
            if np.abs(sample.values[0]).min() < 0.01:
                continue
            scaled = rescale(sample)
            assert scaled.times[0] == 1 and np.isclose(scaled.times[-1], 10, rtol=1e-14)
            assert np.array_equal(scaled.values[0], np.ones(dimension))
            derivative = derivatives(sample.system, sample.values.T).T / sample.values[0]
            assert np.allclose(
                derivatives(scaled.system, scaled.values.T).T, derivative, rtol=1e-9, atol=1e-9
            )


def test_integrating_the_rescaled_system_gives_the_rescaled_trajectory(relative_error):
    for name in FAMILIES:
        group = family_group(np.random.default_rng(13), name, 30, 16)
        for sample in itertools.islice(group.samples(), 4):
            thinned = corrupt(np.random.default_rng(14), sample, ratio=0.4, gamma=0.0)
            if np.abs(thinned.values[0]).min() >= 0.01:
                assert relative_error(rescale(thinned)) < 1e-8, (name, sample.system)


def test_rescaling_by_hand():
    times = np.array([0.0, 1.0, 3.0])
    sample = Sample([["mul", 2.0, "pow", "x_0", 2]], times, np.array([[0.5], [1.0], [2.0]]), "test")
    scaled = rescale(sample)  # t' = 1 + 3 t, x' = 2 x, so dx'/dt' = 2/3 · 2 (x'/2)² = x'²/3
    assert scaled.times.tolist() == [1, 4, 10]
    assert scaled.values[:, 0].tolist() == [1, 2, 4]
    assert np.allclose(scaled.system[0][1], 1 / 3)


def test_tiny_first_value_cannot_be_rescaled():
    sample = Sample([["x_0"]], np.array([1.0, 2.0]), np.array([[1e-3], [1.0]]), "test")
    with pytest.raises(ValueError, match=r"0\.001: must be 0\.01 or more"):
        rescale(sample)


def test_unscaled_targets_have_four_decimals():
    sample = Sample([["mul", 0.123456, "x_0"]], np.array([1.0]), np.ones((1, 1)), "test")
    assert with_canonical_target(sample).system == [["mul", 0.1235, "x_0"]]
