"""The models' exact properties, and their linear rivals against closed forms."""

import pytest
import torch

from attention_in_motion import models, oscillator
from attention_in_motion.training import initialisers

double = torch.float64


def nla(seeds=3, **options):
    return models.NLA(initialisers(range(seeds)), **options).double().requires_grad_(False)


def states(*shape):
    return torch.randn(*shape, 2, generator=torch.Generator().manual_seed(0), dtype=double)


def test_context_one_is_affine_and_one_step_map_names_it():
    model, x = nla(), states(3, 50, 1)
    matrix, offset = models.one_step_map(model)
    expected = torch.einsum("sij,sbtj->sbti", matrix, x) + offset[:, None, None]
    torch.testing.assert_close(model(x), expected, rtol=1e-13, atol=1e-14)


def test_without_biases_the_map_has_no_offset():
    model = nla(bias=False)
    assert models.one_step_map(model)[1].abs().max() == 0
    assert model(torch.zeros(3, 1, 1, 2, dtype=double)).abs().max() == 0


def test_two_tokens_are_not_linear():
    model, x, y = nla(), states(3, 50, 2), states(3, 50, 2).flip(1)
    defect = model(x + y) - model(x) - model(y) + model(torch.zeros_like(x))
    assert defect.abs().max() > 1e-3


def test_a_member_of_an_ensemble_is_the_model_of_its_seed():
    x = states(1, 4, 5)
    alone = models.NLA(initialisers([2]), n_layers=2, d_model=4).double()
    together = nla(n_layers=2, d_model=4)(x.expand(3, -1, -1, -1))
    torch.testing.assert_close(together[2:], alone(x), rtol=1e-13, atol=1e-14)


def test_last_skips_only_what_is_not_needed():
    model, x = nla(n_layers=3, d_model=8, d_head=4, n_heads=2, d_mlp=5, context=6), states(3, 4, 6)
    torch.testing.assert_close(model(x, last=True), model(x)[:, :, -1:])


def test_without_mask_and_positions_order_is_invisible():
    model, x = nla(n_layers=3, d_model=8, d_head=4, causal=False), states(3, 4, 6)
    shuffled = x[:, :, [2, 4, 0, 3, 1, 5]]  # the last state stays last
    torch.testing.assert_close(model(shuffled)[:, :, -1], model(x)[:, :, -1])


def test_cutting_attention_leaves_the_direct_path():
    model, x = nla(), states(3, 4, 6)
    direct = model.W_U(model.W_E(x))
    torch.testing.assert_close(models.without_attention(model)(x), direct)
    assert models.attention_share(models.without_attention(model)).max() == 0


def test_solved_linear_predictor_recovers_a_planted_rule():
    windows = states(200, 3)
    beta = torch.randn(7, 2, generator=torch.Generator().manual_seed(1), dtype=double)
    targets = models.apply_linear_predictor(beta, windows)
    solution, rank = models.solve_linear_predictor(windows, targets, rcond=1e-12)
    torch.testing.assert_close(solution, beta, rtol=1e-11, atol=1e-12)
    assert rank == 7


def test_tokens_of_one_frequency_have_rank_two():
    times = oscillator.uniform_times(11, 0.1, double)
    whole = oscillator.trajectory(states(100), 2.0, 0.1, times)
    _, rank = models.solve_linear_predictor(whole[:, :-1], whole[:, -1], rcond=1e-12)
    assert rank == 3  # two states and the constant


def test_trainable_linear_predictor_is_the_same_map():
    model = models.LinearPredictor(initialisers([0]), context=3).double()
    beta = torch.cat([model.beta.W[0], model.beta.b[0]])
    windows = states(5, 3)
    expected = models.apply_linear_predictor(beta, windows)
    torch.testing.assert_close(model(windows[None])[0, :, 0], expected)


def test_in_context_least_squares_needs_no_frequency():
    omega0 = torch.linspace(1, 4, 50, dtype=double)
    times = oscillator.uniform_times(6, 0.1, double)
    whole = oscillator.trajectory(states(50), omega0, 0.1, times)
    predicted = models.in_context_least_squares(whole[:, :-1])
    torch.testing.assert_close(predicted, whole[:, -1], rtol=1e-10, atol=1e-11)


def test_two_states_do_not_determine_a_matrix():
    with pytest.raises(ValueError, match="T = 2: in-context least squares needs T >= 3"):
        models.in_context_least_squares(states(4, 2))
