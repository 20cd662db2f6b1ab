"""What is said of slopes: exact targets, planted heads and streams, refusals in one line."""

import numpy as np
import pytest
import torch

from attention_in_motion.measures.patching import all_at_mean, patched
from attention_in_motion.odeformer import derivative, inside, slopes, tables
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.recognise import predict
from attention_in_motion.odeformer.systems.sigmoids import draw_sigmoids

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=2, encoder_heads=4, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=1, decoder_heads=2, max_dimension=2, precision=2),
)
FEW = slopes.Settings(16, 12, 14, 12, 3, 2, 1, 19)


@pytest.fixture(scope="module")
def data():
    return slopes.Data(FEW)


@pytest.fixture(scope="module")
def model():
    return ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()


def test_slopes_are_those_of_the_equation_and_neighbours_approach_them(data):
    fine = draw_sigmoids(np.random.default_rng(1), 8, 2000)
    at = np.array([3, 1000, 1996])
    for sample, slope in zip(fine.samples(), fine.slope, strict=True):
        assert np.allclose(slopes.slope_of(sample), slope)
        rows = slopes.differences(sample, at)
        assert rows.shape == (3, 6)
        assert np.allclose(rows[:, 2:], np.arcsinh(slope[at])[:, None], atol=0.02)
    for sample in data.mixed:  # in one and two dimensions
        start, step = sample.values[5], np.array([0, 1e-4])
        moved = predict(sample.system, start, step)[1, 0]
        found = (moved - start[0]) / step[1]
        assert found == pytest.approx(slopes.slope_of(sample)[5], rel=0.02, abs=1e-3)


def test_every_model_is_shown_the_same_curves_and_systems(data):
    again = slopes.Data(FEW)
    assert np.array_equal(again.curves.x, data.curves.x)
    assert all(
        np.array_equal(a.values, b.values) for a, b in zip(again.mixed, data.mixed, strict=True)
    )
    assert len(data.slopes(data.mixed)) == len(data.systems(data.mixed)) == 14 * 3


def test_a_planted_head_is_chosen_on_one_half_and_scored_on_the_other(data, model):
    """Head 2 of layer 1 attends to slopes, head 3 to x: each is best for what it attends to."""
    seen = inside.encoder_activations(model, data.logistic)
    given = slopes.features(data.curves)
    weights = seen["attentions.1.weights"].clone()  # (curve, head, query, key)
    for head, name in ((2, "slope"), (3, "x")):
        row = given[name] / given[name].sum(-1, keepdim=True)  # (curve, 1, key)
        weights[:, head] = row.float()
    planted = seen | {"attentions.1.weights": weights}
    found = slopes.head_scores(model, data, planted)
    assert slopes.best(found, "slope", 1) == (2, pytest.approx(1, abs=1e-5))
    assert slopes.best(found, "slope beyond", 1) == (2, pytest.approx(1, abs=1e-3))
    assert slopes.best(found, "x beyond time", 1) == (3, pytest.approx(1, abs=1e-3))
    assert slopes.best(found, "slope", 0)[1] < 0.9
    assert found["permutation p"][1] == 0.05  # none of nineteen


def test_planted_slopes_are_read_from_the_stream_and_nothing_from_noise(data):
    rng, y = np.random.default_rng(0), data.slopes(data.mixed)
    noise = rng.standard_normal((len(y), 2))
    planted = noise @ np.array([[1.0, 0], [0, 0]]) + np.outer(y, [0, 1.0])
    found = slopes.point_scores(data, data.mixed, {"first": noise, "last": planted})
    assert found["linear"][1] > 0.98 and found["linear"][0] < 0.2 and found["shuffled"] < 0.3


def test_a_layer_that_differentiates_has_an_odd_stencil(data, model):
    """Two heads that look one point ahead and back, writing with opposite signs."""
    with torch.no_grad():
        attention = model.encoder.attentions[0]
        before = attention.v_lin.weight.clone(), attention.out_lin.weight.clone()
        attention.v_lin.weight[8:] = 0
        attention.v_lin.weight[4:8] = attention.v_lin.weight[:4]
        attention.out_lin.weight[:, 4:8] = -attention.out_lin.weight[:, :4]
        seen = inside.encoder_activations(model, data.logistic)
        n = FEW.n_points
        ahead, back = (torch.diag(torch.ones(n - 1), k) for k in (1, -1))
        maps = torch.stack([ahead, back, ahead, back]).expand(len(data.logistic), 4, n, n)
        found = slopes.stencils(model, data, seen | {"attentions.0.weights": maps})
        attention.v_lin.weight[:], attention.out_lin.weight[:] = before
    assert found["odd"][0] == pytest.approx(1, abs=1e-4)
    [one] = found["by layer"][:1]
    assert one.abs().argmax() in (slopes.LAGS - 1, slopes.LAGS + 1)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"n_curves": 3}, "n_curves = 3: must be at least 12"),
        ({"n_permutations": 5}, "n_permutations = 5: must be at least 19"),
    ],
)
def test_too_little_is_refused_in_one_line(given, line):
    with pytest.raises(ValueError, match=line):
        slopes.Settings(**given)


