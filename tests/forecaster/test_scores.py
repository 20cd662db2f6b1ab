"""Scores of forecasters: what is read where, costs of nothing and of everything, a whole table."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attention_in_motion.forecaster import scores
from attention_in_motion.forecaster.series import Data, Settings
from attention_in_motion.models import forecaster
from attention_in_motion.odeformer import tables
from attention_in_motion.training.forecast import ForecastRun

RUN = ForecastRun(seeds=(0, 1), context=30, horizon=4, width=8, steps=1, batch=4)
PAIR = replace(RUN, variates=2)
FEW = Settings(n_series=120, n_forecast=40, n_samples=10, points_each=2, n_random=1, sparse_steps=5)


@pytest.fixture(scope="module")
def data():
    return Data(FEW, RUN, PAIR)


@pytest.fixture(scope="module")
def pair():
    return tuple(run.model().requires_grad_(False).members[0] for run in (RUN, PAIR))


def test_a_position_is_read_with_the_newest_value_that_it_is_given(data, pair):
    at = data.positions
    near = data.neighbours(at)
    given = scores_given(pair[0], data.probed)[:, at]  # (series, positions, lags), newest first
    assert near[:, :, 7:0:-1] == pytest.approx(given, abs=2e-3)


def scores_given(member, x):
    """The lagged values that the library itself gives each encoder position."""
    arguments = forecaster.split(member, x)
    inputs, *_ = member.model.create_network_inputs(**arguments)
    return inputs[:, : member.config.context_length, :7].numpy()


def test_slopes_are_those_of_the_probed_points(data):
    newest = data.positions + 6
    x, slope = data.scaled
    step = 1 / (RUN.n_points - 1)
    divided = (x[:, newest + 1] - x[:, newest - 1]) / (2 * step)
    smooth = data.probed_kind == 1  # polynomials; what differs is noise
    error = np.abs(divided - slope[:, newest])[smooth]
    assert np.median(error) < 4 * RUN.noise / step


def test_the_stream_is_read_after_the_embedding_and_every_layer(data, pair):
    seen = scores.streams(pair[0], data.probed)
    assert [h.shape for h in seen.values()] == [(120, 30, 8)] * 3
    encoded = pair[0].model(**forecaster.split(pair[0], data.probed)).encoder_last_hidden_state
    assert torch.equal(list(seen.values())[-1], encoded)


def test_rivals_that_know_the_past_are_scored_on_every_set(data):
    for name, variates in (("one variate", 1), ("two variates", 2), ("damped", 1)):
        assert data.sets[name].shape == (40, RUN.n_points, variates)
        found = data.rivals(name)
        assert set(found) == {"last value", "last season", "autoregression"}
    summary = data.summary("one variate", np.full(40, np.e), np.arange(40.0))
    assert summary["log crps"] == pytest.approx(1) and summary["by kind"] == pytest.approx([1] * 5)


def test_a_table_has_a_row_per_seed_and_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path))
    copies = replace(RUN, seeds=(0,), only_decay=True)
    runs = {"one": RUN, "two": PAIR, "decay": copies}
    path = tmp_path / "table.json"
    table = scores.extend(path, FEW, runs, 1, "command")
    assert list(table["rows"]) == ["seed-0", "seed-1", "untrained-0"]
    row = table["rows"]["seed-0"]
    assert len(row["points"]["linear"]) == 3 and len(row["features"]["topk"]["areas"]) == 5
    assert "slope costs" not in table["rows"]["untrained-0"]
    assert abs(row["slope costs"]["everything"]) > 0
    assert tables.read(path) == table

    def never(*args):
        raise AssertionError("computed again")

    monkeypatch.setattr(scores, "row_of", never)
    assert scores.extend(path, FEW, runs, 1, "command")["rows"] == table["rows"]


def test_changing_nothing_costs_nothing(data, pair):
    place = forecaster.places(pair[0])[-1]
    plain = forecaster.nats(pair[0], data.probed)
    with scores.replaced(pair[0], place, lambda h: h.clone()):
        assert torch.equal(forecaster.nats(pair[0], data.probed), plain)


def test_too_little_is_refused():
    with pytest.raises(ValueError, match="n_series = 5: must be at least 60"):
        Settings(n_series=5)
