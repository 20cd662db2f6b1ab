"""The endless stream of training batches: deterministic by (seed, step), whatever the workers.

Batches are made a chunk at a time: chunk k of seed s has a random generator of its own, so any
process can make it and training can resume at any step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from attention_in_motion.odeformer.language.expressions import constants_of
from attention_in_motion.odeformer.language.tokens import System, Vocabulary
from attention_in_motion.odeformer.systems.families import (
    FAMILIES,
    FAMILY_STEPS,
    FAMILY_TOLERANCE,
    family_group,
)
from attention_in_motion.odeformer.systems.prior import (
    PRIORS,
    held_out,
    random_group,
    random_system,
)
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST
from attention_in_motion.odeformer.systems.simulate import EXTRA_STEPS, LARGEST_GAP, solve_twice
from attention_in_motion.odeformer.systems.trajectories import (
    PUBLISHED_GAMMA,
    PUBLISHED_RATIO,
    SMALLEST_START,
    Group,
    Sample,
    corrupt,
    corrupt_as_published,
    rescale,
    with_canonical_target,
)

Batch = dict[str, Tensor]

TRAINING, EVALUATION = 0, 1  # random streams that never meet
COLUMNS = 256  # constant sets tried at once for one system
UNBOUNDED = 100_000  # steps after which a trajectory has arrived or never will
CONSTANT_RANGE = (1e-4, 1e4)  # a target with a constant outside is left out


@dataclass(frozen=True)
class StreamConfig:
    """What the stream draws.

    `family_share` of the samples come from the analytic families of at most `max_dimension`
    dimensions, in equal parts; the rest from the random prior, dimensions in equal parts, at most
    `per_skeleton` samples from one draw of a skeleton. A random system that needs `extra_steps`
    integration steps more than it has points is left out; a family's never is (`acceptance`).
    Trajectories have `min_points`…`max_points` even times; then a share `subsampled` of them loses
    a fraction U[0, subsampling] of its points and a share `noisy` gets noise of γ ~ U[0, noise]
    (or, if `published_corruption`, all get the published accident; with `random_survivors` too, its
    ratio and γ, and points drawn at random); then, if `scaled`, they are put into the scaled
    convention together with their target. A chunk of `batches_per_chunk` batches is gone through
    `repeats` times, for learners faster than the stream. With `lesson_chunks` > 0 training begins
    with a curriculum: that many chunks of the first family alone, as many of the first two, and so
    on, before everything comes at once.
    Raises ValueError, in one line, for a value out of range.
    """

    max_dimension: int = 2
    precision: int = 2
    batch_size: int = 64
    min_points: int = 25
    max_points: int = 60
    max_tokens: int = 64
    family_share: float = 0.4
    prior: str = "repaired"
    per_skeleton: int = 16
    extra_steps: int = EXTRA_STEPS
    subsampled: float = 0.5
    subsampling: float = 0.5
    noisy: float = 0.3
    noise: float = 0.05
    published_corruption: bool = False
    random_survivors: bool = False
    scaled: bool = True
    batches_per_chunk: int = 32
    repeats: int = 1
    lesson_chunks: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        for name, least in [
            *(("max_dimension", 1), ("precision", 1), ("batch_size", 1), ("min_points", 8)),
            *(("max_points", self.min_points), ("max_tokens", 8), ("per_skeleton", 1)),
            ("extra_steps", 1),
            *(("batches_per_chunk", 1), ("repeats", 1), ("lesson_chunks", 0), ("workers", 0)),
        ]:
            if getattr(self, name) < least:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least {least}")
        for name in ("family_share", "subsampled", "subsampling", "noisy", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must lie in [0, 1]")
        if self.prior not in PRIORS:
            raise ValueError(f"prior = {self.prior!r}: must be one of {', '.join(PRIORS)}")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words of points and targets."""
        return Vocabulary(self.max_dimension, self.precision)

    @property
    def families(self) -> list[str]:
        """The names of the families of at most `max_dimension` dimensions."""
        return [name for name, f in FAMILIES.items() if len(f.system) <= self.max_dimension]

    @property
    def clean(self) -> StreamConfig:
        """The same without any corruption."""
        return replace(self, subsampled=0.0, noisy=0.0, published_corruption=False)

    def lesson(self, chunk: int) -> list[str]:
        """The families that chunk `chunk` consists of; empty once the curriculum is over."""
        over = chunk >= self.lesson_chunks * len(self.families)
        return [] if over else self.families[: 1 + chunk // self.lesson_chunks]


def twin_mixture(n_points: int) -> StreamConfig:
    """What the twin is trained on, half of it families, at one number of points, not corrupted."""
    shape = {"min_points": n_points, "max_points": n_points}
    return StreamConfig(**shape, family_share=0.5, extra_steps=60).clean


def family_samples(config: StreamConfig, rng: Generator, name: str) -> Iterator[Sample]:
    """Endless finished samples of one family."""
    while True:
        n_points = int(rng.integers(config.min_points, config.max_points + 1))
        group = family_group(rng, name, n_points, COLUMNS // 4)
        yield from finish(config, rng, group)


def random_samples(
    config: StreamConfig, rng: Generator, dimension: int, unseen: bool
) -> Iterator[Sample]:
    """Endless finished samples of the random prior, of held-out skeletons if `unseen`."""
    while True:
        system = random_system(rng, dimension, config.prior)
        if held_out(system) != unseen:
            continue
        n_points = int(rng.integers(config.min_points, config.max_points + 1))
        most = 3 * config.per_skeleton // 2  # `finish` drops some
        group = random_group(rng, system, n_points, COLUMNS, config.prior, most, config.extra_steps)
        yield from itertools.islice(finish(config, rng, group), config.per_skeleton)


def finish(config: StreamConfig, rng: Generator, group: Group) -> Iterator[Sample]:
    """The group's samples, corrupted, in the convention asked for; what does not fit is dropped."""
    for sample in group.samples():
        if config.published_corruption and config.random_survivors:
            sample = corrupt(rng, sample, PUBLISHED_RATIO, PUBLISHED_GAMMA)
        elif config.published_corruption:
            sample = corrupt_as_published(rng, sample)
        else:
            ratio = config.subsampling * rng.random() * (rng.random() < config.subsampled)
            gamma = config.noise * rng.random() * (rng.random() < config.noisy)
            sample = corrupt(rng, sample, ratio, gamma)
        if not config.scaled:
            sample = with_canonical_target(sample)
        elif np.abs(sample.values[0]).min() >= SMALLEST_START:
            sample = rescale(sample)
        else:
            continue
        low, high = CONSTANT_RANGE
        in_range = all(low <= abs(c) <= high for c in constants_of(sample.system))
        if in_range and target_length(sample.system) <= config.max_tokens:
            yield sample


def acceptance(
    config: StreamConfig, rng: Generator, name: str, n: int, extra_steps: int = FAMILY_STEPS
) -> dict[str, int]:
    """How many of n draws of a family the stream keeps, and for what reason it drops the others.

    The reasons are disjoint, in the order in which they apply, and add up with "kept" to "drawn":
    a trajectory reaches |x| = 100 (or a pole) before t = 10; it needs more than its points plus
    `extra_steps` steps; its two tolerances disagree; a coordinate starts below 0.01 in size, so it
    cannot be scaled; its target has a constant out of range or too many tokens. Trajectories have
    `max_points` points and no corruption.
    """
    system, draw = FAMILIES[name]
    constants, start = draw(rng, n)
    arguments = system, constants, start, config.max_points
    _, bounded, _ = solve_twice(*arguments, UNBOUNDED, FAMILY_TOLERANCE)
    fine, done, gap = solve_twice(*arguments, extra_steps, FAMILY_TOLERANCE)
    agree = done & (gap < LARGEST_GAP)
    small = config.scaled & (np.abs(start).min(axis=0) < SMALLEST_START)  # (n,)
    times = np.linspace(T_FIRST, T_LAST, config.max_points)
    group = Group(system, constants[:, agree], times, fine[:, :, agree], name)
    kept = sum(1 for _ in finish(config.clean, rng, group))
    return {
        "drawn": n,
        "reaches 100": int((~bounded).sum()),
        "step budget": int((bounded & ~done).sum()),
        "tolerances disagree": int((done & ~agree).sum()),
        "starts too small": int((agree & small).sum()),
        "target does not fit": int((agree & ~small).sum()) - kept,
        "kept": kept,
    }


def draw_samples(
    config: StreamConfig, rng: Generator, n: int, unseen: bool, lesson: Sequence[str] = ()
) -> list[Sample]:
    """n samples in the shares of the config: first the families, then dimension by dimension.

    A `lesson` replaces them all by its families.
    """
    n_family = n if lesson else round(config.family_share * n)
    families = [family_samples(config, rng, name) for name in lesson or config.families]
    dimensions = range(1, config.max_dimension + 1)
    random = [random_samples(config, rng, dimension, unseen) for dimension in dimensions]
    return take_evenly(families, n_family) + take_evenly(random, n - n_family)


def take_evenly(sources: list[Iterator[Sample]], n: int) -> list[Sample]:
    """n in all, one source after the other, in parts that differ by at most one."""
    parts = np.array_split(np.arange(n), len(sources))
    pairs = zip(sources, parts, strict=True)
    return [sample for source, part in pairs for sample in itertools.islice(source, len(part))]


def evaluation_samples(config: StreamConfig, seed: int, n: int) -> list[Sample]:
    """n samples that no training stream of any seed shows.

    Systems of the random prior have held-out skeletons; families have the skeletons of training, by
    design, with constants and starts from a random stream of their own.
    """
    return draw_samples(config, np.random.default_rng([EVALUATION, seed]), n, unseen=True)


# ---------------------------------------------------------------------------------------------
# Batches


def target_length(system: System) -> int:
    """Tokens of the target: 3 a float, sign and digits an integer, 1 a word, |, <EOS> twice."""
    words = [word for equation in system for word in equation]
    floats = sum(isinstance(word, float) for word in words)
    digits = sum(len(str(abs(word))) for word in words if isinstance(word, int))
    return len(words) + 2 * floats + digits + len(system) + 1


def bucket(samples: list[Sample], rng: Generator, batch_size: int) -> list[list[Sample]]:
    """Batches of like lengths in random order: slabs of like n_points, by target within a slab."""
    n_batches = len(samples) // batch_size
    shuffled = [samples[i] for i in rng.permutation(len(samples))]  # so that ties are random
    shuffled.sort(key=lambda sample: len(sample.times))
    batches = []
    for slab in np.array_split(np.arange(n_batches), round(n_batches**0.5)):
        inside = shuffled[slab[0] * batch_size : (slab[-1] + 1) * batch_size]
        inside.sort(key=lambda sample: target_length(sample.system))
        batches += [inside[i : i + batch_size] for i in range(0, len(inside), batch_size)]
    return [batches[i] for i in rng.permutation(n_batches)]


def collate(vocabulary: Vocabulary, samples: list[Sample]) -> dict[str, NDArray]:
    """Padded ids: points (batch, n_points, 3 (1 + max_dimension)), tokens (batch, length)."""
    points = [vocabulary.encode_points(sample.times, sample.values) for sample in samples]
    tokens = encode_targets(vocabulary, [sample.system for sample in samples])
    return {
        "points": pad(points, vocabulary.float_pad),
        "n_points": np.array([len(p) for p in points]),
        "tokens": pad(tokens, vocabulary.float_pad),
        "n_tokens": np.array([len(t) for t in tokens]),
    }


def encode_targets(vocabulary: Vocabulary, systems: list[System]) -> list[NDArray[np.int64]]:
    """`Vocabulary.encode_system` of each, with the floats of all systems encoded in one call."""
    constants = [constant for system in systems for constant in constants_of(system)]
    floats = vocabulary.encode_floats(constants) + vocabulary.float_offset  # (n_constants, 3)
    triples = iter(floats.tolist())
    targets = []
    for system in systems:
        ids = [vocabulary.eos]
        for equation in system:
            for word in equation:
                ids += next(triples) if isinstance(word, float) else vocabulary.encode_leaf(word)
            ids.append(vocabulary.ids["|"])
        targets.append(np.array([*ids[:-1], vocabulary.eos]))  # (length,)
    return targets


def pad(sequences: list[NDArray], value: int) -> NDArray[np.int32]:
    """Sequences (n_i, ...) → (batch, max n_i, ...)."""
    longest = max(len(sequence) for sequence in sequences)
    padded = np.full((len(sequences), longest, *sequences[0].shape[1:]), value, dtype=np.int32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded


class Chunks:
    """chunks[k]: the k-th list of collated batches of one seed."""

    def __init__(self, config: StreamConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def __getitem__(self, index: int) -> list[dict[str, NDArray]]:
        rng = np.random.default_rng([TRAINING, self.seed, index])
        n = self.config.batch_size * self.config.batches_per_chunk
        lesson = self.config.lesson(index)
        samples = draw_samples(self.config, rng, n, unseen=False, lesson=lesson)
        batches = bucket(samples, rng, self.config.batch_size)
        return [collate(self.config.vocabulary, batch) for batch in batches]


class Batches:
    """batches(step) → {"points", "n_points", "tokens", "n_tokens"}, int64; any step, endless.

    With `workers` in the config that many processes make the chunks ahead of their use, as long as
    steps are asked for in rising order.
    """

    def __init__(self, config: StreamConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.index, self.chunk = -1, []
        self.chunks: Iterator[list[Batch]] = iter(())

    def __call__(self, step: int) -> Batch:
        round_, offset = divmod(step, self.config.batches_per_chunk)
        index = round_ // self.config.repeats
        if index != self.index:
            if index != self.index + 1 or self.index < 0:
                self.chunks = self.chunks_from(index)
            self.index, self.chunk = index, next(self.chunks)
        return {name: ids.long() for name, ids in self.chunk[offset].items()}

    def chunks_from(self, index: int) -> Iterator[list[Batch]]:
        """The chunks `index`, `index` + 1, … without end, made by the workers if there are any."""
        loader = DataLoader(
            Chunks(self.config, self.seed),
            batch_size=None,
            sampler=itertools.count(index),
            num_workers=self.config.workers,
            generator=torch.Generator(),  # so that the loader leaves the global one alone
        )
        return iter(loader)


def batches(config: StreamConfig, seed: int) -> Batches:
    """The training stream of one seed; see `Batches`. Raises ValueError for a negative seed."""
    if seed < 0:
        raise ValueError(f"seed = {seed}: must be at least 0")
    return Batches(config, seed)
