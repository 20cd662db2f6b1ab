"""Which frequency a model believes in: estimators against closed forms and planted answers."""

import math

import pytest
import torch

from attention_in_motion.measures import frequency
from attention_in_motion.physics import oscillator

double = torch.float64


def test_estimators_without_damping_and_over_whole_periods(make):
    whole = make(gamma=(0.0, 0.0), low=2 * math.pi - 1e-9, high=2 * math.pi + 1e-9, context=10)
    assert torch.allclose(frequency.moment_ratio(whole.windows), whole.omega0, rtol=1e-6)
    test = make(gamma=(0.0, 0.0), context=40)
    assert torch.allclose(frequency.slope(test.windows), test.omega0, rtol=1e-9)
    assert (frequency.moment_ratio(test.windows) / test.omega0 - 1).abs().max() > 0.01


def test_estimators_that_know_the_step_are_exact_with_damping(make):
    test = make(gamma=(0.0, 0.5), context=6)
    assert torch.allclose(frequency.least_squares(test.windows, 0.1), test.omega0, rtol=1e-9)
    found = frequency.neighbour(test.windows, test.gamma, 0.1, (0.05, 8.0))
    assert torch.allclose(found, test.omega0, rtol=1e-5)


@pytest.mark.parametrize(("low", "high", "dt"), [(1.0, 4.0, 0.1), (8.0, 12.0, 0.05), (20, 31, 0.1)])
def test_believed_omega0_reads_back_the_frequency_of_a_step_wherever_it_lies(make, low, high, dt):
    test = make(gamma=(0.0, 0.5), low=low, high=high, dt=dt)
    limits = (0.05 * low, min(2 * high, math.pi / dt))
    last = test.windows[:, -1], test.next
    found = frequency.believed_omega0(*last, test.gamma, dt, limits)
    assert torch.allclose(found, test.omega0, rtol=1e-5)
    assert limits[0] < found.min() and found.max() < limits[1]


def test_a_frequency_beyond_the_limits_is_answered_with_the_nearest_limit(make):
    test = make(low=3.99, high=4.01)
    last = test.windows[:, -1], test.next
    found = frequency.believed_omega0(*last, test.gamma, 0.1, (0.05, 2.0))
    assert torch.allclose(found, torch.full_like(found, 2.0), rtol=0.02)


def test_sensitivity_is_the_slope_of_the_next_state(make):
    test = make(n=8)
    k = oscillator.propagator(test.omega0 + 1e-7, test.gamma, 0.1)
    change = (k * test.windows[:, -1, None, :]).sum(-1) - test.next
    found = frequency.sensitivity(test)
    assert torch.allclose(change.norm(dim=-1) / 1e-7, found, rtol=1e-4)


def test_other_moments_keep_orbit_and_last_state_but_raise_the_ratio(make):
    test = make(gamma=(0.0, 0.0), context=40)
    cloud = frequency.with_other_moments(test.windows)
    energy = oscillator.energy(cloud, test.omega0[:, None])
    assert torch.allclose(energy, energy[:, :1].expand_as(energy), rtol=1e-9)
    assert torch.equal(cloud[:, -1], test.windows[:, -1])
    ratio = frequency.moment_ratio(cloud) / frequency.moment_ratio(test.windows)
    assert ratio.min() > 1.05


def test_partial_r2_finds_what_was_planted_and_nothing_else():
    rng = torch.Generator().manual_seed(0)
    given, cause, noise, idle = torch.randn(4, 4000, generator=rng, dtype=double)
    outcome = given**2 + cause + noise  # half of what the cubic leaves
    even = torch.ones_like(given)
    assert abs(frequency.partial_r2(outcome, cause, given, even) - 0.5) < 0.05
    assert abs(frequency.partial_r2(outcome, idle, given, even)) < 0.01
    noisy = torch.where(torch.arange(4000) < 2000, outcome, 1e6 * noise)
    seen = (torch.arange(4000) < 2000).double()
    assert abs(frequency.partial_r2(noisy, cause, given, seen) - 0.5) < 0.05
