"""What is shown of a pass is that of the pass that writes the answer."""

from __future__ import annotations

import numpy as np
import torch

from attention_in_motion.odeformer import inside
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig

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