def test_an_unknown_layer_is_refused():
    heads = {half: {"plain": {"slope": np.zeros((2, 4))}} for half in ("chosen", "scored")}
    with pytest.raises(ValueError, match=r"layer = 2: must lie in 0 \.\.\. 1"):
        slopes.best(heads, "slope", 2)


# ---------------------------------------------------------------------------------------------
# Costs and the table


def test_costs_of_nothing_are_nothing_and_those_of_everything_are_the_same_for_all(data, model):
    trial = inside.Trial(model, data.logistic, 2)
    assert trial.cost({}) == 0 and trial.r2_with({}) == trial.r2
    seen = inside.encoder_activations(model, data.logistic)
    mean = seen["layer_norm2.1.after"].mean((0, 1))
    change = {"encoder.layer_norm2.1.after": all_at_mean(mean)}
    with patched(model, change):
        memory = model.encode(*inside.encode(model, data.logistic))
    assert torch.equal(memory, mean.expand_as(memory))


def test_a_row_has_every_score_and_untrained_ones_no_costs(data, model, monkeypatch):
    found = slopes.readings(model, data)
    monkeypatch.setattr(derivative, "readings", lambda model, data: found)
    row = tables.rounded(derivative.row_of(data, model, trained=True))
    assert np.array(row["heads"]["scored"]["plain"]["slope"]).shape == (2, 4)
    assert np.array(row["head costs"]["heads"]).shape == (2, 4)
    assert len(row["points"]["mixed"]["linear"]) == 3 and len(row["width"]["linear"]) == 3
    assert len(row["slope costs"]["shuffled"]) == FEW.n_random
    assert derivative.row_of(data, model, trained=False) == found[0]
    assert set(row) - set(found[0]) == {"head costs", "slope costs", "width costs"}


def test_a_table_is_resumed_and_begun_anew_under_other_settings(tmp_path, monkeypatch):
    made, path = [], tmp_path / "table.json"
    monkeypatch.setattr(tables, "record_of", lambda name: {"sha256": f"hash of {name}"})
    monkeypatch.setattr(tables, "load", lambda name: name)
    monkeypatch.setattr(tables, "untrained", lambda like, k: k)

    def row_of(model, trained):
        made.append((model, trained))
        return {"score": torch.tensor([1 / 3, 2.0])}

    def extend(settings, models, n):
        return tables.extend(path, settings, "command", models, n, lambda: {"raw": 1}, row_of)

    extend({"seed": 0}, ["a"], 1)
    found = extend({"seed": 0}, ["a", "b"], 1)
    assert made == [("a", True), (0, False), ("b", True)]
    assert tables.read(path) == found
    assert found["rows"]["b"] == {"weights": "hash of b", "score": [0.33333, 2.0]}
    assert list(found["rows"]) == ["a", "untrained-0", "b"] and found["command"] == "command"
    extend({"seed": 1}, ["a"], 0)
    assert list(tables.read(path)["rows"]) == ["a"]


def test_a_missing_table_is_named():
    with pytest.raises(ValueError, match=r"table = 'nowhere\.json': no such file"):
        tables.read(derivative.Path("nowhere.json"))


def test_the_command_refuses_an_unknown_model_before_it_begins(tmp_path):
    from click.testing import CliRunner

    options = ["theirs", "--out", str(tmp_path / "t.json")]
    found = CliRunner().invoke(derivative.main, options)
    assert found.exit_code == 2 and "model = 'theirs': no file theirs" in found.output


def test_untrained_models_differ_from_each_other_and_are_of_one_geometry():
    first, second = (tables.untrained("short-1", k) for k in (0, 1))
    assert first.config == second.config
    assert not torch.equal(first.encoder.ffns[0].lin1.weight, second.encoder.ffns[0].lin1.weight)
