"""The linear rivals against planted rules."""

import pytest
import torch

from attention_in_motion.models import linear, transformer
from attention_in_motion.physics import oscillator
from attention_in_motion.training.descent import initialisers

double = torch.float64


def nla(seeds=3, **options):
    return transformer.NLA(initialisers(range(seeds)), **options).double().requires_grad_(False)


def states(*shape):
    return torch.randn(*shape, 2, generator=torch.Generator().manual_seed(0), dtype=double)


def test_solved_linear_predictor_recovers_a_planted_rule():
    windows = states(200, 3)
    beta = torch.randn(7, 2, generator=torch.Generator().manual_seed(1), dtype=double)
    targets = linear.apply_linear_predictor(beta, windows)
    solution, rank = linear.solve_linear_predictor(windows, targets, rcond=1e-12)
    torch.testing.assert_close(solution, beta, rtol=1e-11, atol=1e-12)
    assert rank == 7


def test_tokens_of_one_frequency_have_rank_two():
    times = oscillator.uniform_times(11, 0.1, double)
    whole = oscillator.trajectory(states(100), 2.0, 0.1, times)
    _, rank = linear.solve_linear_predictor(whole[:, :-1], whole[:, -1], rcond=1e-12)
    assert rank == 3  # two states and the constant


def test_trainable_linear_predictor_is_the_same_map():
    model = linear.LinearPredictor(initialisers([0]), context=3).double()
    beta = torch.cat([model.beta.W[0], model.beta.b[0]])
    windows = states(5, 3)
    expected = linear.apply_linear_predictor(beta, windows)
    torch.testing.assert_close(model(windows[None])[0, :, 0], expected)


def test_in_context_least_squares_needs_no_frequency():
    omega0 = torch.linspace(1, 4, 50, dtype=double)
    times = oscillator.uniform_times(6, 0.1, double)
    whole = oscillator.trajectory(states(50), omega0, 0.1, times)
    predicted = linear.in_context_least_squares(whole[:, :-1])
    torch.testing.assert_close(predicted, whole[:, -1], rtol=1e-10, atol=1e-11)


def test_two_states_do_not_determine_a_matrix():
    with pytest.raises(ValueError, match="T = 2: in-context least squares needs T >= 3"):
        linear.in_context_least_squares(states(4, 2))
