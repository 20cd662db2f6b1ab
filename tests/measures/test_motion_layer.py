"""The one-dimensional layer as a formula, and the least error that formula allows."""

import numpy as np
import pytest
import torch

from attention_in_motion.measures import motion_layer as one
from attention_in_motion.models import motion
from attention_in_motion.models.transformer import NLA
from attention_in_motion.physics.uniform_motion import quadrature
from attention_in_motion.training.descent import initialisers

DOUBLE = torch.float64


def random_layer(n_seeds=5):
    """One-dimensional layers with random weights, and their seven numbers at input scale 0.7."""
    model = motion.MotionAttention(initialisers(range(n_seeds))).double().requires_grad_(False)
    return model, one.layer_of(model, 0.7)


def best_as_layer(epsilon, target_scale=1.0):
    """The weights of the best layer at one ε, at input scale 0.3."""
    best, s = one.best_layer(epsilon), torch.full((1,), 0.3, dtype=DOUBLE)
    P, nothing = s / epsilon, 0 * s
    A, Q, a = best.R / P**2, best.D / P, target_scale * best.gain / s
    return best, one.Layer(s=s, p0=nothing, p1=P, A=A, Q=Q, a=a, c=nothing)


def test_closed_form_is_the_layer():
    model, layer = random_layer()
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randn(1, 50, 2, 1, generator=rng, dtype=DOUBLE).expand(5, -1, -1, -1)
    x0, x1 = tokens[:, :, 0, 0].T, tokens[:, :, 1, 0].T  # (n, seed)
    closed = one.output(layer, x0, x1)
    torch.testing.assert_close(model(0.7 * tokens)[:, :, 0, 0], closed.T, rtol=0, atol=1e-12)


