"""Small random models and padded inputs for the tests of the network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig

SMALL = ODEFormerConfig(
    **dict(encoder_width=8, encoder_layers=1, encoder_heads=2, embedding_width=4, precision=1),
    **dict(decoder_width=12, decoder_layers=2, decoder_heads=3, max_dimension=2),
)


@torch.no_grad()
def build(config: ODEFormerConfig = SMALL, seed: int = 3, end_bias: float = 0.0) -> ODEFormer:
    """Every weight moved, in float64; `end_bias` is added to the logit of <EOS>.

    With tied embeddings an untrained model repeats the token it reads for ever, so these are not;
    it hardly looks at the points or at its position either, so both are made louder.
    """
    generator = torch.Generator().manual_seed(seed)
    model = ODEFormer(config, generator).double().eval()
    model.decoder.proj.weight = torch.nn.Parameter(3 * model.decoder.embeddings.weight.flip(0))
    for parameter in model.parameters():
        size = 0.3 * parameter.shape[-1] ** -0.5
        parameter += size * torch.randn(parameter.shape, generator=generator)
    model.decoder.position_embeddings.weight *= 2
    for attention in model.decoder.encoder_attn:
        attention.out_lin.weight *= 6
    model.decoder.proj.bias[config.vocabulary.eos] += end_bias
    return model


def draw(n: int = 4, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Random points of different lengths, padded: what the model takes as points and n_points."""
    generator, vocabulary = torch.Generator().manual_seed(seed), SMALL.vocabulary
    n_points = torch.randint(3, 9, (n,), generator=generator)
    points = torch.randint(16, len(vocabulary.float_words), (n, 8, 9), generator=generator)
    points[torch.arange(8) >= n_points[:, None]] = vocabulary.float_pad
    return points, n_points


@pytest.fixture
def random_model() -> Callable[..., ODEFormer]:
    return build


@pytest.fixture
def trajectories() -> Callable[..., tuple[Tensor, Tensor]]:
    return draw
