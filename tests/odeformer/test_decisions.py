"""The lenses on the decoder: the last layer says what the model says; a planted word is found."""

import numpy as np
import pytest
import torch

from attention_in_motion.measures import lens
from attention_in_motion.odeformer import decisions, inside
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.stream import StreamConfig, evaluation_samples

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=1, encoder_heads=2, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=3, decoder_heads=2, max_dimension=2, precision=2),
)
SAMPLES = evaluation_samples(StreamConfig(min_points=12, max_points=12).clean, 0, 14)


@pytest.fixture
def model():
    return ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()


def test_both_lenses_at_the_last_layer_are_the_logits_of_the_model(model):
    words, batch = decisions.words_of(model, SAMPLES), inside.as_batch(model, SAMPLES)
    n_tokens = batch["n_tokens"] - 1
    with torch.no_grad():
        logits = model(batch["points"], batch["n_points"], batch["tokens"][:, :-1], n_tokens)
    own = logits[words.system, words.position].log_softmax(-1)
    W_U, bias = model.decoder.proj.weight, model.decoder.proj.bias
    for carry in decisions.carries(words).values():
        seen = lens.log_probabilities(carry[-1](words.streams[-1]), W_U, bias)
        assert (seen - own).abs().max() < 1e-5
    with torch.no_grad():
        exact = words.streams[-1] @ W_U.T + bias
    assert (exact - logits[words.system, words.position]).abs().max() < 1e-6


def test_every_word_of_every_answer_is_there_once(model):
    words, batch = decisions.words_of(model, SAMPLES), inside.as_batch(model, SAMPLES)
    assert len(words.read) == int((batch["n_tokens"] - 1).sum())
    eos = model.config.vocabulary.eos
    assert (words.read[words.position == 0] == eos).all()
    last = words.right == eos
    assert int(last.sum()) == len(SAMPLES)


def test_passes_of_few_systems_give_what_one_pass_gives(model, monkeypatch):
    together = decisions.words_of(model, SAMPLES)
    monkeypatch.setattr(decisions, "AT_ONCE", 4)
    apart = decisions.words_of(model, SAMPLES)
    for a, b in zip(together[1:], apart[1:], strict=True):
        assert torch.equal(a, b)
    for a, b in zip(together.streams, apart.streams, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_scores_are_shares_and_sum_to_one_where_they_must(model):
    found = decisions.lens_scores(model, SAMPLES)
    for one in found.values():
        assert one["agrees"]["all"][-1] == 1
        assert sum(one["decided"]["all"]) == pytest.approx(1)
        assert np.all(np.diff(np.cumsum(one["decided"]["all"])) >= 0)
        assert set(one["repeats"]) == {"after a constant", "otherwise"}
    last = [found[name]["nats"]["all"][-1] for name in ("logit", "tuned")]
    assert last[0] == pytest.approx(last[1], abs=1e-4)


def test_a_decoder_that_does_nothing_repeats_the_word_that_it_has_read(model):
    """Without attention, FFN, positions and bias the stream is the word's own normed embedding."""
    with torch.no_grad():
        for layer in range(3):
            for part in (
                model.decoder.attentions[layer].out_lin,
                model.decoder.encoder_attn[layer].out_lin,
                model.decoder.ffns[layer].lin2,
            ):
                part.weight.zero_()
                part.bias.zero_()
        model.decoder.position_embeddings.weight.zero_()
        model.decoder.proj.bias.zero_()
        embeddings = model.decoder.embeddings.weight
        embeddings -= embeddings.mean(1, keepdim=True)
        embeddings /= embeddings.norm(dim=1, keepdim=True).clamp(min=1e-9)  # itself the nearest
    found = decisions.lens_scores(model, SAMPLES)["logit"]
    assert found["repeats"]["otherwise"] == [1.0] * 3
    assert found["repeats"]["after a constant"] == [1.0] * 3
    assert found["decided"]["all"] == [1, 0, 0]


def test_the_chart_ends_in_what_is_written(model):
    times = np.linspace(0, 5, 12)
    found = decisions.chart(model, times, np.exp(-times)[:, None])
    assert found.p.shape == (3, len(found.written), 5)
    said = [best[0] for best in found.words[-1]]
    n = len(found.written) - 1
    assert said[:n] == found.written[:n]
    assert torch.allclose(found.p[-1, :n, 0], found.own[-1, :n])
    assert (found.p.diff(dim=-1) <= 0).all()  # the likeliest first
    assert (found.own <= found.p[..., 0] + 1e-6).all()


def test_the_posts_layers_are_taken_by_depth():
    assert [decisions.at_depth(i, 12) for i in (0, 6, 8, 11)] == [0, 6, 8, 11]
    assert [decisions.at_depth(i, 4) for i in (0, 6, 8, 11)] == [0, 2, 3, 3]
