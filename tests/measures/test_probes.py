"""Probes: exact on what is linear, honest on noise; moves reach the output."""

import torch

from attention_in_motion.measures import interventions, probes
from attention_in_motion.models.activations import places, record, replaced
from attention_in_motion.models.transformer import NLA
from attention_in_motion.training.descent import initialisers


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_ridge_recovers_a_linear_map_and_shrinks_with_alpha():
    x, W = noise(200, 5), noise(5, 3, seed=1)
    y = x @ W + 2
    fitted = probes.ridge(x, y, alpha=0.0)
    assert torch.allclose(fitted.W, W, atol=1e-10) and torch.allclose(fitted(x), y, atol=1e-10)
    assert probes.ridge(x, y, alpha=10.0).W.norm() < 0.2 * W.norm()


def test_ridge_does_not_depend_on_the_units_of_its_inputs():
    x, y = noise(200, 5), noise(200, 2, seed=1)
    scaled = x * torch.tensor([1e-3, 1, 1e3, 7, 1e6])
    assert torch.allclose(probes.ridge(x, y, 0.3)(x), probes.ridge(scaled, y, 0.3)(scaled))


def test_held_out_r2_is_one_for_what_is_linear_and_below_zero_for_noise_it_was_fitted_to():
    x, fitted = noise(100, 40), torch.arange(100) < 50
    y = torch.cat([x @ noise(40, 1, seed=1), noise(100, 1, seed=2)], dim=1)
    found = probes.held_out_r2(x, y, fitted, alpha=1e-9)
    assert found[0] > 1 - 1e-6 and found[1] < 0


def test_a_move_acts_where_it_is_named_and_ends_with_the_block():
    model = NLA(initialisers([0, 1]), n_layers=2, d_model=4, d_head=4).double()
    x = noise(2, 3, 5, 2)
    before = model(x)
    with replaced(model, "blocks.1.resid_post", lambda h: h + 1):
        after = model(x)
    assert torch.allclose(after - before, model.W_U.W.sum(1)[:, None, None].expand_as(before))
    assert torch.equal(model(x), before)
    assert sorted(record(model, x)) == sorted(places(model))


def test_follow_score_is_one_at_the_goal_and_zero_at_the_start():
    before, wanted = noise(6, 2), noise(6, 2, seed=1)
    assert torch.allclose(
        interventions.follow_score(wanted, before, wanted), torch.ones(6).double()
    )
    assert torch.allclose(
        interventions.follow_score(before, before, wanted), torch.zeros(6).double()
    )


def test_a_quadratic_probe_reads_what_a_linear_one_cannot():
    """Planted: the squared length of a Gaussian vector is no linear function of it."""
    x = torch.randn(600, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    square, half = x.square().sum(1, keepdim=True), probes.every_other(600)
    assert probes.held_out_r2(x, square, half).item() < 0.1
    rich = probes.with_squares(x, half)
    assert rich.shape == (600, 5 + 15)
    assert probes.held_out_r2(rich, square, half).item() > 0.999
    assert probes.with_squares(x, half, components=2).shape == (600, 2 + 3)
