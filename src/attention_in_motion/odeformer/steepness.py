"""Sigmoids by steepness and by how near their start is to the fixed point, read by each model.

    python -m attention_in_motion.odeformer.steepness twin-0 twin-1 … --untrained 0 --out TABLE.json

The curves are 1/(1 + e^(a t − b)) on [0, 10], as in post 4, the same for every model: "raw" has a,
the cell of b and b itself, one entry a curve, a row the R² of the best of the model's answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attention_in_motion.odeformer import tables
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.recognise import ask
from attention_in_motion.odeformer.systems.sigmoids import sigmoid
from attention_in_motion.odeformer.tables import Row

STEEPNESS = (0.5, 1.0, 2.0, 4.0, 8.0)  # a
SATURATION = (2.0, 4.0, 6.0, 9.0, 12.0)  # b, within half a unit: the start is e^(−b) from 1
LATEST = 9.5  # b/a, when the fall is half done; later ones leave no fall to see
LOWEST = -1.0  # stands for every R² below it, and for no answer at all


@dataclass(frozen=True)
class Settings:
    """Curves a cell, their points, and how answers are drawn: as on the page of the model.

    Raises ValueError in one line for too little.
    """

    n_curves: int = 12
    n_points: int = 40
    n_samples: int = 10
    temperature: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"n_curves": 1, "n_points": 8, "n_samples": 1, "temperature": 0.01, "seed": 0}
        for name, value in vars(self).items():
            if value < least[name]:
                raise ValueError(f"{name} = {value}: must be at least {least[name]}")


class Data:
    """The curves that every model is shown: "raw", and times (n_points,)."""

    def __init__(self, settings: Settings) -> None:
        self.settings, rng = settings, np.random.default_rng([9, settings.seed])
        self.times = np.linspace(0, 10, settings.n_points)
        cells = [(a, b) for a in STEEPNESS for b in SATURATION if b / a <= LATEST]
        places = np.repeat(cells, settings.n_curves, axis=0)  # (curve, 2)
        self.a, cell = places.T
        self.b = cell + rng.uniform(-0.5, 0.5, len(places))
        names = ("steepness", "saturation", "b")
        rows = (self.a, cell, self.b)
        self.raw: Row = {name: row.tolist() for name, row in zip(names, rows, strict=True)}

    @property
    def curves(self) -> np.ndarray:
        """x = 1/(1 + e^(a t − b)): (curve, n_points)."""
        return sigmoid(self.b[:, None] - self.a[:, None] * self.times)


def row_of(data: Data, model: ODEFormer, trained: bool) -> Row:
    """{"r2": the best of the model's answers to each curve, not below −1}."""
    s = data.settings
    options = {"n_samples": s.n_samples, "temperature": s.temperature, "seed": s.seed}
    found = [ask(model, data.times, x[:, None], **options).best_r2 for x in data.curves]
    return {"r2": [max(r2, LOWEST) for r2 in found]}


little = {"n_curves": 1, "n_samples": 2}
main = tables.script("steepness", Settings, Data, row_of, little)

if __name__ == "__main__":
    main()
