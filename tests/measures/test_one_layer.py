"""A one-layer model is the affine map that is read off its weights."""

import torch

from attention_in_motion.measures import one_layer
from attention_in_motion.models import transformer
from attention_in_motion.training.descent import initialisers

double = torch.float64


def nla(seeds=3, **options):
    return transformer.NLA(initialisers(range(seeds)), **options).double().requires_grad_(False)


def states(*shape):
    return torch.randn(*shape, 2, generator=torch.Generator().manual_seed(0), dtype=double)


def test_context_one_is_affine_and_one_step_map_names_it():
    model, x = nla(), states(3, 50, 1)
    matrix, offset = one_layer.one_step_map(model)
    expected = torch.einsum("sij,sbtj->sbti", matrix, x) + offset[:, None, None]
    torch.testing.assert_close(model(x), expected, rtol=1e-13, atol=1e-14)


def test_without_biases_the_map_has_no_offset():
    model = nla(bias=False)
    assert one_layer.one_step_map(model)[1].abs().max() == 0
    assert model(torch.zeros(3, 1, 1, 2, dtype=double)).abs().max() == 0


def test_cutting_attention_leaves_the_direct_path():
    model, x = nla(), states(3, 4, 6)
    direct = model.W_U(model.W_E(x))
    torch.testing.assert_close(one_layer.without_attention(model)(x), direct)
    assert one_layer.attention_share(one_layer.without_attention(model)).max() == 0
