"""The sign: what is planted is found, patching with itself changes nothing, all of it turns it."""

import numpy as np
import pytest
import torch

from attention_in_motion.measures.patching import taken_from
from attention_in_motion.odeformer import signs as of_signs
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.recognise import predict

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=1, encoder_heads=2, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=3, decoder_heads=2, max_dimension=2, precision=2),
)
SAMPLES = of_signs.exponentials(np.random.default_rng(0), 6, 12)


def network(seed=0):
    return ODEFormer(TINY, torch.Generator().manual_seed(seed)).eval()


@pytest.fixture(scope="module")
def signs():
    return of_signs.Signs(network(), SAMPLES)


def test_pairs_solve_their_equations_and_have_one_rate():
    for sample in SAMPLES:
        assert np.allclose(predict(sample.system, [1.0], sample.times), sample.values, rtol=1e-5)
    rates = np.array([sample.system[0][1] for sample in SAMPLES])
    assert np.array_equal(rates[:6], -rates[6:]) and (rates[:6] < 0).all()


def test_logits_are_those_of_the_model_where_the_sign_is_chosen(signs):
    model = signs.model
    batch = of_signs.as_batch(model, SAMPLES)
    with torch.no_grad():
        logits = model(batch["points"], batch["n_points"], batch["tokens"], batch["n_tokens"])
    plus, minus = (model.config.vocabulary.ids[word] for word in "+-")
    difference = logits[:, 1, minus] - logits[:, 1, plus]
    assert torch.allclose(signs.plain, difference[:6] - difference[6:], atol=1e-5)


def test_patching_a_run_with_itself_changes_nothing_and_the_last_stream_turns_the_sign(signs):
    place = "layer_norm2.2.after"
    itself = {place: taken_from(signs.seen[place], slice(None))}
    assert torch.equal(signs.gaps(itself), signs.plain)
    assert torch.equal(signs.gaps({}), signs.plain)
    assert signs.lost({}) == (0, 0)
    assert signs.lost(of_signs.swap(signs, place)) == pytest.approx((2, 2), abs=1e-4)


def test_swaps_have_every_layer_and_head_and_the_last_stream_moves_everything(signs):
    found = of_signs.swaps(signs)
    assert found["stream"][-1] == pytest.approx(1, abs=1e-4)
    assert all(len(found[kind]) == 3 for kind in ("stream", "cross", "self"))
    assert found["heads"]["chosen"].shape == (3, 4)


def test_a_planted_dimension_is_found_and_carries_the_sign_alone():
    """After the last layer dimension 5 says falling or rising, and the two words read it alone."""
    model = network()
    plus, minus = (model.config.vocabulary.ids[word] for word in "+-")
    with torch.no_grad():
        model.decoder.proj.weight[[plus, minus]] = 0
        model.decoder.proj.weight[minus, 5] = 1.0
        model.decoder.proj.weight[plus, 5] = -1.0
        model.decoder.layer_norm2[2].weight[5] = 4.0
    found = of_signs.dimension_scores(of_signs.Signs(model, SAMPLES), 3, 0)
    assert found["dimension"] == 5
    assert found["best"] == pytest.approx(1, abs=1e-4)
    assert found["alone"] == pytest.approx(0, abs=1e-4)
    assert found["others"].abs().max() < 1e-4


def test_a_planted_head_follows_the_size_and_not_the_time(signs):
    x = torch.from_numpy(np.array([s.values[:, 0] for s in SAMPLES])).float()
    t = torch.from_numpy(SAMPLES[0].times).float()
    place = "encoder_attn.1.weights"
    planted = signs.seen[place].clone()  # (system, head, word, point)
    planted[:, 0] = (x / x.sum(1, keepdim=True))[:, None]
    planted[:, 1] = t / t.sum()
    before, signs.seen[place] = signs.seen[place], planted
    found = of_signs.magnitude_heads(signs)
    signs.seen[place] = before
    for half in found.values():
        assert half[1, 0] == pytest.approx(1, abs=1e-5)
        assert abs(half[1, 1]) < 0.2


def test_the_lens_at_the_last_layer_says_what_the_model_says(signs):
    found = of_signs.sign_scores(signs)
    falling = found["falling"]
    assert falling["minus"].shape == (3,) and falling["decided"].sum() == pytest.approx(1)
    end = signs.seen["layer_norm2.2.after"][:6, 0]
    with torch.no_grad():
        minus = signs.logits(end).softmax(-1)[:, 1]
    assert falling["minus"][-1] == pytest.approx(float(minus.mean()))
    assert 0 <= found["plus then minus"] <= 1 and 0 <= falling["leads"] <= 1


def test_costs_name_what_was_taken_away(signs):
    found = of_signs.costs(signs, of_signs.magnitude_heads(signs), 2, 0)
    assert len(found["magnitude"]["heads"]) == 4 and len(found["magnitude"]["random"]) == 2
    assert len(found["dimension"]["random"]) == 2


@pytest.mark.parametrize(
    ("samples", "line"),
    [
        (SAMPLES[:3], "samples = 3: must be pairs, falling and rising"),
        (
            [s._replace(system=[["mul", "x_0", "x_0"]]) for s in SAMPLES[:2]],
            "samples: the second word of every answer must be a sign",
        ),
    ],
)
def test_what_is_no_pair_is_refused_in_one_line(samples, line):
    with pytest.raises(ValueError, match=line):
        of_signs.Signs(network(), samples)
