"""Attention against PyTorch's own, and its symmetries."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from attention_in_motion.models.activations import record
from attention_in_motion.models.attention import Attention, Linear, attention_weights
from attention_in_motion.training.descent import initialisers


def inputs(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def attention(**options):
    return Attention(8, 4, initialisers(range(3)), n_heads=2, **options).double()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("scale", [1.0, 2.0**0.5, 4.0])
def test_weights_agree_with_scaled_dot_product_attention(causal, scale):
    q, k, v = inputs(3, 5, 2, 7, 4)
    mine = attention_weights(q, k, causal=causal, scale=scale) @ v
    theirs = scaled_dot_product_attention(q, k, v, is_causal=causal, scale=1 / scale)
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_queries_are_the_last_positions():
    q, k = inputs(2, 5, 7, 4)
    whole = attention_weights(q, k, causal=True, scale=2.0)
    part = attention_weights(q[:, -3:], k, causal=True, scale=2.0)
    torch.testing.assert_close(part, whole[:, -3:])


def test_causal_outputs_ignore_the_future():
    layer, x = attention(causal=True), inputs(3, 4, 6, 8)
    changed = x.clone()
    changed[:, :, 4:] += 1
    before, after = layer(x), layer(changed)
    assert torch.equal(before[:, :, :4], after[:, :, :4])
    assert (before[:, :, 4:] - after[:, :, 4:]).abs().min() > 0


def test_without_mask_outputs_follow_a_permutation():
    layer, x = attention(causal=False), inputs(3, 4, 6, 8)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(layer(x[:, :, order]), layer(x)[:, :, order])


def test_recording_changes_nothing_and_shows_what_was_used():
    layer, x = attention(causal=True), inputs(3, 4, 6, 8)
    seen = record(layer, x)
    assert set(seen) == {"weights", "values", "heads"}
    assert torch.equal(seen["weights"] @ seen["values"], seen["heads"])
    assert torch.equal(layer.W_O(seen["heads"].transpose(-3, -2).flatten(-2)), layer(x))
    torch.testing.assert_close(seen["weights"].sum(-1), torch.ones(3, 4, 2, 6).double())


def test_last_position_alone_is_the_last_position():
    layer, x = attention(causal=True), inputs(3, 4, 6, 8)
    torch.testing.assert_close(layer(x, last=True), layer(x)[:, :, -1:])


def test_linear_is_one_product_per_seed():
    layer, x = Linear(4, 3, True, initialisers(range(2))).double(), inputs(2, 5, 6, 4)
    expected = torch.einsum("sbti,sio->sbto", x, layer.W) + layer.b[:, None]
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"d_model": 7, "d_head": 4}, "d_head = 4: must divide d_model = 7"),
        ({"d_model": 8, "d_head": 4, "logit_scale": "none"}, "logit_scale = 'none'"),
    ],
)
def test_bad_shapes_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        Attention(rngs=initialisers([0]), **options)
