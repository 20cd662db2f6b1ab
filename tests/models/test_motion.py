"""The post's layer against the general attention, and the layers written down by hand."""

import pytest
import torch

from attention_in_motion.measures.motion_layer import hard_attention_nmse
from attention_in_motion.models import motion
from attention_in_motion.models.transformer import NLA
from attention_in_motion.physics.uniform_motion import next_position, normalised_mse, quadrature
from attention_in_motion.training.descent import initialisers

DOUBLE = torch.float64


def random_tokens(n, n_seeds=1):
    rng = torch.Generator().manual_seed(0)
    return torch.randn(1, n, 2, 1, generator=rng, dtype=DOUBLE).expand(n_seeds, -1, -1, -1)


def nmse(model, tokens):
    return normalised_mse(model(tokens)[:, :, -1:], next_position(tokens)).item()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("positions", [False, True])
def test_two_tokens_are_the_general_attention_at_context_two(residual, positions):
    """Written as softmax attention with separate W_V, W_O and a key bias, it is the same map."""
    rngs, d, heads = initialisers(range(3)), 2, 2
    shape = {"d_model": d, "n_heads": heads, "residual": residual}
    options = {"projections": "both", "positions": positions}
    model = motion.MotionAttention(rngs, **options, **shape).double()
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


BY_HAND = {
    "residual": motion.residual_layer(),
    "residual, wide": motion.residual_layer(d_model=4, n_heads=2, positions=True),
    "residual, deep": motion.residual_layers(3, d_mlp=8),
    "two heads": motion.two_head_layer(),
    "two of four heads": motion.two_head_layer(d_model=4, n_heads=4),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_exact_layers_are_exact(name):
    assert nmse(BY_HAND[name], random_tokens(1000)) < 1e-29
    assert nmse(BY_HAND[name], 1e3 * random_tokens(1000)) < 1e-29


@pytest.mark.parametrize("n_layers", [2, 3])
def test_gated_layers_are_exact_while_their_gates_hold(n_layers):
    model = motion.gated_layers(n_layers)
    assert nmse(model, random_tokens(1000)) < 1e-27
    assert nmse(model, 30 * random_tokens(1000)) > 1e-3  # |m| beyond the gate's 20


def test_a_shut_gate_of_relu_leaks_nothing(monkeypatch):
    """With gates of ±6 instead of ±20 GELU leaks visibly; ReLU in its place is exact."""
    model, tokens = motion.gated_layers(), 2 * random_tokens(1000).clamp(-2, 2)
    model.blocks[0].mlp.W_1.W[:, 1] *= 0.3
    assert nmse(model, tokens) > 1e-9
    monkeypatch.setattr(torch.nn.functional, "gelu", torch.relu)
    assert nmse(model, tokens) < 1e-28


def test_the_layer_with_layer_norm_errs_by_its_cubic_term():
    tokens, epsilon = random_tokens(200).clamp(-1, 1), 1e-2
    cubic = epsilon**2 / 2 * (tokens**3).sum(dim=2, keepdim=True)
    error = motion.pre_ln_layer(epsilon)(tokens)[:, :, -1:] - next_position(tokens)
    torch.testing.assert_close(error, cubic, rtol=1e-3, atol=1e-9)


def test_without_residual_one_head_averages_at_any_depth():
    """Proof A: y lies between the two values that the tokens would have alone."""
    shape = {"n_layers": 3, "d_in": 1, "d_out": 1, "context": 2, "causal": False}
    model = NLA(initialisers(range(5)), residual=False, attention_bias=True, **shape).double()
    tokens = 3 * random_tokens(100, n_seeds=5)
    values = model.W_E(tokens) + model.P
    for block in model.blocks:
        values = block.attention.W_O(block.attention.W_V(values))
    first, last = model.W_U(values).unbind(2)  # (seed, n, 1) each
    weight = (model(tokens)[:, :, -1] - first) / (last - first)
    assert weight.min() > 0 and weight.max() < 1
    assert weight.std() > 0.01


def test_far_out_one_head_sees_one_token():
    """Proof S: with B ≠ 0, at one of x0 = ±∞ the answer no longer depends on x1."""
    shape = {"n_layers": 1, "d_mlp": 8, "d_in": 1, "d_out": 1, "context": 2, "causal": False}
    model = NLA(initialisers(range(5)), residual=False, attention_bias=True, **shape).double()
    x0 = torch.tensor([-1e6, 1e6], dtype=DOUBLE)
    x1 = torch.tensor([0.1, 0.2], dtype=DOUBLE)
    tokens = torch.cartesian_prod(x0, x1)[None, :, :, None].expand(5, -1, -1, -1)
    y = model(tokens)[:, :, -1, 0].view(5, 2, 2)  # (seed, x0, x1)
    assert (y[:, :, 0] - y[:, :, 1]).abs().amin(dim=1).max() < 1e-6


def test_hard_attention_errs_by_what_its_second_head_leaks():
    gap, epsilon = 6.0, 1 / 3
    tokens = random_tokens(200)
    u = (tokens[:, :, 1] - tokens[:, :, 0]).unsqueeze(2)
    leak = -3 * torch.sigmoid(-gap * (1 + epsilon * u)) * (u + 1 / epsilon)
    error = motion.hard_attention_layer(gap, epsilon)(tokens) - next_position(tokens)
    torch.testing.assert_close(error, leak, rtol=1e-10, atol=1e-12)


def test_hard_attention_tail():
    x0, x1, weights = (torch.from_numpy(part) for part in quadrature(40, "uniform"))
    tokens = torch.stack([x0, x1], dim=-1)[None, ..., None]
    error = motion.hard_attention_layer(20.0, 1 / 3)(tokens) - next_position(tokens)
    measured = (error.flatten() ** 2 @ weights) / ((2 * x1 - x0) ** 2 @ weights)
    assert measured.item() == pytest.approx(hard_attention_nmse(20.0, 1 / 3), rel=0.01)


def test_one_head_errs_like_one_over_the_distance():
    tokens = random_tokens(1000).clamp(-1, 1)
    errors = [nmse(motion.first_order_layer(-0.85, distance), tokens) for distance in (1e3, 2e3)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.01)


def test_every_first_order_solution_has_opposite_query_and_key():
    D = torch.linspace(-50, 50, 100_001, dtype=DOUBLE)
    R, _ = motion.first_order_family(D)
    assert (R < 0).all()
    weight = D.sigmoid()
    g = weight + D * weight * (1 - weight)
    assert 1.0997 < g.max() < 1.0999  # a content-blind query, R = 0, would need g = 2
    assert abs(D[g.argmax()].item() - 2.399) < 2e-3


def test_on_the_diagonal_no_layer_without_residual_tells_the_tokens_apart():
    """d = 1, any number of heads: where h0 = h1, dy/dx0 = dy/dx1, so y = 2 x1 − x0 is excluded."""
    model = motion.MotionAttention(initialisers(range(6)), n_heads=4).double()
    x0 = torch.randn(6, 1, 1, 1, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    x1 = x0 + model.P[:, :, :1] - model.P[:, :, 1:]  # h1 = h0
    tokens = torch.cat([x0, x1], dim=2).detach().requires_grad_()
    gradient = torch.autograd.grad(model(tokens).sum(), tokens)[0]
    torch.testing.assert_close(gradient[:, :, 0], gradient[:, :, 1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"projections": "down"}, "projections = 'down': must be one of both, up, none"),
        ({"d_model": 2}, "d_model = 2: must be d_in = 1 without both projections"),
    ],
)
def test_bad_shapes_are_refused_in_one_line(options, line):
    with pytest.raises(ValueError) as caught:
        motion.MotionAttention([], **options)
    assert str(caught.value) == line
