"""The transformers' exact properties."""

import pytest
import torch

from attention_in_motion.models import transformer
from attention_in_motion.training.descent import initialisers

double = torch.float64


def nla(seeds=3, **options):
    return transformer.NLA(initialisers(range(seeds)), **options).double().requires_grad_(False)


def states(*shape):
    return torch.randn(*shape, 2, generator=torch.Generator().manual_seed(0), dtype=double)


def test_two_tokens_are_not_linear():
    model, x, y = nla(), states(3, 50, 2), states(3, 50, 2).flip(1)
    defect = model(x + y) - model(x) - model(y) + model(torch.zeros_like(x))
    assert defect.abs().max() > 1e-3


def test_a_member_of_an_ensemble_is_the_model_of_its_seed():
    x = states(1, 4, 5)
    alone = transformer.NLA(initialisers([2]), n_layers=2, d_model=4).double()
    together = nla(n_layers=2, d_model=4)(x.expand(3, -1, -1, -1))
    torch.testing.assert_close(together[2:], alone(x), rtol=1e-13, atol=1e-14)


def test_layer_norm_is_torchs_for_every_seed():
    norm, x = transformer.LayerNorm(3, 4).double(), states(3, 5, 2, 2).flatten(-2)
    with torch.no_grad():
        norm.w.copy_(torch.arange(12, dtype=double).view(3, 1, 1, 4))
        norm.b.copy_(torch.arange(3, dtype=double).view(3, 1, 1, 1).expand(-1, -1, -1, 4))
    peer = torch.nn.LayerNorm(4).double()
    peer.weight.data, peer.bias.data = norm.w[2].flatten().data, norm.b[2].flatten().data
    torch.testing.assert_close(norm(x)[2], peer(x[2]))


def test_pre_ln_parts_read_the_normalised_stream_and_add_to_the_plain_one():
    model, x = nla(d_model=4, d_head=4, d_mlp=5, layer_norm=True), states(3, 4, 6)
    h, block = model.W_E(x), model.blocks[0]
    middle = h + block.attention(torch.nn.functional.layer_norm(h, (4,)))
    end = middle + block.mlp(torch.nn.functional.layer_norm(middle, (4,)))
    torch.testing.assert_close(model(x), model.W_U(end))
    torch.testing.assert_close(model(x, last=True), model(x)[:, :, -1:])


@pytest.mark.parametrize("residual", [True, False])
def test_post_ln_normalises_what_each_part_has_written(residual):
    options = {"d_mlp": 5, "layer_norm": True, "post": True, "residual": residual}
    model, x = nla(d_model=4, d_head=4, **options), states(3, 4, 6)
    h, block = model.W_E(x), model.blocks[0]
    middle = torch.nn.functional.layer_norm(block.attention(h) + residual * h, (4,))
    end = torch.nn.functional.layer_norm(block.mlp(middle) + residual * middle, (4,))
    torch.testing.assert_close(model(x), model.W_U(end))
    torch.testing.assert_close(model(x, last=True), model(x)[:, :, -1:])


def test_post_ln_needs_a_layer_norm():
    with pytest.raises(ValueError, match=r"^post = True: must be False without layer_norm$"):
        nla(post=True)


def test_last_skips_only_what_is_not_needed():
    model, x = nla(n_layers=3, d_model=8, d_head=4, n_heads=2, d_mlp=5, context=6), states(3, 4, 6)
    torch.testing.assert_close(model(x, last=True), model(x)[:, :, -1:])


def test_without_mask_and_positions_order_is_invisible():
    model, x = nla(n_layers=3, d_model=8, d_head=4, causal=False), states(3, 4, 6)
    shuffled = x[:, :, [2, 4, 0, 3, 1, 5]]  # the last state stays last
    torch.testing.assert_close(model(shuffled)[:, :, -1], model(x)[:, :, -1])


@pytest.mark.parametrize("normalised", [True, False])
def test_a_normalised_step_scales_with_its_window(normalised):
    core = transformer.NLA(initialisers([0, 1]), context=7, causal=False, d_mlp=4)
    model = transformer.ScaledStep(core, normalised=normalised).double()
    windows = states(2, 10, 7)
    scaled = model(3 * windows) - 3 * model(windows)
    assert (scaled.abs().max() < 1e-12) == normalised
