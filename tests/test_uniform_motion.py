"""The post's layer against its closed form, the exact layers, and the impossibility at toy size."""

import numpy as np
import pytest
import torch
from attention_in_motion.exactness import Cell, Objective, refine
from attention_in_motion.experiments import LADDER, MotionRun
from attention_in_motion.rules import RULES

from attention_in_motion import uniform_motion as um
from attention_in_motion.models import NLA
from attention_in_motion.training import fit, initialisers

DOUBLE = torch.float64


def random_tokens(n, n_seeds=1, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(1, n, 2, 1, generator=rng, dtype=DOUBLE).expand(n_seeds, -1, -1, -1)


def random_layer(n_seeds=5):
    """One-dimensional layers with random weights, and their seven numbers at input scale 0.7."""
    model = um.MotionAttention(initialisers(range(n_seeds))).double().requires_grad_(False)
    return model, um.layer_of(model, 0.7)


def nmse(model, tokens):
    return um.normalised_mse(model(tokens), um.next_position(tokens)).item()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("positions", [False, True])
def test_two_tokens_are_the_general_attention_at_context_two(residual, positions):
    """Written as softmax attention with separate W_V, W_O and a key bias, it is the same map."""
    rngs, d, heads = initialisers(range(3)), 2, 2
    shape = {"d_model": d, "n_heads": heads, "residual": residual}
    model = um.MotionAttention(rngs, projections="both", positions=positions, **shape).double()
    shape |= {"d_head": d, "d_in": 1, "d_out": 1, "attention_bias": True, "causal": False}
    peer = NLA(rngs, context=2 * positions, **shape).double()
    attention, state = peer.blocks[0].attention, model.state_dict()
    pairs = {"W_E": peer.W_E, "W_U": peer.W_U, "W_Q": attention.W_Q, "W_V": attention.W_O}
    with torch.no_grad():
        for name, linear in pairs.items():
            linear.W.copy_(state[f"{name}.W"])
            linear.b.copy_(state[f"{name}.b"])
        attention.W_K.W.copy_(state["W_K.W"])
        attention.W_V.W.copy_(torch.eye(d, dtype=DOUBLE).repeat(1, heads))
        attention.W_V.b.zero_()
        if positions:
            peer.P.copy_(model.P)
    assert attention.W_K.b.abs().max() > 0.1
    tokens = random_tokens(50, n_seeds=3)
    torch.testing.assert_close(model(tokens), peer(tokens)[:, :, 1:], rtol=0, atol=1e-12)


def test_closed_form_is_the_layer():
    model, layer = random_layer()
    tokens = random_tokens(50, n_seeds=5)
    x0, x1 = tokens[:, :, 0, 0].T, tokens[:, :, 1, 0].T  # (n, seed)
    closed = um.output(layer, x0, x1)
    torch.testing.assert_close(model(0.7 * tokens)[:, :, 0, 0], closed.T, rtol=0, atol=1e-12)


def test_first_order_is_the_gradient_at_rest():
    _, layer = random_layer()
    x = torch.zeros(2, 5, dtype=DOUBLE, requires_grad=True)
    gradient = torch.autograd.grad(um.output(layer, x[0], x[1]).sum(), x)[0]
    _, D, R = um.dimensionless(layer)
    expected = layer.a * layer.s * torch.stack(um.first_order(D, R))
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


def test_only_the_ratio_of_input_scale_and_distance_matters():
    _, layer = random_layer()
    wide = layer._replace(s=2 * layer.s, p0=2 * layer.p0, p1=2 * layer.p1)
    wide = wide._replace(A=layer.A / 4, Q=layer.Q / 2, a=layer.a / 2)
    x0, x1 = torch.tensor(0.3, dtype=DOUBLE), torch.tensor(-1.2, dtype=DOUBLE)
    torch.testing.assert_close(um.output(wide, x0, x1), um.output(layer, x0, x1))


def test_first_order_family_is_the_motion():
    D = torch.linspace(-6, 1, 200, dtype=DOUBLE)
    R, gain = um.first_order_family(D)
    c0, c1 = um.first_order(D, R)
    torch.testing.assert_close(gain * c0, -torch.ones_like(D))
    torch.testing.assert_close(gain * c1, 2 * torch.ones_like(D))


def test_every_first_order_solution_has_opposite_query_and_key():
    D = torch.linspace(-50, 50, 100_001, dtype=DOUBLE)
    R, _ = um.first_order_family(D)
    assert (R < 0).all()
    weight = D.sigmoid()
    g = weight + D * weight * (1 - weight)
    assert 1.0997 < g.max() < 1.0999  # a content-blind query, R = 0, would need g = 2
    assert abs(D[g.argmax()].item() - 2.399) < 2e-3


@pytest.mark.parametrize("layer", [um.residual_layer, um.two_head_layer])
def test_exact_layers_are_exact(layer):
    assert nmse(layer(), random_tokens(1000)) < 1e-29
    assert nmse(layer(), 1e3 * random_tokens(1000)) < 1e-29


def test_hard_attention_errs_by_what_its_second_head_leaks():
    gap, epsilon = 6.0, 1 / 3
    tokens = random_tokens(200)
    u = (tokens[:, :, 1] - tokens[:, :, 0]).unsqueeze(2)
    leak = -3 * torch.sigmoid(-gap * (1 + epsilon * u)) * (u + 1 / epsilon)
    error = um.hard_attention_layer(gap, epsilon)(tokens) - um.next_position(tokens)
    torch.testing.assert_close(error, leak, rtol=1e-10, atol=1e-12)


def test_hard_attention_tail():
    x0, x1, weights = (torch.from_numpy(part) for part in um.quadrature(40, "uniform"))
    tokens = torch.stack([x0, x1], dim=-1)[None, ..., None]
    error = um.hard_attention_layer(20.0, 1 / 3)(tokens) - um.next_position(tokens)
    expected = um.hard_attention_nmse(20.0, 1 / 3)
    measured = (error.flatten() ** 2 @ weights) / ((2 * x1 - x0) ** 2 @ weights)
    assert measured.item() == pytest.approx(expected, rel=0.01)


def test_one_head_errs_like_one_over_the_distance():
    tokens = random_tokens(1000).clamp(-1, 1)
    errors = [nmse(um.first_order_layer(-0.85, distance), tokens) for distance in (1e3, 2e3)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.01)


def expected_error(epsilon, D, R, gain):
    """Normalised MSE of a written-out layer, with the best constant, by the Gauss rule."""
    x0, x1, weights = (torch.from_numpy(part) for part in um.quadrature(20))
    one = torch.ones((), dtype=DOUBLE)
    layer = um.Layer(one, 0 * one, one / epsilon, R * epsilon**2, D * epsilon, gain * one, 0 * one)
    error = um.output(layer, x0, x1) - 2 * x1 + x0
    return (weights @ (error - weights @ error) ** 2 / 5).item()


@pytest.mark.parametrize("epsilon", [0.1 / 2.956, -0.05])
def test_best_layer_is_a_minimum_of_the_layer_itself(epsilon):
    best = um.best_layer(epsilon)
    found = [best.D, best.R, best.gain]
    assert expected_error(epsilon, *found) == pytest.approx(best.nmse, rel=1e-6)
    for index, sign in [(i, s) for i in range(3) for s in (-1, 1)]:
        moved = list(found)
        moved[index] *= 1 + sign * 0.02
        assert expected_error(epsilon, *moved) > best.nmse


def test_best_layer_mirrors_with_the_sign_of_the_distance():
    plus, minus = um.best_layer(0.04), um.best_layer(-0.04)
    assert plus.nmse == pytest.approx(minus.nmse, rel=1e-6)
    np.testing.assert_allclose(plus.alpha, minus.alpha * [1, -1, -1], rtol=1e-3)


def test_best_layer_at_the_posts_distance_gives_the_posts_numbers():
    best = um.best_layer(-0.1 / 2.956)
    assert best.alpha == pytest.approx([0.300, -0.006, 0.068], abs=0.008)
    assert best.r2 == pytest.approx(0.996, abs=5e-4)


def test_regression_of_the_attention_is_the_best_layers():
    best, one = um.best_layer(0.04), torch.ones(1, dtype=DOUBLE)
    A, Q = best.R * 0.04**2 * one, best.D * 0.04 * one
    layer = um.Layer(s=one, p0=0 * one, p1=one / 0.04, A=A, Q=Q, a=one, c=one)
    coefficients, r2 = um.regress_attention(layer)
    np.testing.assert_allclose(coefficients[0], best.alpha, atol=1e-8)
    assert r2.item() == pytest.approx(best.r2, abs=1e-8)


def test_on_the_diagonal_no_layer_without_residual_tells_the_tokens_apart():
    """d = 1, any number of heads: where h0 = h1, dy/dx0 = dy/dx1, so y = 2 x1 − x0 is excluded."""
    model = um.MotionAttention(initialisers(range(6)), n_heads=4).double()
    x0 = torch.randn(6, 1, 1, 1, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    x1 = x0 + model.P[:, :, :1] - model.P[:, :, 1:]  # h1 = h0
    tokens = torch.cat([x0, x1], dim=2).detach().requires_grad_()
    gradient = torch.autograd.grad(model(tokens).sum(), tokens)[0]
    torch.testing.assert_close(gradient[:, :, 0], gradient[:, :, 1], rtol=1e-10, atol=1e-12)


def bounded_minimum(cell, n_seeds=3):
    ensemble = cell.model(initialisers(range(n_seeds)))
    objective = Objective(ensemble)
    fit(objective, lambda m, _: m(), lambda step: torch.zeros(()), steps=150, lr=0.02)
    refine(cell, ensemble, int(objective().argmin()), 200)
    return objective().min().item()


@pytest.mark.parametrize(
    "cell",
    [Cell(False, 1, 1, True), Cell(False, 2, 1, True), Cell(False, 2, 2, False)],
    ids=["one head", "two heads, d = 1", "two heads, no positions"],
)
def test_no_success_where_theory_forbids_it(cell):
    assert not cell.exact
    assert bounded_minimum(cell) > 1e-10


def test_success_where_theory_allows_it():
    cell = Cell(True, 1, 1, False)
    assert cell.exact
    assert bounded_minimum(cell) < 1e-20


def test_targets_are_the_motion():
    run = MotionRun(seeds=(0,), input_dim=3, embed_dim=3, input_scale=0.1, target_scale=0.2)
    tokens = run.draw(torch.Generator().manual_seed(0), 2)[0]
    assert tokens.shape == (2, 64, 3, 3)
    torch.testing.assert_close(tokens[:, :, 2], 4 * tokens[:, :, 1] - 2 * tokens[:, :, 0])


@pytest.mark.parametrize("claim", LADDER)
def test_every_rung_is_its_seeds_one_by_one(claim):
    def losses(seeds):
        run = MotionRun(seeds=seeds, **LADDER[claim])
        return fit(run.model(), run.loss, run.batches(), steps=5, lr=run.lr)[0]

    torch.testing.assert_close(losses((0, 1, 2))[:, 1:2], losses((1,)), rtol=1e-4, atol=1e-6)


def test_predicting_zero_is_the_unit_of_error():
    run = MotionRun(seeds=(0, 1), **LADDER["P3.8"])
    silent = run.model()
    for weight in silent.parameters():
        torch.nn.init.zeros_(weight)
    error = run.normalised_mse(silent, torch.Generator().manual_seed(0), n=100)
    torch.testing.assert_close(error, torch.ones(2))


def test_every_rung_has_its_rule():
    assert set(LADDER) <= set(RULES)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: um.MotionAttention([], projections="down"), "projections = 'down'"),
        (lambda: um.MotionAttention([], d_model=2), "d_model = 2: must be d_in = 1"),
        (lambda: um.quadrature(3, "cauchy"), "distribution = 'cauchy'"),
        (lambda: um.layer_of(um.residual_layer(), 1.0), "model: must have one head"),
        (lambda: MotionRun(input_scale=0.0), "input_scale = 0: must be > 0"),
        (lambda: MotionRun(layers=2), "layers = 2: must be 1"),
    ],
)
def test_bad_input_is_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
