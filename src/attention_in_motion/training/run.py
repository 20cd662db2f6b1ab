"""What a run is: one frozen configuration, complete enough to repeat a training.

A run says how to draw its model, its batches and its loss; `store.load_or_train` does the rest.
Raise RECIPE by hand when the meaning of a configuration changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

RECIPE = 1

Batch = Tensor | list[Tensor]


class Run(Protocol):
    """The contract of a frozen dataclass that can be trained. Its own fields come on top."""

    seeds: tuple[int, ...]
    steps: int
    lr: float
    weight_decay: float
    schedule: str
    snapshots: tuple[int, ...]
    optimiser: str = "adamw"

    def model(self) -> nn.Module:
        """The untrained ensemble, one member per seed."""

    def draw(self, rng: torch.Generator, n: int) -> tuple[Tensor, ...]:
        """n batches of data: tensors with leading axis n; inputs are all states but the last."""

    def batches(self) -> Callable[[int], Batch]:
        """The endless source of training batches: the same step gives the same batch."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss to descend, one per seed: (seed,)."""

    def refine(self, model: nn.Module) -> None:
        """A second stage of training after the descent, in place. By default there is none."""


def digest(run: Any) -> str:
    """Twelve hex digits of the SHA-256 of a run's kind, recipe and every field off its default.

    So a field added later, with a default that keeps the old behaviour, changes no key. The run may
    be any frozen dataclass, and hold others.
    """
    whole = {"experiment": type(run).__name__, "recipe": RECIPE, **off_default(run)}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]


def off_default(config: Any) -> dict[str, Any]:
    """Every field of a configuration that is off its default, configurations in it likewise."""
    chosen = {f.name: getattr(config, f.name) for f in fields(config)}
    defaults = {f.name: f.default for f in fields(config)}
    return {
        name: off_default(value) if is_dataclass(value) else value
        for name, value in chosen.items()
        if value != defaults[name]
    }
