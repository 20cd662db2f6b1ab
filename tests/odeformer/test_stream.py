"""The training stream: determinism, shapes, shares, and skeletons that training never shows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer.language.expressions import constants_of, skeleton
from attention_in_motion.odeformer.stream import (
    TRAINING,
    Chunks,
    StreamConfig,
    batches,
    bucket,
    collate,
    draw_samples,
    encode_targets,
    evaluation_samples,
    target_length,
)
from attention_in_motion.odeformer.systems import FAMILIES, Sample, held_out

SMALL = StreamConfig(batch_size=4, batches_per_chunk=2, per_skeleton=2, family_share=0.5)


@cache
def samples(**changes: object) -> list[Sample]:
    """200 training samples; the default configuration but for the changes."""
    config = dataclasses.replace(StreamConfig(per_skeleton=4), **changes)
    return draw_samples(config, np.random.default_rng([TRAINING, 0]), 200, unseen=False)


def equal(first: dict, second: dict) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_batches_depend_on_seed_and_step_and_not_on_workers():
    alone = batches(SMALL, seed=3)
    with_workers = batches(dataclasses.replace(SMALL, workers=2), seed=3)
    for step in range(5):
        assert equal(alone(step), with_workers(step))
    assert not equal(alone(4), batches(SMALL, seed=4)(4))


def test_any_step_can_come_first_or_again():
    stream = batches(SMALL, seed=5)
    in_order = [stream(step) for step in range(4)]
    for step in (3, 0, 2):
        assert equal(stream(step), in_order[step])
        assert equal(batches(SMALL, seed=5)(step), in_order[step])


def test_no_two_batches_are_alike():
    stream = batches(SMALL, seed=6)
    seen = {
        tuple(row.tolist())
        for step in range(8)
        for row in stream(step)["points"][:, :10].flatten(1)
    }
    assert len(seen) == 8 * SMALL.batch_size


def test_the_stream_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    batches(SMALL, seed=0)(0)
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_are_padded_ids_of_the_stated_shape():
    batch, vocabulary = batches(SMALL, seed=7)(2), SMALL.vocabulary
    points, tokens = batch["points"], batch["tokens"]
    assert all(ids.dtype == torch.int64 for ids in batch.values())
    assert points.shape == (4, batch["n_points"].max(), 3 * (1 + SMALL.max_dimension))
    assert tokens.shape == (4, batch["n_tokens"].max())
    for i in range(4):
        n, length = batch["n_points"][i], batch["n_tokens"][i]
        assert (points[i, n:] == 9).all() and (points[i, :n] != 9).all()
        assert (tokens[i, length:] == 9).all() and (tokens[i, :length] != 9).all()
        assert tokens[i, 0] == tokens[i, length - 1] == vocabulary.eos
        times = vocabulary.decode_floats(points[i, :n, :3].numpy())
        assert times[0] == 1 and times[-1] == 10 and (np.diff(times) >= 0).all()
        system = vocabulary.decode_system(tokens[i, :length].tolist())
        starts = vocabulary.decode_floats(
            points[i, 0, 3 : 3 + 3 * len(system)].reshape(-1, 3).numpy()
        )
        assert (starts == 1).all()


def test_targets_are_what_the_vocabulary_writes():
    vocabulary, systems = StreamConfig().vocabulary, [sample.system for sample in samples()]
    for system, ids in zip(systems, encode_targets(vocabulary, systems), strict=True):
        assert np.array_equal(ids, vocabulary.encode_system(system))
        assert len(ids) == target_length(system) <= StreamConfig().max_tokens
        decoded = vocabulary.decode_system(ids)
        assert skeleton(decoded) == skeleton(system)
        assert np.allclose(constants_of(decoded), constants_of(system), rtol=6e-3)


def test_shares_are_exact():
    sources = Counter(sample.source for sample in samples())
    assert sources == {name: 10 for name in FAMILIES} | {"repaired": 120}
    dimensions = Counter(len(s.system) for s in samples() if s.source == "repaired")
    assert dimensions == {1: 60, 2: 60}


def test_one_dimension_has_no_family_of_two():
    config = StreamConfig(max_dimension=1)
    assert config.families == ["exponential", "logistic", "hyperbolic", "affine", "sine"]


def test_training_never_shows_a_held_out_skeleton_and_evaluation_only_shows_those():
    training = {skeleton(s.system) for s in samples()}
    unseen = evaluation_samples(StreamConfig(per_skeleton=4, family_share=0.2), seed=0, n=20)
    random = {skeleton(s.system) for s in unseen if s.source == "repaired"}
    assert not any(held_out(s.system) for s in samples())
    assert all(held_out(s.system) for s in unseen if s.source == "repaired")
    assert not training & random


def test_evaluation_families_have_constants_of_their_own():
    config = dataclasses.replace(StreamConfig(), family_share=1.0)
    training = draw_samples(config, np.random.default_rng([TRAINING, 0, 0]), 40, unseen=False)
    unseen = evaluation_samples(config, seed=0, n=40)
    assert {skeleton(s.system) for s in training} == {skeleton(s.system) for s in unseen}
    constants = [{c for s in part for c in constants_of(s.system)} for part in (training, unseen)]
    assert not constants[0] & constants[1]


def test_every_trajectory_starts_at_one_and_spans_one_to_ten():
    for sample in samples():
        assert (sample.values[0] == 1).all()
        assert sample.times[0] == 1 and np.isclose(sample.times[-1], 10, rtol=1e-14)


def test_points_are_left_out_in_about_half_of_the_samples():
    """Between 25 and 60 even points; 200 samples, a fair coin, 5 σ."""
    even = sum(np.ptp(np.diff(sample.times)) < 1e-9 for sample in samples())
    assert abs(even - 100) < 5 * 50**0.5 + 10  # a ratio near zero leaves nothing out
    assert max(len(sample.times) for sample in samples()) <= 60
    assert min(len(sample.times) for sample in samples()) >= 25 // 2


def test_unscaled_stream_keeps_random_starts():
    found = samples(scaled=False, family_share=0.8)
    starts = np.array([s.values[0, 0] for s in found if s.source == "exponential"])
    assert starts.min() < -0.5 and starts.max() > 0.5 and 0.4 < starts.std() < 1.6


def test_published_corruption_halves_every_trajectory():
    config = dict(published_corruption=True, min_points=40, max_points=40, family_share=1.0)
    assert {len(sample.times) for sample in samples(**config)} == {20}


def test_buckets_keep_every_sample_and_save_padding():
    config, rng = StreamConfig(), np.random.default_rng(8)
    grouped = bucket(samples()[:192], rng, 16)
    assert sorted(id(s) for b in grouped for s in b) == sorted(map(id, samples()[:192]))
    shuffled = [samples()[i] for i in rng.permutation(192)]
    plain = [shuffled[i : i + 16] for i in range(0, 192, 16)]

    def padding(parts: list[list[Sample]]) -> int:
        return sum((collate(config.vocabulary, part)["tokens"] == 9).sum() for part in parts)

    assert padding(grouped) < 0.6 * padding(plain)


def test_chunks_hold_the_configured_batches():
    chunk = Chunks(SMALL, seed=0)[2]
    assert len(chunk) == 2
    assert all(len(batch["points"]) == 4 for batch in chunk)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("batch_size", 0, "batch_size = 0: must be at least 1"),
        ("max_points", 10, "max_points = 10: must be at least 25"),
        ("workers", -1, "workers = -1: must be at least 0"),
        ("family_share", 1.5, r"family_share = 1.5: must lie in \[0, 1\]"),
        ("subsampling", -0.1, r"subsampling = -0.1: must lie in \[0, 1\]"),
        ("prior", "other", "prior = 'other': must be one of official, repaired"),
    ],
)
def test_bad_configurations_are_refused_in_one_line(field, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        StreamConfig(**{field: value})


def test_negative_seeds_are_refused():
    with pytest.raises(ValueError, match=r"^seed = -1: must be at least 0$"):
        batches(SMALL, seed=-1)
