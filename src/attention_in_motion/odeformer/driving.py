"""What drives a feature or a head most: among the systems shown, and among all of one family.

The search never leaves real trajectories. It changes the constants and the start of a family, the
equation is solved anew, and the model reads the words of what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attention_in_motion.measures.sparse_features import Autoencoder
from attention_in_motion.odeformer.dictionaries import PLACE
from attention_in_motion.odeformer.inside import encoder_activations
from attention_in_motion.odeformer.language.expressions import constants_of
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.systems.families import (
    FAMILIES,
    FAMILY_STEPS,
    FAMILY_TOLERANCE,
    Family,
)
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST
from attention_in_motion.odeformer.systems.simulate import LARGEST_GAP, solve_twice
from attention_in_motion.odeformer.systems.trajectories import (
    SMALLEST_START,
    Group,
    Sample,
    rescale,
)

Reading = Callable[[Mapping[str, Tensor]], Tensor]  # encoder's activations → (systems, n_points)
Strength = Callable[[NDArray], NDArray]  # parameters (columns, k) → (columns,)

REACH = 0.01  # of a difference quotient, as a share of the box
LENGTHS = 0.2 / 2 ** np.arange(6)  # of a step that are tried, as shares of the box


def of_feature(autoencoder: Autoencoder, k: int) -> Reading:
    """Feature k at every point."""
    return lambda seen: autoencoder.encode(seen[PLACE])[..., k]


def of_head(layer: int, head: int) -> Reading:
    """The length of what a head of the encoder writes at every point."""
    return lambda seen: seen[f"attentions.{layer}.heads"][:, head].norm(dim=-1)


@torch.no_grad()
def driven(model: ODEFormer, samples: Sequence[Sample], reading: Reading) -> Tensor:
    """How strongly each point drives it: (systems, n_points)."""
    return reading(encoder_activations(model, samples))


def family_of(name: str) -> Family:
    """The family of this name. Raises ValueError if there is none."""
    if name not in FAMILIES:
        raise ValueError(f"family = {name!r}: must be one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def trajectories(
    family: str, parameters: NDArray, n_points: int
) -> tuple[list[Sample], NDArray[np.bool_]]:
    """The scaled trajectories of a family, and which columns have one: (columns,).

    parameters (columns, k) are constants, then the start. Without one is what `solve` leaves out
    and what starts too near 0 to be scaled. Raises ValueError for an unknown family.
    """
    system = family_of(family).system
    n = len(constants_of(system))
    constants, start = parameters.T[:n], parameters.T[n:]
    how = n_points, FAMILY_STEPS, FAMILY_TOLERANCE
    values, done, gap = solve_twice(system, constants, start, *how)
    kept = done & (gap < LARGEST_GAP) & (np.abs(start).min(0) >= SMALLEST_START)
    times = np.linspace(T_FIRST, T_LAST, n_points)
    group = Group(system, constants[:, kept], times, values[:, :, kept], family)
    return [rescale(sample) for sample in group.samples()], kept


def strength_of(model: ODEFormer, reading: Reading, family: str, n_points: int) -> Strength:
    """How strongly a family's trajectory drives it, mean over points; −∞ where there is none."""

    def strength(parameters: NDArray) -> NDArray:
        samples, kept = trajectories(family, parameters, n_points)
        found = np.full(len(parameters), -np.inf)
        if samples:
            found[kept] = driven(model, samples, reading).mean(1).double().numpy()
        return found

    return strength


def gradient(strength: Strength, at: NDArray, reach: NDArray) -> NDArray:
    """(f(x + r e_i) − f(x − r e_i))/(2 r) by coordinate; 0 where one side has no trajectory."""
    steps = np.diag(reach)
    sides = strength(np.concatenate([at + steps, at - steps])).reshape(2, -1)
    known = np.isfinite(sides).all(0)
    difference = np.where(known, sides[0], 0) - np.where(known, sides[1], 0)
    return difference / (2 * reach)


def climbed(
    strength: Strength, start: NDArray, low: NDArray, high: NDArray, n_steps: int
) -> tuple[NDArray, list[float]]:
    """Gradient ascent from start (k,) within a box: where it ends, and its strength by step.

    Coordinates are counted in sides of the box. A step goes along the gradient, as far as is best
    of six lengths; the climb ends where none of them gains. Strengths never fall.
    """
    size, at = high - low, start
    path = [float(strength(at[None])[0])]
    for _ in range(n_steps):
        along = gradient(strength, at, REACH * size) * size
        if not (length := np.linalg.norm(along)) > 0:
            break
        tried = np.clip(at + LENGTHS[:, None] * size * along / length, low, high)
        values = strength(tried)
        if not (best := values.max()) > path[-1]:
            break
        at = tried[values.argmax()]
        path.append(float(best))
    return at, path


class Maximum(NamedTuple):
    """Where a search ended: its trajectory, constants and start, and the strength by step.

    path[0] is the strongest of the draws that the search began with.
    """

    sample: Sample
    parameters: NDArray
    path: list[float]


def maximised(
    model: ODEFormer,
    reading: Reading,
    family: str,
    n_points: int,
    n_drawn: int = 64,
    n_steps: int = 20,
    seed: int = 0,
) -> Maximum:
    """The trajectory of a family that drives it most, searched from the strongest of n_drawn.

    The box is what the draws fill. Raises ValueError for an unknown family, or if no draw has a
    trajectory.
    """
    strength = strength_of(model, reading, family, n_points)
    drawn = np.concatenate(family_of(family).draw(np.random.default_rng(seed), n_drawn)).T
    values = strength(drawn)
    if not np.isfinite(values).any():
        raise ValueError(f"n_drawn = {n_drawn}: none has a trajectory; draw more")
    at, path = climbed(strength, drawn[values.argmax()], drawn.min(0), drawn.max(0), n_steps)
    [sample], _ = trajectories(family, at[None], n_points)
    return Maximum(sample, at, path)
