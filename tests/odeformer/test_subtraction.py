"""What attention takes away: exact on networks whose products are planted."""

import numpy as np
import pytest
import torch

from attention_in_motion.measures.patching import patched
from attention_in_motion.odeformer import extrema, inside, subtraction
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.systems.sigmoids import times

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=2, encoder_heads=4, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=1, decoder_heads=2, max_dimension=2, precision=2),
)
SAMPLES = extrema.rotations(np.random.default_rng(0), 4, 12)


def network():
    return ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()


def with_minus_identity(size):
    """Each head of layer 0 has product −size on its own four coordinates, and all see all alike."""
    model = network()
    with torch.no_grad():
        attention = model.encoder.attentions[0]
        attention.v_lin.weight[:] = torch.eye(16)
        attention.out_lin.weight[:] = -size * torch.eye(16)
        attention.q_lin.weight.zero_()
        attention.q_lin.bias.zero_()
    return model


def test_a_planted_diagonal_is_found_layer_by_layer():
    model = with_minus_identity(2.0)
    [M, _] = [one.sum(0) for one in subtraction.layer_products(model)]
    assert torch.allclose(M, -2 * torch.eye(16).double())
    found = subtraction.diagonals(network(), 0)
    assert len(found["ratio"]) == len(found["shuffled"]) == 2 and found["heads"].shape == (2, 4)
    with torch.no_grad():
        model.encoder.attentions[0].v_lin.weight += 0.05 * torch.randn(
            16, 16, generator=torch.Generator().manual_seed(1)
        )
    ratio = subtraction.diagonals(model, 0)
    assert ratio["ratio"][0] < -10 and ratio["negative"][0] == 1 and abs(ratio["shuffled"][0]) < 2


def test_a_layer_that_subtracts_is_measured_and_all_can_be_put_back():
    """All heads attend alike, so that the layer writes −2 times the attended mean exactly."""
    model = with_minus_identity(2.0)
    seen = inside.encoder_activations(model, SAMPLES)
    weights = seen["attentions.0.weights"]
    assert torch.allclose(weights, torch.full_like(weights, 1 / 12))
    with torch.no_grad():  # attention that differs between points, but not between heads
        W = torch.randn(4, 16, generator=torch.Generator().manual_seed(2))
        for part in (model.encoder.attentions[0].q_lin, model.encoder.attentions[0].k_lin):
            part.weight[:] = 3 * W.repeat(4, 1)
            part.bias.zero_()
    seen = inside.encoder_activations(model, SAMPLES)
    part = subtraction.parts(model, seen)
    assert torch.allclose(part[:, 0], torch.full((4,), -2.0), atol=1e-4)
    with patched(model, subtraction.put_back(model, part)):
        changed = inside.encoder_activations(model, SAMPLES)
    left = changed["layer_norm1.0.after"]
    x = seen["layer_norm_emb.after"]
    mean = (seen["attentions.0.weights"].mean(1) @ x).mean(1, keepdim=True)
    bias = model.encoder.attentions[0]
    constant = bias.out_lin.bias - 2 * bias.v_lin.bias
    expected = model.encoder.layer_norm1[0](x - 2 * mean + constant)
    assert torch.allclose(left, expected, atol=1e-4)


def test_putting_nothing_back_costs_nothing_and_another_systems_part_is_another_cost():
    found = subtraction.costs(with_minus_identity(1.0), SAMPLES)
    assert found["nothing"] == 0
    assert found["own"] != found["another"]


def test_stencils_add_up_to_the_diagonal_when_every_point_is_within_reach():
    model = with_minus_identity(2.0)
    seen = inside.encoder_activations(model, SAMPLES)
    found = subtraction.stencils(model, seen, torch.from_numpy(times(12)))
    assert found["by layer"].shape == (2, 21)
    # four heads of mean diagonal −2 · 4/16, uniform attention 1/12 at every lag
    assert found["by layer"][0].tolist() == pytest.approx([4 * -0.5 / 12] * 21, abs=1e-5)
