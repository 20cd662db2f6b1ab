"""What is shown of a pass is that of the pass that writes the answer."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer import inside
from attention_in_motion.odeformer.network.decode import Decoded
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.systems.sigmoids import draw_sigmoids

TINY = ODEFormerConfig(16, 1, 2, 16, 2, 2, 8, max_dimension=1, precision=1)


def test_the_lens_shows_the_pass_that_writes_the_greedy_answer():
    model = ODEFormer(TINY, torch.Generator().manual_seed(1)).eval()
    times = np.linspace(0, 5, 12)
    words, seen = inside.looks(model, times, np.exp(-times)[:, None])
    attention = seen["decoder.encoder_attn.1.weights"]  # (1, head, words + 1, point)
    assert attention.shape == (1, 2, len(words) + 1, 12)
    assert torch.allclose(attention.sum(-1), torch.ones_like(attention[..., 0]))
    chosen = seen["decoder.logits"][0].argmax(-1)[: len(words)]
    assert [model.config.vocabulary.words[i] for i in chosen] == words


SAMPLES = list(draw_sigmoids(np.random.default_rng(0), 6, 15).samples())


def test_nats_are_the_training_loss_system_by_system():
    model = ODEFormer(TINY, torch.Generator().manual_seed(1)).eval()
    batch = inside.as_batch(model, SAMPLES)
    per_system = inside.nats(model, batch)
    each = torch.stack([model.loss(*one.values()) for one in one_by_one(batch)])
    assert torch.allclose(per_system, each, atol=1e-5)


def one_by_one(batch):
    """Batches of a single system, without padding."""
    for i, n in enumerate(batch["n_tokens"].tolist()):
        one = {name: ids[i : i + 1] for name, ids in batch.items()}
        one["tokens"] = one["tokens"][:, :n]
        yield {name: one[name] for name in ("points", "n_points", "tokens", "n_tokens")}


def test_the_candidate_is_scored_by_its_trajectory():
    """A model that writes the right equation whatever it reads has R² 1, one that babbles 0."""
    model = ODEFormer(TINY, torch.Generator().manual_seed(1)).eval()
    babble = inside.greedy_r2(model, SAMPLES)
    assert babble.shape == (6,) and (babble >= 0).all() and (babble < 0.99).all()
    exact = ODEFormer(replace(TINY, precision=3), torch.Generator())
    sample, model = SAMPLES[2], exact.eval()  # rising from well above 0
    tokens = model.config.vocabulary.encode_system(sample.system).tolist()[1:-1]
    answer = [[Decoded(tokens, 0.0)]]
    with patch.object(inside, "generate", lambda *a, **k: answer):
        assert inside.greedy_r2(model, [sample])[0] > 0.9


def with_values(sample, values):
    return sample._replace(values=values)


def of_length(n):
    return SAMPLES[0]._replace(times=np.arange(float(n)), values=np.ones((n, 1)))


@pytest.mark.parametrize(
    ("samples", "line"),
    [
        ([SAMPLES[0], SAMPLES[1]._replace(times=SAMPLES[1].times[:9])], "samples: must be of one"),
        ([of_length(201)], "samples have 201 points: the model reads up to 200"),
        ([with_values(SAMPLES[0], np.ones((15, 2)))], "samples have 2 dimensions: the model reads"),
        ([with_values(SAMPLES[0], np.full((15, 1), np.nan))], "samples: every value must be"),
    ],
)
def test_what_cannot_be_encoded_is_refused_in_one_line(samples, line):
    model = ODEFormer(TINY, torch.Generator().manual_seed(1))
    with pytest.raises(ValueError, match=line):
        inside.encode(model, samples)