def test_attention_is_a_function_of_the_three_numbers_of_shape():
    _, layer = random_layer()
    layer = one.members(layer, torch.arange(5))
    x0, x1 = torch.randn(2, 7, 1, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    numbers = one.dimensionless(layer)
    shaped = one.attention_of_shape(*(part.numpy() for part in (*numbers, x0, x1)))
    np.testing.assert_allclose(shaped, one.attention_to_last(layer, x0, x1), rtol=1e-12)


def test_first_order_is_the_gradient_at_rest():
    _, layer = random_layer()
    x = torch.zeros(2, 5, dtype=DOUBLE, requires_grad=True)
    gradient = torch.autograd.grad(one.output(layer, x[0], x[1]).sum(), x)[0]
    _, D, R = one.dimensionless(layer)
    expected = layer.a * layer.s * torch.stack(one.first_order(D, R))
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


def test_first_order_family_is_the_motion():
    D = torch.linspace(-6, 1, 200, dtype=DOUBLE)
    R, gain = motion.first_order_family(D)
    c0, c1 = one.first_order(D, R)
    torch.testing.assert_close(gain * c0, -torch.ones_like(D))
    torch.testing.assert_close(gain * c1, 2 * torch.ones_like(D))


def test_only_the_ratio_of_input_scale_and_distance_matters():
    _, layer = random_layer()
    wide = layer._replace(s=2 * layer.s, p0=2 * layer.p0, p1=2 * layer.p1)
    wide = wide._replace(A=layer.A / 4, Q=layer.Q / 2, a=layer.a / 2)
    x0, x1 = torch.tensor(0.3, dtype=DOUBLE), torch.tensor(-1.2, dtype=DOUBLE)
    torch.testing.assert_close(one.output(wide, x0, x1), one.output(layer, x0, x1))


def test_members_are_the_chosen_seeds_in_float64():
    model = motion.MotionAttention(initialisers(range(4)))
    layer = one.layer_of(model.requires_grad_(False), 0.7)
    chosen = one.members(layer, torch.tensor([3, 1]))
    assert chosen.a.dtype == DOUBLE
    assert chosen.a.tolist() == [layer.a[3].item(), layer.a[1].item()]


def test_a_plane_is_found_as_it_is():
    x0, x1, _ = (torch.from_numpy(part) for part in quadrature(20))
    planes = torch.tensor([[0.3, -0.006, 0.068], [-1.0, 2.0, 0.0]], dtype=DOUBLE)
    alpha = torch.stack([torch.ones_like(x0), x0, x1], dim=1) @ planes.mT  # (n², 2)
    curved = alpha[:, :1] + 0.1 * (x0**2 - 1)[:, None]  # orthogonal to every plane
    found, r2 = one.fit_plane(torch.cat([alpha, curved], dim=1))
    torch.testing.assert_close(found, planes[[0, 1, 0]], rtol=0, atol=1e-12)
    explained = 0.006**2 + 0.068**2
    expected = torch.tensor([1, 1, explained / (explained + 0.1**2 * 2)], dtype=DOUBLE)
    torch.testing.assert_close(r2, expected)


def test_regression_of_the_attention_is_the_best_layers():
    best, layer = best_as_layer(0.04)
    coefficients, r2 = one.regress_attention(layer)
    np.testing.assert_allclose(coefficients[0], best.alpha, atol=1e-12)
    assert r2.item() == pytest.approx(best.r2, abs=1e-12)


def expected_error(epsilon, D, R, gain):
    """Normalised MSE of a written-out layer, with the best constant, by the Gauss rule."""
    x0, x1, weights = (torch.from_numpy(part) for part in quadrature(20))
    unit = torch.ones((), dtype=DOUBLE)
    shape = {"s": unit, "p0": 0 * unit, "p1": unit / epsilon, "A": R * epsilon**2}
    layer = one.Layer(**shape, Q=D * epsilon, a=gain * unit, c=0 * unit)
    error = one.output(layer, x0, x1) - 2 * x1 + x0
    return (weights @ (error - weights @ error) ** 2 / 5).item()


@pytest.mark.parametrize("epsilon", [0.1 / 2.956, -0.05])
def test_best_layer_is_a_minimum_of_the_layer_itself(epsilon):
    best = one.best_layer(epsilon)
    found = [best.D, best.R, best.gain]
    assert expected_error(epsilon, *found) == pytest.approx(best.nmse, rel=1e-6)
    for index, sign in [(i, s) for i in range(3) for s in (-1, 1)]:
        moved = list(found)
        moved[index] *= 1 + sign * 0.02
        assert expected_error(epsilon, *moved) > best.nmse


def test_best_layer_mirrors_with_the_sign_of_the_distance():
    plus, minus = one.best_layer(0.04), one.best_layer(-0.04)
    assert plus.nmse == pytest.approx(minus.nmse, rel=1e-6)
    np.testing.assert_allclose(plus.alpha, minus.alpha * [1, -1, -1], rtol=1e-3)


def test_best_layer_at_the_posts_distance_gives_the_posts_numbers():
    best = one.best_layer(-0.1 / 2.956)
    assert best.alpha == pytest.approx([0.300, -0.006, 0.068], abs=0.008)
    assert best.r2 == pytest.approx(0.996, abs=5e-4)


def test_the_best_layer_is_observed_as_it_is_predicted():
    """Whatever the scales of input and target, and on both sides of ε = 0."""
    for epsilon in (0.04, -0.06):
        best, layer = best_as_layer(epsilon, target_scale=0.7)
        seen = one.observed(layer, torch.tensor([best.nmse]), 0.7)
        expected = one.predicted(torch.tensor([epsilon], dtype=DOUBLE))
        assert seen.shape == (len(one.QUANTITIES), 1)
        torch.testing.assert_close(seen, expected, rtol=1e-6, atol=0)


def test_another_layer_is_not_observed_as_it_is_predicted():
    best, layer = best_as_layer(0.04)
    epsilon = torch.tensor([0.04], dtype=DOUBLE)
    wrong = one.observed(layer._replace(A=1.1 * layer.A), torch.tensor([best.nmse]), 1.0)
    off = (wrong / one.predicted(epsilon) - 1).abs()[:, 0]
    assert off[1].item() == pytest.approx(0.1, abs=1e-6)
    assert off[4] > 0.05  # the slope of α1 on x1 goes with W_q W_k
    assert off[0] < 1e-6 and off[2] < 1e-6


def test_no_seeds_are_predicted_by_no_columns():
    assert one.predicted(torch.zeros(0)).shape == (5, 0)


def test_weights_by_step_have_the_posts_names():
    states = []
    for seed in range(3):
        states.append(motion.MotionAttention(initialisers([seed, seed + 10])).state_dict())
    found = one.weights_by_step(iter(states))
    assert list(found) == ["p0", "p1", "W_q", "W_k", "W_v"]
    assert found["p1"].shape == (3, 2)
    assert found["p1"][2, 1] == states[2]["P"][1, 0, 1, 0]
    assert found["W_k"][1, 0] == states[1]["W_K.W"][0, 0, 0]


def test_half_way_is_the_first_step_past_the_middle():
    values = torch.tensor([[0.0, 4.0], [2.0, 9.0], [6.0, 3.0], [1.0, 5.0], [10.0, 8.0]])
    assert one.half_way(values).tolist() == [2, 1]


def test_last_above_is_the_last_step_above():
    values = torch.tensor([[3.0, 0.0], [0.5, 0.0], [2.0, 0.0], [0.1, 0.0]])
    assert one.last_above(values, 1.0).tolist() == [2, 0]


@pytest.mark.parametrize(
    "model",
    [
        motion.residual_layer(),
        motion.MotionAttention([torch.Generator()], positions=False),
        motion.MotionAttention([torch.Generator()], n_heads=2),
    ],
    ids=["residual", "no positions", "two heads"],
)
def test_any_other_layer_has_no_seven_numbers(model):
    with pytest.raises(
        ValueError, match=r"^model: must have one head, width 1, positions, no proj"
    ):
        one.layer_of(model, 1.0)


def normed_layers(n_layers, d_mlp, size, **where):
    """Five models with LayerNorm whose weights are `size` times as large as they are drawn."""
    shape = {"n_layers": n_layers, "d_mlp": d_mlp, "d_model": 4, "d_head": 2, "n_heads": 2}
    options = {"d_in": 1, "d_out": 1, "causal": False, "attention_bias": True, "layer_norm": True}
    model = NLA(initialisers(range(5)), context=2, **shape, **options, **where).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(size)
    return model.requires_grad_(False)


def far_tokens():
    x0 = torch.logspace(-1, 6, 30, dtype=DOUBLE)
    x1 = torch.tensor([-2.0, 0.5], dtype=DOUBLE)
    tokens = torch.cartesian_prod(torch.cat([x0, -x0]), x1)
    return tokens[None, :, :, None].expand(5, -1, -1, -1)


@pytest.mark.parametrize("size", [1.0, 5.0])
@pytest.mark.parametrize(("n_layers", "d_mlp"), [(1, 0), (2, 8)])
def test_layers_with_layer_norm_add_no_more_than_their_weights_allow(n_layers, d_mlp, size):
    model = normed_layers(n_layers, d_mlp, size)
    most = one.added(model, far_tokens()).abs().amax(dim=1)
    share = most / one.largest_added(model)
    assert share.max() <= 1
    assert share.min() > 1e-4  # a bound, not a number beyond all bounds


def test_one_direction_reaches_the_bound():
    """LN(±big) = ±√2 (1, −1)/√2 in d = 2; uniform attention to two equal tokens passes it on."""
    shape = {"d_model": 2, "d_head": 2, "d_in": 1, "d_out": 1, "causal": False}
    weights = {"W_E.W": [[1.0, -1.0]], "blocks.0.ln_1.w": [[[1.0, 1.0]]]}
    weights |= {"blocks.0.attention.W_V.W": [[0.5], [-0.5]], "blocks.0.attention.W_O.W": [[1.0]]}
    layer = motion.written(
        NLA([torch.Generator()], layer_norm=True, attention_bias=True, **shape),
        weights | {"W_U.W": [[1.0]]},
    )
    tokens = torch.full((1, 1, 2, 1), 1e6, dtype=DOUBLE)
    bound = one.largest_added(layer)
    torch.testing.assert_close(one.added(layer, tokens)[:, 0], bound, rtol=1e-9, atol=0)


@pytest.mark.parametrize("where", [{"post": True}, {"residual": False}], ids=str)
@pytest.mark.parametrize(("n_layers", "d_mlp"), [(1, 0), (2, 8)])
def test_sealed_layers_answer_no_more_than_their_weights_allow(n_layers, d_mlp, where):
    model = normed_layers(n_layers, d_mlp, 5.0, **where)
    most = one.answered(model, far_tokens()).abs().amax(dim=1)
    share = most / one.largest_answer(model)
    assert share.max() <= 1
    assert share.min() > 1e-4  # a bound, not a number beyond all bounds


def test_a_post_ln_layer_reaches_the_bound_on_its_answer():
    """LN(±big) = ±(1, −1) in d = 2, and W_U reads along it."""
    shape = {"d_model": 2, "d_head": 2, "d_in": 1, "d_out": 1, "causal": False}
    weights = {"W_E.W": [[1.0, -1.0]], "blocks.0.ln_1.w": [[[1.0, 1.0]]]}
    options = {"layer_norm": True, "post": True, "attention_bias": True}
    layer = motion.written(
        NLA([torch.Generator()], **options, **shape), weights | {"W_U.W": [[1.0], [-1.0]]}
    )
    tokens = torch.full((1, 1, 2, 1), 1e6, dtype=DOUBLE)
    bound = one.largest_answer(layer)
    torch.testing.assert_close(one.answered(layer, tokens)[:, 0], bound, rtol=1e-9, atol=0)


@pytest.mark.parametrize("model", [normed_layers(1, 0, 1.0), motion.residual_layers(2, d_mlp=8)])
def test_where_the_stream_goes_around_no_bound_on_the_answer_is_given(model):
    with pytest.raises(ValueError, match=r"^model: must be post-LN, or have LayerNorm and no res"):
        one.largest_answer(model)


def test_the_law_of_the_lowest_is_not_that_of_a_seed_that_stopped_short():
    epsilon = torch.tensor([0.5, 0.25, 0.125], dtype=DOUBLE)
    law = 3 * epsilon[:, None] ** 4
    good = torch.cat([law, 1.5 * law, torch.ones_like(law)], dim=1)
    slope, (low, high) = one.slope_of_lowest(epsilon, good)
    assert slope == pytest.approx(4) and low == pytest.approx(4) and high == pytest.approx(4)
    one_only = torch.cat([law, torch.ones_like(law)], dim=1)
    slope, (low, high) = one.slope_of_lowest(epsilon, one_only)
    assert (slope, low, high) == (pytest.approx(4), pytest.approx(0), pytest.approx(4))


def test_without_layer_norm_the_layers_add_what_is_missing():
    layer = motion.residual_layers(2, d_mlp=8)
    tokens = far_tokens()[:1]
    missing = -tokens.sum(dim=2)[:, :, 0]  # 2 x1 − x0 − 3 x1
    torch.testing.assert_close(one.added(layer, tokens), missing)
