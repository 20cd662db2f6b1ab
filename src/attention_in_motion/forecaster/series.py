"""What forecasters are shown when they are scored, and what is to be read of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attention_in_motion.measures import forecasts, sparse_features
from attention_in_motion.measures import grouped_probes as probes
from attention_in_motion.models.forecaster import LAGS
from attention_in_motion.physics.functions import KINDS
from attention_in_motion.training.descent import seeded
from attention_in_motion.training.forecast import ForecastRun

HELD_OUT = 9_000_000  # the seeds of training are far smaller, so that no stream is shared
REACH = max(LAGS)  # a point's neighbours: so many to either side
SPARSE = {"width": 128, "k": 4}  # of autoencoders: features, and how many live at once

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How much is drawn. Raises ValueError in one line for too little.

    `n_series` are probed and shown to autoencoders, `n_forecast` of each kind of series forecast
    by `n_samples` futures; slopes are read at `points_each` points; `n_random` directions of
    shuffled labels are controls; autoencoders are trained for `sparse_steps`.
    """

    n_series: int = 1000
    n_forecast: int = 300
    n_samples: int = 100
    points_each: int = 4
    n_random: int = 10
    sparse_steps: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"n_series": 60, "n_forecast": 30, "n_samples": 10, "seed": 0}
        for name, value in vars(self).items():
            if value < least.get(name, 1):
                raise ValueError(f"{name} = {value}: must be at least {least.get(name, 1)}")


class Data:
    """Series of one run and of its like with two variates, the same for all models."""

    def __init__(self, settings: Settings, run: ForecastRun, pair: ForecastRun) -> None:
        self.settings, self.past = settings, REACH + run.context
        rng = seeded(HELD_OUT + settings.seed, 0)
        one, drawn = run.series(rng, settings.n_forecast)
        two, _ = pair.series(rng, settings.n_forecast)
        unseen, _ = run.series(rng, settings.n_forecast, ("damped",))
        self.sets = {"one variate": one, "two variates": two, "damped": unseen}
        self.kind = drawn.kind.numpy()  # of "one variate"
        self.probed, self.functions = run.series(rng, settings.n_series)
        self.probed_kind = self.functions.kind.numpy()

    @property
    def positions(self) -> NDArray:
        """Encoder positions that are probed: (points_each,), each with all its neighbours."""
        last = self.past - 2 * REACH - 1
        return np.linspace(1, last, self.settings.points_each).round().astype(int)

    @property
    def systems(self) -> NDArray:
        """Which series each probed point belongs to: (n_series · points_each,)."""
        return np.repeat(np.arange(len(self.probed)), self.settings.points_each)

    @cached_property
    def scaled(self) -> tuple[NDArray, NDArray]:
        """The past as the model scales it, and slopes per sd of it: (n_series, past) each."""
        x = self.probed[:, : self.past, 0].double().numpy()
        context = x[:, REACH:]
        centre, spread = context.mean(1, keepdims=True), context.std(1, keepdims=True)
        slope = self.functions.slope[:, : self.past].double().numpy()
        return (x - centre) / spread, slope / spread

    @property
    def slopes(self) -> NDArray:
        """asinh of the scaled slope at the newest value that each position is given: (rows,)."""
        newest = self.positions + REACH - 1
        return np.arcsinh(self.scaled[1][:, newest]).ravel()

    def neighbours(self, positions: NDArray) -> NDArray:
        """The scaled values up to 7 before and after the newest: (n_series, positions, 15)."""
        around = positions[:, None] + REACH - 1 + np.arange(-REACH, REACH + 1)
        return self.scaled[0][:, around]

    @cached_property
    def raw(self) -> Row:
        """What rivals forecast and what the same probes and autoencoders find in the series."""
        near = self.neighbours(self.positions).reshape(len(self.systems), -1)
        pieces = self.neighbours(np.arange(1, self.past - 2 * REACH))
        return {
            "forecast": {name: self.rivals(name) for name in self.sets},
            "neighbours": probes.held_out_score(probes.linear, near, self.slopes, self.systems),
            "features": features_of(torch.from_numpy(pieces).float(), self)["topk"],
        }

    def rivals(self, name: str) -> Row:
        """The scores of every rival on one set: {rival: scores}."""
        past, future = split_variates(self.sets[name], self.past)
        found = {}
        for rival, forecast in forecasts.RIVALS.items():
            normal = forecast(past, future.shape[1])
            crps = forecasts.crps_of_normal(normal, future).mean(1)
            found[rival] = self.summary(name, crps, forecasts.mase(normal[0], future, past))
        return found

    def summary(self, name: str, crps: NDArray, mase: NDArray) -> Row:
        """Scores (series · variates,) in numbers: mean log CRPS, all and by kind, mean, median."""
        variates = self.sets[name].shape[2]
        log = np.log(crps.reshape(-1, variates)).mean(1)  # (series,)
        found = {"log crps": float(log.mean()), "crps": float(crps.mean())}
        found["mase"] = float(np.median(mase))
        if name == "one variate":
            found["by kind"] = [float(log[self.kind == k].mean()) for k in range(len(KINDS))]
        return found


def split_variates(x: Tensor, past: int) -> tuple[NDArray, NDArray]:
    """Pasts and futures of every variate as a series of its own: (series · variates, …) each."""
    flat = x.movedim(2, 1).flatten(0, 1).double().numpy()
    return flat[:, :past], flat[:, past:]


def features_of(stream: Tensor, data: Data) -> Row:
    """What features of a stream (series, position, d) tell of kinds: {decoder: areas, quality}.

    Autoencoders are trained on even series; a series has of a feature the mean over positions.
    "relu" is the post's penalty; "frozen" has a decoder as drawn; "coordinates" are those of the
    stream, either sign; "shuffled" is TopK with exchanged kinds.
    """
    kind, steps = data.probed_kind, data.settings.sparse_steps
    vectors = stream[sparse_features.CHOSEN].flatten(0, 1)
    relu = {"k": 0} | sparse_features.AS_IN_POST
    recipes = {"topk": {}, "frozen": {"frozen": True}, "relu": relu}
    found: Row = {}
    for name, changes in recipes.items():
        recipe = sparse_features.Recipe(**SPARSE | {"steps": steps} | changes)
        autoencoder = sparse_features.trained(vectors, recipe)
        codes = autoencoder.encode(stream).mean(1).double().numpy()
        unseen = stream[sparse_features.SCORED].flatten(0, 1)
        quality = sparse_features.quality(autoencoder, unseen)
        found[name] = {"areas": areas_of(codes, kind), "quality": quality}
        if name == "topk":
            exchanged = probes.shuffled(kind, data.settings.seed)
            found["shuffled"] = {"areas": areas_of(codes, exchanged)}
    pooled = stream.mean(1).double().numpy()
    found["coordinates"] = {"areas": areas_of(np.hstack([pooled, -pooled]), kind)}
    return found


def areas_of(features: NDArray, kind: NDArray) -> list[float]:
    """The area of each kind's best feature on series that did not choose it: (kinds,)."""
    return sparse_features.best_features(features, kind, len(KINDS))[1].tolist()
