"""ODEBench, the systems by which ODEFormer is compared with other methods.

The 51 of its 63 systems that have one or two equations, each with one set of constants and two
starts: `data/odebench.json` has the facts, the trajectories are integrated here. One trajectory is
observed; a method is scored on it (reconstruction) and on the one from the other start
(generalisation). Source: d'Ascoli et al., "ODEFormer" (2023), section 4 and appendix A, after
Strogatz, "Nonlinear Dynamics and Chaos" (2000), and others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import sympy
from numpy.random import Generator
from numpy.typing import NDArray

from attention_in_motion.odeformer.measurements import Track
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST
from attention_in_motion.odeformer.systems.simulate import integrate
from attention_in_motion.paths import DATA, read_json

FILE = DATA / "odebench.json"
END = 10.0  # trajectories run from 0 to this
N_POINTS = 512  # as published
TOLERANCE = 1e-9
MOST_STEPS = 20_000


class Facts(NamedTuple):
    """One system: equations as text in x_0, x_1 and constants c0, c1, …, and its two starts."""

    id: int
    name: str
    equations: list[str]
    constants: list[float]
    starts: list[list[float]]


class System(Facts):
    """`Facts` that can be integrated."""

    @property
    def dimension(self) -> int:
        """One or two."""
        return len(self.equations)

    @cached_property
    def expressions(self) -> list[sympy.Expr]:
        """The right-hand sides with their constants put in."""
        values = {f"c{i}": value for i, value in enumerate(self.constants)}
        return [sympy.sympify(text, locals=values) for text in self.equations]

    @cached_property
    def field(self) -> Callable[[NDArray, NDArray], NDArray]:
        """f(x, constants) as `integrate` takes it; the constants are in it already."""
        names = sympy.symbols([f"x_{i}" for i in range(self.dimension)])
        compiled = sympy.lambdify([names], self.expressions, "numpy")
        return lambda x, _: np.stack([np.broadcast_to(v, x.shape[1:]) for v in compiled(x)])

    def trajectory(self, which: int, n_points: int = N_POINTS) -> Track:
        """The clean trajectory from the start `which`, 0 or 1: times (n,), values (n, dimension).

        Relative error about 10⁻⁹.
        """
        rate = (T_LAST - T_FIRST) / END
        clock = np.linspace(T_FIRST, T_LAST, n_points)
        values, _ = integrate(
            lambda x, c: self.field(x, c) / rate,
            np.array(self.starts[which], dtype=float)[:, None],
            np.zeros((0, 1)),
            clock,
            bound=np.inf,
            tolerance=TOLERANCE,
            max_steps=MOST_STEPS,
        )
        return Track((clock - T_FIRST) / rate, values[:, :, 0])


def systems() -> list[System]:
    """All 51, those of one equation first."""
    rows = read_json(FILE)
    return [System(**row) for row in rows]


def corrupted(track: Track, noise: float, dropped: float, rng: Generator) -> Track:
    """x (1 + noise · N(0, 1)) at every point, and a random share of the points left out."""
    values = track.values * (1 + noise * rng.standard_normal(track.values.shape))
    n = len(values)
    kept = np.sort(rng.choice(n, n - int(dropped * n), replace=False))
    return Track(track.times[kept], values[kept])
