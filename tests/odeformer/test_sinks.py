"""The most attended point: what moves it, on networks in which it was planted; the arms' table."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from attention_in_motion.odeformer import inside, signs, sinks, tables
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=1, encoder_heads=2, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=2, decoder_heads=2, max_dimension=2, precision=2),
)
SAMPLES = signs.exponentials(np.random.default_rng(0), 6, 12)


@pytest.fixture(scope="module")
def model():
    return ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()


def test_attention_is_a_mean_over_the_words_of_the_answer_without_padding(model):
    """In a pass with a longer answer, and alone."""
    longer = SAMPLES[0]._replace(system=[["add", *SAMPLES[0].system[0], "mul", 1.5, "x_0"]])
    together = sinks.attended(model, [SAMPLES[1], longer])
    alone = sinks.attended(model, [SAMPLES[1]])
    for a, b in zip(together, alone, strict=True):
        assert torch.allclose(a[:1], b, atol=1e-5)
    assert torch.allclose(together.plain.sum(-1), torch.ones(2, 2, 2), atol=1e-5)
    assert torch.allclose(together.mass.sum(-1), torch.ones(2), atol=1e-5)


def test_systems_are_the_same_at_every_length():
    found = sinks.at_lengths(SAMPLES, (12, 23))
    assert [len(s) for s in found.values()] == [12, 12]
    for coarse, fine, given in zip(found[12], found[23], SAMPLES, strict=True):
        assert np.allclose(coarse.values, fine.values[::2], rtol=1e-5)
        assert np.allclose(coarse.values, given.values, rtol=1e-5)


class Planted(sinks.Attended):
    """An `Attended` whose mass is what it was given."""

    def __new__(cls, mass):
        return super().__new__(cls, mass[:, None, None], mass[:, None, None], torch.ones_like(mass))


def attends_to(score):
    """An `attended` whose mass at a point goes with score(times, values)."""

    def planted(model, samples):
        rows = [score(sample.times, sample.values[:, 0]) for sample in samples]
        return Planted(torch.from_numpy(np.array(rows)))

    return planted


def near(time):
    return lambda t, x: np.exp(-((t - time) ** 2) / 0.1)


def test_a_point_that_is_attended_to_for_its_time_leaves_with_its_time(model, monkeypatch):
    monkeypatch.setattr(sinks, "attended", attends_to(near(7.5)))
    found = sinks.moves(model, SAMPLES, 0)
    assert found["time"] == 1 and found["value"] == 0
    assert found["order"] < 1e-9 and found["smallest"] == pytest.approx(sinks.NEVER)
    assert found["moved"].max() == 0 and torch.allclose(found["kept"], torch.ones(18).double())


def test_a_point_that_is_attended_to_for_its_value_leaves_with_its_value(model, monkeypatch):
    falling = SAMPLES[:6]
    monkeypatch.setattr(sinks, "attended", attends_to(lambda t, x: -np.abs(x - 0.6) + 9))
    found = sinks.moves(model, falling, 0)
    assert found["time"] == 0 and found["smallest"] <= sinks.SHIFTS[-1]
    assert found["moved"][-1] > 0.5


def test_length_scores_say_where_the_point_lies(model, monkeypatch):
    monkeypatch.setattr(sinks, "attended", attends_to(near(6.4)))
    found = sinks.length_scores(model, sinks.at_lengths(SAMPLES, (25, 50)))
    assert found["50"]["commonest"] == 29 and found["25"]["commonest"] == 14  # the post: 29 of 50
    assert found["50"]["share"] == 1 and found["50"]["sixty"] == found["25"]["sixty"] == 1
    monkeypatch.setattr(sinks, "attended", attends_to(near(2.0)))
    assert sinks.length_scores(model, {25: SAMPLES})["25"]["sixty"] == 0


def test_a_planted_peak_is_smooth(model):
    seen = attends_to(near(5.0))(model, SAMPLES)
    assert sinks.smoothness(seen) == {"weighted": 1, "plain": 1}


def test_points_are_changed_alone_and_the_order_changes_nothing(model):
    one = SAMPLES[0]
    assert sinks.without(one, 3).times.tolist() == np.delete(one.times, 3).tolist()
    moved = sinks.with_time(one, 3)
    assert moved.times[3] == 4 and np.array_equal(moved.values, one.values)
    assert sinks.shifted(one, 3, 0.1).values[3] == pytest.approx(one.values[3] + 0.1)
    assert len(set(sinks.one_time(one, 5).times[3:8])) == 1
    assert sinks.moves(model, SAMPLES[:4], 0)["order"] < 1e-6  # a real network
    assert one.times[3] != 4  # the sample itself is as it was


def test_costs_of_points_compare_with_other_points(model):
    found = sinks.point_costs(model, SAMPLES[:4], 2, 0)
    assert len(found["others"]) == 2 and np.isfinite(found["point"])


def test_a_head_with_a_sink_is_found(model):
    seen = inside.encoder_activations(model, SAMPLES)
    weights, values = (seen[f"attentions.0.{name}"].clone() for name in ("weights", "values"))
    weights[:, 1], values[:, 1] = 0.5 / 11, 1.0
    weights[:, 1, :, 4], values[:, 1, 4] = 0.5, 0.0
    weights[:, 0], values[:, 0] = 1 / 12, 1.0
    planted = {"attentions.0.weights": weights, "attentions.0.values": values}
    assert sinks.sink_scores(planted, 1)["scored"].tolist() == [[0, 1]]


def record_of(arm, seed):
    stream = {"published_corruption": True, "random_survivors": arm == "random"}
    return {"sha256": f"{arm}{seed}", "config": {"stream": stream}, "seed": seed}


def test_the_table_of_the_arms_pairs_seeds(tmp_path, monkeypatch, model):
    monkeypatch.setattr(sinks, "mixed_systems", lambda n, seed: SAMPLES)
    monkeypatch.setattr(tables, "record_of", lambda name: record_of(*name.split("-")))
    monkeypatch.setattr(tables, "load", lambda name: model)
    out = tmp_path / "arms.json"
    names = ["published-0", "published-1", "random-0", "random-2"]
    table = sinks.score_arms(names, out, 12, 0, "command")
    assert tables.read(out)["rows"]["random-2"]["arm"] == "random"
    assert sinks.arm_differences(table["rows"]) == [0.0]  # seed 0 alone is of both; one network
    assert out.stat().st_size < 100_000


def test_a_model_of_neither_arm_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be trained with published_corruption"):
        sinks.arm_of({"config": {"stream": {"published_corruption": False}}, "seed": 0})
    found = CliRunner().invoke(sinks.main, ["theirs", "--out", str(tmp_path / "t.json")])
    assert found.exit_code == 2 and "model = 'theirs': no file theirs" in found.output
