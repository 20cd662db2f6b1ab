"""Autoregressive rollouts over a sliding window of the last T states."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def last_position(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The model as a map window (seed, batch, T, 2) → next state (seed, batch, 2)."""
    return lambda window: model(window, last=True)[..., -1, :]


@torch.no_grad()
def rollout(predict: Callable[[Tensor], Tensor], window: Tensor, steps: int) -> Tensor:
    """Feed `predict` its own output `steps` times: window (..., T, 2) → (..., steps, 2).

    The window keeps its length: each new state pushes the oldest out.
    """
    states = []
    for _ in range(steps):
        states.append(predict(window))
        window = torch.cat([window[..., 1:, :], states[-1].unsqueeze(-2)], dim=-2)
    return torch.stack(states, dim=-2)
