"""Linear rules against closed forms."""

import math

import torch

from attention_in_motion.measures import linear_rules, trajectories
from attention_in_motion.models.linear import in_context_least_squares

double = torch.float64


def test_solved_eq_2_is_exact_for_as_many_frequencies_as_tokens():
    for n, exact in ((2, True), (3, False)):
        omega0 = torch.linspace(1, 4, n).repeat(60)
        sets = [
            trajectories.held_out(omega0, gamma=(0.1, 0.1), dt=0.1, context=2, dtype=double, seed=s)
            for s in (0, 1)
        ]
        beta, _ = linear_rules.solved_linear(sets[0], rcond=1e-13)
        mse = trajectories.one_step_mse(linear_rules.linear(beta), sets[1])
        assert (mse < 1e-25) == exact


def test_closed_loop_poles_of_one_frequency_are_the_oscillators(make):
    test = make(low=1.9999999, high=2.0000001, context=1)
    beta, _ = linear_rules.solved_linear(test, rcond=1e-13)
    poles = linear_rules.closed_loop_poles(beta)
    expected = math.exp(-0.01), math.sqrt(4 - 0.01) * 0.1
    assert torch.allclose(poles.abs(), torch.tensor(expected[0], dtype=double), atol=1e-6)
    assert torch.allclose(poles.angle().abs(), torch.tensor(expected[1], dtype=double), atol=1e-6)


def test_superposition_tells_linear_rules_from_those_that_find_the_frequency(make):
    test, other = make(), make(seed=5, low=4.0, high=1.0)
    affine = linear_rules.linear(torch.randn(25, 2, dtype=double))
    windows = test.windows, other.windows
    assert linear_rules.superposition_defect(affine, *windows) < 1e-12
    assert linear_rules.superposition_defect(in_context_least_squares, *windows) > 1e-2
