"""The closed form is post 3's layer, its first order the gradient, and the best layer a minimum."""

import numpy as np
import pytest
import torch

from attention_in_motion.measures import motion_layer
from attention_in_motion.models import motion
from attention_in_motion.physics import uniform_motion
from attention_in_motion.training.descent import initialisers

DOUBLE = torch.float64


def random_tokens(n, n_seeds=1, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(1, n, 2, 1, generator=rng, dtype=DOUBLE).expand(n_seeds, -1, -1, -1)


def random_layer(n_seeds=5):
    """One-dimensional layers with random weights, and their seven numbers at input scale 0.7."""
    model = motion.MotionAttention(initialisers(range(n_seeds))).double().requires_grad_(False)
    return model, motion_layer.layer_of(model, 0.7)


def test_closed_form_is_the_layer():
    model, layer = random_layer()
    tokens = random_tokens(50, n_seeds=5)
    x0, x1 = tokens[:, :, 0, 0].T, tokens[:, :, 1, 0].T  # (n, seed)
    closed = motion_layer.output(layer, x0, x1)
    torch.testing.assert_close(model(0.7 * tokens)[:, :, 0, 0], closed.T, rtol=0, atol=1e-12)


def test_first_order_is_the_gradient_at_rest():
    _, layer = random_layer()
    x = torch.zeros(2, 5, dtype=DOUBLE, requires_grad=True)
    gradient = torch.autograd.grad(motion_layer.output(layer, x[0], x[1]).sum(), x)[0]
    _, D, R = motion_layer.dimensionless(layer)
    expected = layer.a * layer.s * torch.stack(motion_layer.first_order(D, R))
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


def test_only_the_ratio_of_input_scale_and_distance_matters():
    _, layer = random_layer()
    wide = layer._replace(s=2 * layer.s, p0=2 * layer.p0, p1=2 * layer.p1)
    wide = wide._replace(A=layer.A / 4, Q=layer.Q / 2, a=layer.a / 2)
    x0, x1 = torch.tensor(0.3, dtype=DOUBLE), torch.tensor(-1.2, dtype=DOUBLE)
    torch.testing.assert_close(
        motion_layer.output(wide, x0, x1), motion_layer.output(layer, x0, x1)
    )


def test_first_order_family_is_the_motion():
    D = torch.linspace(-6, 1, 200, dtype=DOUBLE)
    R, gain = motion.first_order_family(D)
    c0, c1 = motion_layer.first_order(D, R)
    torch.testing.assert_close(gain * c0, -torch.ones_like(D))
    torch.testing.assert_close(gain * c1, 2 * torch.ones_like(D))


def test_every_first_order_solution_has_opposite_query_and_key():
    D = torch.linspace(-50, 50, 100_001, dtype=DOUBLE)
    R, _ = motion.first_order_family(D)
    assert (R < 0).all()
    weight = D.sigmoid()
    g = weight + D * weight * (1 - weight)
    assert 1.0997 < g.max() < 1.0999  # a content-blind query, R = 0, would need g = 2
    assert abs(D[g.argmax()].item() - 2.399) < 2e-3


def test_hard_attention_tail():
    x0, x1, weights = (torch.from_numpy(part) for part in uniform_motion.quadrature(40, "uniform"))
    tokens = torch.stack([x0, x1], dim=-1)[None, ..., None]
    error = motion.hard_attention_layer(20.0, 1 / 3)(tokens) - uniform_motion.next_position(tokens)
    expected = motion_layer.hard_attention_nmse(20.0, 1 / 3)
    measured = (error.flatten() ** 2 @ weights) / ((2 * x1 - x0) ** 2 @ weights)
    assert measured.item() == pytest.approx(expected, rel=0.01)


def expected_error(epsilon, D, R, gain):
    """Normalised MSE of a written-out layer, with the best constant, by the Gauss rule."""
    x0, x1, weights = (torch.from_numpy(part) for part in uniform_motion.quadrature(20))
    one = torch.ones((), dtype=DOUBLE)
    layer = motion_layer.Layer(
        one, 0 * one, one / epsilon, R * epsilon**2, D * epsilon, gain * one, 0 * one
    )
    error = motion_layer.output(layer, x0, x1) - 2 * x1 + x0
    return (weights @ (error - weights @ error) ** 2 / 5).item()


@pytest.mark.parametrize("epsilon", [0.1 / 2.956, -0.05])
def test_best_layer_is_a_minimum_of_the_layer_itself(epsilon):
    best = motion_layer.best_layer(epsilon)
    found = [best.D, best.R, best.gain]
    assert expected_error(epsilon, *found) == pytest.approx(best.nmse, rel=1e-6)
    for index, sign in [(i, s) for i in range(3) for s in (-1, 1)]:
        moved = list(found)
        moved[index] *= 1 + sign * 0.02
        assert expected_error(epsilon, *moved) > best.nmse


def test_best_layer_mirrors_with_the_sign_of_the_distance():
    plus, minus = motion_layer.best_layer(0.04), motion_layer.best_layer(-0.04)
    assert plus.nmse == pytest.approx(minus.nmse, rel=1e-6)
    np.testing.assert_allclose(plus.alpha, minus.alpha * [1, -1, -1], rtol=1e-3)


def test_best_layer_at_the_posts_distance_gives_the_posts_numbers():
    best = motion_layer.best_layer(-0.1 / 2.956)
    assert best.alpha == pytest.approx([0.300, -0.006, 0.068], abs=0.008)
    assert best.r2 == pytest.approx(0.996, abs=5e-4)


def test_regression_of_the_attention_is_the_best_layers():
    best, one = motion_layer.best_layer(0.04), torch.ones(1, dtype=DOUBLE)
    A, Q = best.R * 0.04**2 * one, best.D * 0.04 * one
    layer = motion_layer.Layer(s=one, p0=0 * one, p1=one / 0.04, A=A, Q=Q, a=one, c=one)
    coefficients, r2 = motion_layer.regress_attention(layer)
    np.testing.assert_allclose(coefficients[0], best.alpha, atol=1e-8)
    assert r2.item() == pytest.approx(best.r2, abs=1e-8)


def test_the_best_gap_is_the_limit_of_the_best_layers():
    assert pytest.approx(motion_layer.BEST_GAP, abs=5e-4) == motion_layer.best_layer(1e-3).D
