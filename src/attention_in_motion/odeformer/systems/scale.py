"""The scaled convention in which ODEFormer reads data, and the way back.

Time runs from 1 to 10 and every coordinate starts at 1; package odeformer 0.1.7 scales so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_in_motion.odeformer.language.expressions import canonical, fold
from attention_in_motion.odeformer.language.tokens import Equation, System

T_FIRST, T_LAST = 1.0, 10.0  # every trajectory is drawn on this interval


class Scale(NamedTuple):
    """t' = 1 + rate (t − first) and x' = x / units: the variables in which the model reads."""

    first: float
    rate: float
    units: NDArray  # (dimension,)

    @classmethod
    def of(cls, times: NDArray, trajectory: NDArray) -> Scale:
        """t' from 1 to 10 and x' = 1 at first; a coordinate that starts at zero keeps its unit."""
        units = np.where(trajectory[0] == 0, 1.0, trajectory[0])  # (dimension,)
        return cls(times[0], (T_LAST - T_FIRST) / (times[-1] - times[0]), units)

    def apply(self, times: NDArray, trajectory: NDArray) -> tuple[NDArray, NDArray]:
        """Times (n,) and trajectory (n, dimension) in scaled variables."""
        with np.errstate(over="ignore"):
            return T_FIRST + self.rate * (times - self.first), trajectory / self.units

    def undo(self, system: System) -> System:
        """A system of the scaled variables in the original ones: x_i' = rate u_i f_i(x / u).

        In canonical form; all constants but exponents become floats. Raises ValueError for words
        without a formula, ArithmeticError for constants that overflow.
        """
        floated = [float_constants(equation) for equation in system]
        return change_units(floated, 1 / self.units, 1 / self.rate)


def float_constants(equation: Equation) -> Equation:
    """Every integer as a float unless it is an exponent, so that no power of integers explodes."""

    def node(operator: str, *arguments: Equation) -> Equation:
        floated = [[float(a[0])] if isinstance(a[0], int) else a for a in arguments]
        if operator == "pow":
            floated[1] = arguments[1]
        return [operator, *(word for argument in floated for word in argument)]

    return fold(["id", *equation], lambda word: [word], node)[1:]


def change_units(system: System, units: NDArray, rate: float) -> System:
    """The system of y = x / units on a clock that runs `rate` times as fast as the first one.

    dy_i/dτ = f_i(units · y) / (rate · units_i), in canonical form; the words of f stay, and its
    constants absorb the scales.
    """
    scaled = []
    for equation, unit in zip(system, units, strict=True):
        inner: Equation = []
        for word in equation:
            is_variable = isinstance(word, str) and word.startswith("x_")
            inner += ["mul", float(units[int(word[2:])]), word] if is_variable else [word]
        scaled.append(canonical(["mul", 1 / float(rate * unit), *inner]))
    return scaled
