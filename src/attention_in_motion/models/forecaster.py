"""Hugging Face's time-series transformer, one per seed, built from its configuration alone.

Nothing is downloaded and nothing reported: the library is told so before it is imported, which
happens only when a model is built. Series are (batch, T, variates).
Source: `TimeSeriesTransformerForPrediction` of transformers, unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
LAGS = tuple(range(1, 8))  # the library's default: a position is given the seven values before it
EMBEDDING = "model.encoder.layernorm_embedding"


class Forecasters(nn.Module):
    """The transformers of several seeds: (seed, batch, past + k, variates) in, what follows out.

    `context` positions are encoded, of which the first is given the seven values before it; so the
    past has context + 7 values. `horizon` values are forecast, by a Student t distribution each.
    """

    def __init__(
        self, seeds: Iterable[int], *, context: int, horizon: int, variates: int, width: int
    ) -> None:
        super().__init__()
        sizes = {"context_length": context, "prediction_length": horizon, "input_size": variates}
        self.members = nn.ModuleList(built(seed, sizes | {"d_model": width}) for seed in seeds)

    def forward(self, x: Tensor) -> Tensor:
        """The means of the values after the past, each after those before it: (seed, batch, k + 1).

        x (seed, batch, past + k, variates) with k = horizon − 1; variates come last.
        """
        ends = torch.cat([x, torch.zeros_like(x[:, :, :1])], dim=2)  # the last value is not read
        members = zip(self.members, ends, strict=True)
        return torch.stack([distribution(member, one).mean for member, one in members])

    def nats(self, x: Tensor) -> Tensor:
        """−log p of the values after the past, mean over batch, steps and variates: (seed,)."""
        pairs = zip(self.members, x, strict=True)
        return torch.stack([nats(member, one).mean() for member, one in pairs])


def built(seed: int, sizes: dict[str, Any]) -> nn.Module:
    """One untrained model. Data are drawn afresh, so that there is nothing for dropout to do."""
    os.environ.update(OFFLINE)
    from transformers import TimeSeriesTransformerConfig, TimeSeriesTransformerForPrediction

    drop = ("dropout", "attention_dropout", "activation_dropout")
    drop += ("encoder_layerdrop", "decoder_layerdrop")
    fixed = {"scaling": "std", "num_time_features": 1, "lags_sequence": LAGS, "init_std": 0.2}
    config = TimeSeriesTransformerConfig(**sizes, **fixed, **dict.fromkeys(drop, 0.0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the library draws from the global stream
        return TimeSeriesTransformerForPrediction(config).eval()


def places(member: nn.Module) -> list[str]:
    """Where the encoder's stream is read: after the embedding, then after each layer."""
    layers = range(member.config.encoder_layers)
    return [EMBEDDING, *(f"model.encoder.layers.{i}.final_layer_norm" for i in layers)]


def past_length(member: nn.Module) -> int:
    """How many values the model is given: context and lags."""
    return member.config.context_length + max(LAGS)


def split(member: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """x (batch, past + horizon, variates) as the library's arguments, with time as the feature."""
    past, n = past_length(member), len(x)
    length = past + member.config.prediction_length
    if x.shape[1:] != (length, member.config.input_size):
        allowed = f"(batch, {length}, {member.config.input_size})"
        raise ValueError(f"x {tuple(x.shape)}: must be {allowed}")
    times = torch.linspace(0, 1, length)[None, :, None].expand(n, -1, 1)
    values = x[..., 0] if member.config.input_size == 1 else x
    return {
        "past_values": values[:, :past],
        "past_time_features": times[:, :past],
        "past_observed_mask": torch.ones_like(values[:, :past]),
        "future_values": values[:, past:],
        "future_time_features": times[:, past:],
    }


def distribution(member: nn.Module, x: Tensor) -> torch.distributions.Distribution:
    """What the model says of each value after the past, given those before it.

    Raises ValueError for series of another shape than (batch, past + horizon, variates).
    """
    found = member(**split(member, x))
    return member.output_distribution(found.params, loc=found.loc, scale=found.scale)


def nats(member: nn.Module, x: Tensor) -> Tensor:
    """−log p of the values after the past, mean over steps and variates: (batch,)."""
    log_p = distribution(member, x).log_prob(split(member, x)["future_values"])  # (batch, step)
    return -log_p.mean(1) / member.config.input_size


@torch.no_grad()
def sampled(member: nn.Module, x: Tensor, n_samples: int, seed: int) -> Tensor:
    """Futures drawn one value after the other: (batch, n_samples, horizon, variates).

    Of x (batch, past + horizon, variates) only the past is read.
    """
    given = split(member, x)
    del given["future_values"]
    member.config.num_parallel_samples = n_samples
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = member.generate(**given).sequences
    return found[..., None] if member.config.input_size == 1 else found
