"""The training stream: determinism, shapes, shares, and skeletons that training never shows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer.language.expressions import canonical, constants_of, skeleton
from attention_in_motion.odeformer.stream import (
    TRAINING,
    Chunks,
    StreamConfig,
    acceptance,
    batches,
    bucket,
    collate,
    draw_samples,
    encode_targets,
    evaluation_samples,
    target_length,
)
from attention_in_motion.odeformer.systems.families import FAMILIES
from attention_in_motion.odeformer.systems.prior import held_out
from attention_in_motion.odeformer.systems.trajectories import Sample

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


def test_repeats_go_through_every_chunk_so_many_times():
    once, n = batches(SMALL, seed=5), SMALL.batches_per_chunk
    twice = batches(dataclasses.replace(SMALL, repeats=2), seed=5)
    order = [*range(n), *range(n), *range(n, 2 * n)]
    for step, same in enumerate(order):
        assert equal(twice(step), once(same))


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
    assert sources.pop("repaired") == 120
    assert set(sources) == set(FAMILIES) and sum(sources.values()) == 80
    assert max(sources.values()) - min(sources.values()) <= 1
    dimensions = Counter(len(s.system) for s in samples() if s.source == "repaired")
    assert dimensions == {1: 60, 2: 60}


def test_one_dimension_has_no_family_of_two():
    config = StreamConfig(max_dimension=1)
    assert config.families == ["exponential", "logistic", "hyperbolic", "affine", "sine"]


# What each family loses, as a share of its draws, at most; blow-ups are part of its definition.
MOST_LOST = {"exponential": 0.02, "logistic": 0.2, "duffing": 0.08}


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_kept_but_for_blow_ups(name):
    counts = acceptance(StreamConfig(), np.random.default_rng(9), name, 400)
    drawn = counts.pop("drawn")
    assert sum(counts.values()) == drawn == 400
    assert counts["step budget"] == 0
    assert drawn - counts["kept"] - counts["reaches 100"] <= MOST_LOST.get(name, 0.05) * drawn
    assert counts["kept"] > 0.3 * drawn


def test_acceptance_sees_a_step_budget_that_is_too_small():
    """With 30 extra steps nothing of ω near 5 arrives; with enough 95 % of all is kept."""
    short, enough = (
        acceptance(StreamConfig(max_points=25), np.random.default_rng(10), "damped", 400, steps)
        for steps in (30, 1000)
    )
    assert short["step budget"] > 200 and enough["step budget"] == 0
    assert enough["kept"] >= 0.95 * 400 > 2 * short["kept"]


def test_acceptance_counts_blow_ups_and_small_starts():
    """x' = c x keeps |x(1)| exp(9 c) below 100; |N(0, 1)| is below 0.01 in 0.8 % of all draws."""
    constants, start = FAMILIES["exponential"].draw(np.random.default_rng(11), 5000)
    counts = acceptance(StreamConfig(), np.random.default_rng(11), "exponential", 5000)
    blown_up = (np.abs(start[0]) * np.exp(9 * constants[0])).clip(np.abs(start[0])) >= 100
    assert counts["reaches 100"] == blown_up.sum()
    assert counts["starts too small"] == ((np.abs(start[0]) < 0.01) & ~blown_up).sum() > 0
    unscaled = acceptance(
        StreamConfig(scaled=False), np.random.default_rng(11), "exponential", 5000
    )
    assert unscaled["starts too small"] == 0


def test_family_targets_are_short_and_canonical():
    """Every family fits 64 tokens, whatever its constants."""
    config = StreamConfig(family_share=1.0)
    for sample in draw_samples(config, np.random.default_rng(12), 140, unseen=False):
        assert sample.system == [canonical(equation) for equation in sample.system]
        assert target_length(sample.system) <= 64


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


def test_random_survivors_differ_from_the_published_ones_in_determinism_alone():
    """The same number of points; the published ones are the same in every sample."""
    config = dict(published_corruption=True, min_points=40, max_points=40, family_share=1.0)
    published, random = samples(**config), samples(**config, random_survivors=True)
    assert {len(s.times) for s in random} == {len(s.times) for s in published} == {20}
    assert len({tuple(s.times) for s in published}) == 1
    assert len({tuple(s.times) for s in random}) > 150


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
        ("extra_steps", 0, "extra_steps = 0: must be at least 1"),
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
