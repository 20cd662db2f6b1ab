"""What the page on the time-series transformer trains: forecasts of simple functions with noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attention_in_motion.models.forecaster import LAGS, Forecasters
from attention_in_motion.physics import functions
from attention_in_motion.training.descent import Batches
from attention_in_motion.training.run import Run


@dataclass(frozen=True)
class ForecastRun(Run):
    """Post 4: a time-series transformer on functions of `functions.KINDS`, drawn afresh.

    `context` points are encoded, `horizon` points forecast. With two variates the series are two
    independent functions in rotated coordinates, so that either variate says something of the
    other. Noise N(0, `noise`²) is added to every value. With `only_decay` each is exp(−10 u)
    without noise, as in the post's published run. The loss is the model's own, in nats.
    """

    seeds: tuple[int, ...] = tuple(range(6))
    variates: int = 1
    context: int = 48
    horizon: int = 16
    width: int = 32
    noise: float = 0.05
    only_decay: bool = False
    steps: int = 8000
    batch: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.0
    schedule: str = "one_cycle"
    snapshots: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.variates not in (1, 2):
            raise ValueError(f"variates = {self.variates}: must be 1 or 2")
        if not self.noise >= 0:
            raise ValueError(f"noise = {self.noise:g}: must be >= 0")

    @property
    def n_points(self) -> int:
        """Points of a series: the lags before the context, the context, the horizon."""
        return max(LAGS) + self.context + self.horizon

    def model(self) -> nn.Module:
        """One untrained transformer per seed."""
        sizes = {"context": self.context, "horizon": self.horizon, "width": self.width}
        return Forecasters(self.seeds, variates=self.variates, **sizes)

    def draw(self, rng: torch.Generator, n: int) -> tuple[Tensor, ...]:
        """n batches of series: (n, batch, n_points, variates)."""
        series, _ = self.series(rng, n * self.batch)
        return (series.unflatten(0, (n, self.batch)),)

    def series(
        self, rng: torch.Generator, n: int, kinds: tuple[str, ...] = functions.KINDS
    ) -> tuple[Tensor, functions.Series]:
        """n series with noise (n, n_points, variates), and the functions of the first variate.

        With two variates these are the unrotated ones.
        """
        if self.only_decay:
            found = functions.draw(rng, n, self.n_points, ("decay",), flip=False)
            return found.x[..., None], found
        drawn = [functions.draw(rng, n, self.n_points, kinds) for _ in range(self.variates)]
        x = torch.stack([one.x for one in drawn], dim=2)  # (n, T, variates)
        if self.variates == 2:
            angle = functions.uniform(rng, (n, 1), 0, 2 * math.pi)
            cos, sin = angle.cos(), angle.sin()
            pair = cos * x[..., 0] - sin * x[..., 1], sin * x[..., 0] + cos * x[..., 1]
            x = torch.stack(pair, dim=2)
        return x + self.noise * torch.randn(x.shape, generator=rng), drawn[0]

    def batches(self) -> Batches:
        """The endless source of training batches, one independent stream per seed."""
        return Batches(self.draw, self.seeds)

    def loss(self, model: nn.Module, batch: list[Tensor]) -> Tensor:
        """Nats a value, per seed: (seed,)."""
        return model.nats(batch[0])


def all_runs() -> dict[str, ForecastRun]:
    """One variate, two, and the post's own run: copies of one decaying exponential."""
    return {
        "forecaster-univariate": ForecastRun(),
        "forecaster-bivariate": ForecastRun(variates=2),
        "forecaster-decay": ForecastRun(seeds=(0,), only_decay=True, steps=1000),
    }
