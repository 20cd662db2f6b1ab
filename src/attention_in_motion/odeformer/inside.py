"""Looking inside an ODEFormer while it works."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from attention_in_motion.models.activations import record
from attention_in_motion.odeformer.network.decode import greedy
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.recognise import MAX_TOKENS
from attention_in_motion.odeformer.systems.scale import Scale


@torch.no_grad()
def looks(
    model: ODEFormer, times: ArrayLike, trajectory: ArrayLike
) -> tuple[list[str], dict[str, Tensor]]:
    """The words of the greedy answer, and every recorded activation of a pass that writes them.

    times (n,), trajectory (n, dimension) in any units. The decoder reads <EOS> and the words, so
    row i of its activations is where word i is chosen: "decoder.encoder_attn.3.weights" (1, head,
    words + 1, point), for example, says what its fourth layer looks at.
    """
    times, trajectory = np.asarray(times, dtype=float), np.asarray(trajectory, dtype=float)
    vocabulary = model.config.vocabulary
    ids = vocabulary.encode_points(*Scale.of(times, trajectory).apply(times, trajectory))
    points, n_points = torch.from_numpy(ids)[None], torch.tensor([len(ids)])
    [written] = greedy(model, points, n_points, MAX_TOKENS)
    tokens = torch.tensor([[vocabulary.eos, *written]])  # (1, words + 1)
    seen = record(model, points, n_points, tokens, torch.tensor([tokens.shape[1]]))
    return [vocabulary.words[i] for i in written], seen
