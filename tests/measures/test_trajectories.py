"""Errors of rollouts whose answer is known."""

import torch

from attention_in_motion.measures import trajectories
from attention_in_motion.physics import oscillator

double = torch.float64


def exact_predictor(test):
    k = oscillator.propagator(test.omega0, test.gamma, test.dt)
    return lambda windows: (k * windows[..., -1:, :]).sum(-1)


def test_the_exact_map_makes_no_error_and_never_reaches_the_limit(make):
    test = make()
    assert trajectories.one_step_mse(exact_predictor(test), test) < 1e-30
    error, phase = trajectories.rollout_error(exact_predictor(test), test)
    assert error.max() < 1e-13 and phase.abs().max() < 1e-13
    assert (trajectories.horizon(error) == 10).all()


def test_a_frozen_state_has_the_phase_error_of_the_time_it_waits(make):
    test = make(gamma=(0.0, 0.0))
    frozen = trajectories.rollout_error(lambda windows: windows[..., -1, :], test)[1]
    swept = test.omega0[:, None] * 0.1 * torch.arange(1, 11)  # radians the truth moves on
    assert torch.allclose(torch.polar(torch.ones(1, dtype=double), frozen[0] + swept).angle(),
                          torch.zeros(1, dtype=double), atol=1e-9)  # fmt: skip


def test_horizon_counts_steps_up_to_the_first_one_beyond():
    errors = torch.tensor([[0.05, 0.2, 0.01], [0.2, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert trajectories.horizon(errors).tolist() == [2, 1, 3]
