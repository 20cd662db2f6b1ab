"""What a model proposes about a trajectory: at several temperatures, from several points on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import torch

from attention_in_motion.odeformer.language.tokens import System
from attention_in_motion.odeformer.matching import spreads
from attention_in_motion.odeformer.measurements import Track
from attention_in_motion.odeformer.network.decode import Decoded, generate, likeliest, sample
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.recognise import (
    MAX_TOKENS,
    UNREADABLE,
    system_of,
    trajectories,
)
from attention_in_motion.odeformer.shooting import Shot, distinct
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST, Scale

READ_AT_ONCE = 50  # points: what the models are trained on has no more
NEAR_ZERO = 1e-4  # a start this near zero, as a share of the largest value, is no unit
AS_WRITTEN = 5  # of the model's systems that are fitted whatever their slopes


def propose(
    model: ODEFormer,
    tracks: Sequence[Track],
    n_samples: int,
    temperatures: Sequence[float],
    seed: int,
    fast: bool,
) -> list[System]:
    """Systems in the variables of the tracks, the likeliest first, each text once."""
    seen = [view for track in tracks for view in views(track)]
    share = max(n_samples // (len(seen) * len(temperatures)), 1)
    rng = torch.Generator().manual_seed(seed)
    found: dict[str, tuple[float, System]] = {}
    for view in seen:
        with suppress(ValueError):  # values that the vocabulary has no words for
            scale = scale_of(view)
            for one in written(model, view, scale, share, temperatures, rng, fast):
                with suppress(*UNREADABLE):
                    vocabulary, dimension = model.config.vocabulary, view.values.shape[1]
                    system = system_of(vocabulary, one.tokens, dimension, scale)
                    found.setdefault(str(system), (one.log_probability, system))
    return [system for _, system in sorted(found.values(), key=lambda pair: -pair[0])]


def views(track: Track) -> list[Track]:
    """The track as the model may read it: whole, and from two later points on.

    The model measures every coordinate by its first value, so it sees most where none is near zero.
    """
    size = np.abs(track.values).max(axis=0)
    room = np.abs(track.values) / np.where(size == 0, np.inf, size)  # (n, dimension)
    room[:, size == 0] = 1.0
    nearest, third = room.min(axis=1), max(len(track.times) // 3, 1)
    later = [k + int(nearest[k : k + third].argmax()) for k in (1, third + 1)]
    parts = [track.part(slice(k, None)) for k in [0, *later]]
    return [part.thinned(READ_AT_ONCE) for part in parts if len(part.times) >= 4]


def scale_of(track: Track) -> Scale:
    """Of the scaled convention, but a coordinate that starts near zero is measured by its size."""
    first, size = track.values[0], np.abs(track.values).max(axis=0)
    units = np.where(np.abs(first) < NEAR_ZERO * size, size, first)
    units = np.where(size == 0, 1.0, units)
    rate = (T_LAST - T_FIRST) / (track.times[-1] - track.times[0])
    return Scale(float(track.times[0]), rate, units)


def written(
    model: ODEFormer,
    view: Track,
    scale: Scale,
    n: int,
    temperatures: Sequence[float],
    rng: torch.Generator,
    fast: bool,
) -> list[Decoded]:
    """The greedy answer about a view and n samples at each temperature, but for unfinished ones."""
    ids = model.config.vocabulary.encode_points(*scale.apply(view.times, view.values))
    device = model.decoder.proj.bias.device
    inputs = model, torch.from_numpy(ids)[None].to(device), torch.tensor([len(ids)], device=device)
    [found] = generate(*inputs, 1, likeliest, MAX_TOKENS)
    for temperature in () if fast else temperatures:
        found = found + sample(*inputs, n, float(temperature), rng, MAX_TOKENS)[0]
    return [one for one in found if len(one.tokens) < MAX_TOKENS]


def likeliest_of(tracks: Sequence[Track], proposed: Sequence[System]) -> list[System]:
    """The proposed systems that follow the first track best as they stand, each skeleton once.

    Where much happens between two points no slope can be matched, and these are what there is.
    """
    track, spread = tracks[0], spreads(tracks)
    found = trajectories(proposed, track.values[0], track.times)  # (systems, n, dimension)
    with np.errstate(all="ignore"):
        errors = np.square((found - track.values) / spread).mean(axis=1)
    errors = np.nan_to_num(errors, nan=np.inf)
    pairs = zip(proposed, errors, strict=True)
    shots = (Shot(system, track.values[:1], error, len(track.times)) for system, error in pairs)
    return [shot.system for shot in distinct(s for s in shots if np.isfinite(s.cost))[:AS_WRITTEN]]
