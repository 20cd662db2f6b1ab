"""Heads that mark extrema: planted ones are found, on rotations that solve their equations."""

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer import extrema, inside, sinks
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.recognise import predict
from attention_in_motion.odeformer.systems.sigmoids import draw_sigmoids

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=2, encoder_heads=4, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=2, decoder_heads=2, max_dimension=2, precision=2),
)
SAMPLES = extrema.rotations(np.random.default_rng(0), 8, 50)


@pytest.fixture(scope="module")
def model():
    return ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()


def test_rotations_solve_their_equations_and_their_extrema_stand_apart():
    for sample in SAMPLES:
        found = predict(sample.system, sample.values[0], sample.times)
        assert np.allclose(found, sample.values, rtol=1e-4, atol=1e-4)
        assert np.allclose(sample.values[0], 1)
    both = extrema.marks(SAMPLES)
    assert (both.sum(-1) >= 3).all()
    assert (both.prod(1).sum(-1) <= 1).all()  # hardly a point is near one of either


def test_extrema_are_interior_turns():
    x = np.cos(np.linspace(0, 4 * np.pi, 41))  # turns at 10, 20, 30
    assert np.flatnonzero(extrema.near_extrema(x, 0)).tolist() == [10, 20, 30]
    assert extrema.near_extrema(x, 1).sum() == 9
    assert extrema.near_extrema(np.arange(9.0)).sum() == 0


def planted_attention(monkeypatch, model, encoder_head):
    """Head `encoder_head` of layer 1 attends to extrema alone."""
    both = extrema.marks(SAMPLES).float() + 1e-3
    either = both.amax(1)
    seen = dict(inside.encoder_activations(model, SAMPLES))
    weights = seen["attentions.1.weights"].clone()
    weights[:, encoder_head] = (either / either.sum(-1, keepdim=True))[:, None]
    seen["attentions.1.weights"] = weights
    monkeypatch.setattr(extrema, "encoder_activations", lambda *a: seen)


def test_a_planted_head_is_chosen_and_scored(model, monkeypatch):
    planted_attention(monkeypatch, model, 2)
    found = extrema.extrema_scores(model, SAMPLES)
    assert found["encoder"]["chosen"].shape == (2, 4)
    assert extrema.best_by_layer(found["encoder"])[1] == pytest.approx(1, abs=1e-4)
    assert int(found["encoder"]["chosen"][1].argmax()) == 2
    assert extrema.best_by_layer(found["encoder"])[0] < 0.7


def test_words_of_an_equation_are_told_apart(model):
    """Means over the words of the two equations, weighted by their number, are that over all."""
    own = extrema.separate_mass(model, SAMPLES)
    assert own.shape == (2, 8, 2, 2, 50)
    assert torch.allclose(own.sum(-1), torch.ones(2, 8, 2, 2).double(), atol=1e-5)
    batch = extrema.as_batch(model, SAMPLES)
    bar = model.config.vocabulary.ids["|"]
    first = (batch["tokens"] == bar).int().argmax(1).double()  # words that the first one reads
    share = (first / (batch["n_tokens"] - 1))[:, None, None, None]
    together = share * own[0] + (1 - share) * own[1]
    assert torch.allclose(together, sinks.attended(model, SAMPLES).plain.double(), atol=1e-5)


def test_the_head_that_avoids_most_is_one_of_those_that_mark_extrema():
    decoder = torch.tensor([[0.9, 0.8, 0.7], [0.6, -0.2, 0.1]])
    avoids = torch.tensor([[0.1, 0.4, 0.2], [0.3, 0.9, 0.99]])
    scores = {
        "decoder": {"chosen": decoder},
        "avoids": {"chosen": avoids, "scored": avoids / 2},
    }
    assert extrema.avoidance(scores) == pytest.approx(0.2)


def test_costs_of_heads_are_of_layer_0_on_the_odd_systems(model):
    heads = {"chosen": torch.tensor([[0.1, 0.9, 0.2, 0.3]])}
    found = extrema.head_costs(model, SAMPLES, heads, 2)
    assert found["best"] == 1 and len(found["heads"]) == 4 and len(found["r2 without"]) == 2


def test_layers_of_features_are_those_of_their_best_heads(model):
    curves = draw_sigmoids(np.random.default_rng(1), 12, 20)
    seen = dict(inside.encoder_activations(model, list(curves.samples())))
    slope = torch.from_numpy(np.abs(curves.slope)).float()
    weights = seen["attentions.1.weights"].clone()
    weights[:, 3] = (slope / slope.sum(-1, keepdim=True))[:, None]
    seen["attentions.1.weights"] = weights
    heads = {"chosen": torch.tensor([[0.9], [0.1]]), "scored": torch.tensor([[0.8], [0.2]])}
    found = extrema.feature_layers(model, curves, seen, heads)
    assert found["slope"][1] == pytest.approx(1, abs=1e-4) and found["slope"][0] < 0.9
    assert found["extrema"] == pytest.approx([0.8, 0.2])


def test_two_points_have_no_extremum():
    with pytest.raises(ValueError, match="points = 2: must be at least 3"):
        extrema.near_extrema(np.zeros(2))
