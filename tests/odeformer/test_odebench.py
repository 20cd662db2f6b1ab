"""The facts of ODEBench as transcribed, integrated and corrupted."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from attention_in_motion.odeformer.odebench import corrupted, systems

PUBLISHED = Path(
    os.environ.get("ODEBENCH", "../shared/data/odebench/strogatz_extended.json")
).resolve()


def test_there_are_fifty_one_with_two_starts_each():
    every = systems()
    assert [one.id for one in every] == list(range(1, 52))
    assert [one.dimension for one in every] == [1] * 23 + [2] * 28
    for one in every:
        assert np.shape(one.starts) == (2, one.dimension)
        unused = [i for i in range(len(one.constants)) if f"c{i}" not in "".join(one.equations)]
        assert not unused and len({*map(tuple, one.starts)}) == 2


def test_a_solution_by_hand():
    growth = systems()[1]
    times, values = growth.trajectory(1, 11)
    assert values[:, 0] == pytest.approx(0.87 * np.exp(0.23 * times), rel=1e-7)
    assert times == pytest.approx(np.linspace(0, 10, 11))


def test_corruption():
    track = systems()[23].trajectory(0, 100)
    seen = corrupted(track, 0.05, 0.5, np.random.default_rng(0))
    assert len(seen.times) == 50 and (np.diff(seen.times) > 0).all()
    ratio = seen.values / track.values[np.isin(track.times, seen.times)]
    assert 0.03 < np.std(ratio) < 0.07


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published file is not here")
def test_the_transcription_agrees_with_the_published_trajectories():
    rows = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    for ours, theirs in zip(systems(), rows, strict=False):
        for which, solution in enumerate(theirs["solutions"][0]):
            values = ours.trajectory(which).values
            wanted = np.array(solution["y"]).T
            assert np.allclose(solution["t"], np.linspace(0, 10, 512))
            # theirs were integrated with a tolerance of about 10⁻⁵
            size = np.abs(wanted).max(axis=0)
            assert np.abs((values - wanted) / size).max() < 1e-2, (ours.id, which)
