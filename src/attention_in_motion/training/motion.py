"""What chapter 4 trains: the next position of a uniform motion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from attention_in_motion.models.attention import Linear
from attention_in_motion.models.motion import MotionAttention
from attention_in_motion.models.transformer import NLA
from attention_in_motion.physics.uniform_motion import next_position, normalised_mse
from attention_in_motion.training.descent import Batches, initialisers
from attention_in_motion.training.run import Run


@dataclass(frozen=True)
class MotionRun(Run):
    """Post 3: predict x2 = 2 x1 − x0 from the tokens x0, x1 ~ N(0, 1), drawn afresh every step.

    Tokens are fed as `input_scale` · x and the target is `target_scale` · x2. `hidden` > 0 replaces
    attention by an MLP of that width on both tokens (the control); more than one layer is an nLA.
    `normal_positions` draws the positions of one layer from N(0, 1) instead of U(±1/√d).
    The loss is the mean squared error over the components of x2.
    """

    seeds: tuple[int, ...] = tuple(range(200))
    input_dim: int = 1
    embed_dim: int = 1
    projections: str = "none"
    positions: bool = True
    biases: bool = True
    input_scale: float = 1.0
    target_scale: float = 1.0
    heads: int = 1
    residual: bool = False
    layers: int = 1
    hidden: int = 0
    steps: int = 10_000
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    snapshots: tuple[int, ...] = ()
    normal_positions: bool = False

    def __post_init__(self) -> None:
        for name in ("input_scale", "target_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name):g}: must be > 0")
        if self.layers > 1 and self.projections != "both":
            raise ValueError(f"layers = {self.layers}: must be 1 without both projections")

    def model(self) -> nn.Module:
        """The untrained ensemble: (seed, batch, 2, input_dim) → (seed, batch, T, input_dim)."""
        rngs, d = initialisers(self.seeds), self.input_dim
        if self.hidden:
            layers = Linear(2 * d, self.hidden, True, rngs), Linear(self.hidden, d, True, rngs)
            return nn.Sequential(
                nn.Flatten(2), layers[0], nn.GELU(), layers[1], nn.Unflatten(2, (1, d))
            )
        shared = {"n_heads": self.heads, "residual": self.residual, "d_model": self.embed_dim}
        if self.layers == 1:
            shared |= {"positions": self.positions, "biases": self.biases}
            layer = MotionAttention(rngs, d_in=d, projections=self.projections, **shared)
            if self.normal_positions and self.positions:
                draws = [torch.randn(layer.P.shape[1:], generator=rng) for rng in rngs]
                layer.P = nn.Parameter(torch.stack(draws))
            return layer
        shared |= {"context": 2 * self.positions, "attention_bias": self.biases}
        widths = {"d_head": self.embed_dim, "d_in": d, "d_out": d}
        return NLA(rngs, n_layers=self.layers, causal=False, **widths, **shared)

    def draw(self, rng: torch.Generator, n: int) -> tuple[Tensor, ...]:
        """n batches of both tokens and the target, scaled: (n, batch, 3, input_dim)."""
        x = torch.randn((n, self.batch, 2, self.input_dim), generator=rng)
        scaled = self.input_scale * x, self.target_scale * next_position(x)
        return (torch.cat(scaled, dim=2),)

    def batches(self) -> Batches:
        """The endless source of training batches, one independent stream per seed."""
        return Batches(self.draw, self.seeds, chunk=200)

    def loss(self, model: nn.Module, batch: list[Tensor]) -> Tensor:
        """Mean squared error of the predicted x2 per seed: (seed,)."""
        tokens = batch[0]  # (seed, batch, 3, input_dim)
        error = model(tokens[:, :, :2])[:, :, -1] - tokens[:, :, 2]
        return (error**2).mean(dim=(1, 2))

    @torch.no_grad()
    def normalised_mse(self, model: nn.Module, rng: torch.Generator, n: int = 10_000) -> Tensor:
        """Mean squared error over that of predicting zero, on n fresh points: (seed,)."""
        tokens = replace(self, batch=n).draw(rng, 1)[0].expand(len(self.seeds), -1, -1, -1)
        return normalised_mse(model(tokens[:, :, :2])[:, :, -1], tokens[:, :, 2])
