"""One row of the table on sparse features: complete, small, the same again; its parts are exact."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from attention_in_motion.measures.patching import patched
from attention_in_motion.measures.sparse_features import Autoencoder, Recipe
from attention_in_motion.odeformer import ablations, dictionaries, features, tables
from attention_in_motion.odeformer.inside import Trial, encoder_activations
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.systems.trajectories import Sample

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=2, encoder_heads=4, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=2, decoder_heads=2, max_dimension=2, precision=2),
)
FEW = dictionaries.Settings(
    **dict(n_systems=56, n_points=12, width=40, live=4, steps=40, n_plane=60, n_exchanges=3),
    **dict(grid=3, n_asked=6, n_decoded=1),
)


@pytest.fixture(scope="module")
def data():
    return dictionaries.Data(FEW)


@pytest.fixture(scope="module")
def model():
    return ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()


@pytest.fixture(scope="module")
def row(data, model):
    return tables.rounded(features.row_of(data, model, trained=True))


def test_a_row_has_every_score(row):
    for name in ("relu", "topk"):
        assert set(row[name]["quality"]) == {"explained", "l0", "dead"}
        assert set(row[name]["concepts"]["own"]) == {"t", "x", "x′", "x″", dictionaries.BEYOND}
        assert len(row[name]["stable"]["firing"]) == dictionaries.TOP
        assert sum(row[name]["rates"]) == pytest.approx(1, abs=1e-4)
    assert row["topk"]["quality"]["l0"] <= FEW.live
    assert 0 <= row["plane"]["rim"] <= 1 and 0 <= row["plane"]["own"] <= 1
    parts = row["costs"]["parts"]
    assert set(parts) == set(ablations.PARTS)
    assert all(
        len(one["mean"]["layers"]) == len(one["zero"]["layers"]) == 2 for one in parts.values()
    )
    assert set(row["costs"]["r2 without"]) == {"stream", "feed-forward", "reconstructed"}


def test_a_row_is_small_enough_for_a_table_of_26(row):
    assert len(json.dumps(row)) < 15_000  # of two layers each side


def test_untrained_models_have_no_costs_and_the_same_scores(data, model, row):
    other = tables.rounded(features.row_of(data, model, trained=False))
    assert set(row) - set(other) == {"costs", "frozen"}
    assert all(other[name] == row[name] for name in other)


def test_the_command_refuses_an_unknown_model_before_it_begins(tmp_path):
    options = ["theirs", "--out", str(tmp_path / "t.json")]
    found = CliRunner().invoke(features.main, options)
    assert found.exit_code == 2 and "model = 'theirs': no file theirs" in found.output
    dictionaries.Settings(**features.LITTLE)


def test_too_little_is_refused_in_one_line():
    with pytest.raises(ValueError, match="n_systems = 2: must be at least 56"):
        dictionaries.Settings(n_systems=2)
    with pytest.raises(ValueError, match="live = 9: must be at most width = 8"):
        dictionaries.Settings(width=8, live=9)


# ---------------------------------------------------------------------------------------------
# What features may stand for


def test_derivatives_are_those_of_the_equation():
    t = np.linspace(1, 10, 30)
    decay = Sample([["mul", -0.5, "x_0"]], t, np.exp(-0.5 * (t - 1))[:, None], "exponential")
    x = decay.values[:, 0]
    found = np.sinh(dictionaries.of_first_coordinate(decay)[1:])
    assert np.allclose(found, [x, -0.5 * x, 0.25 * x], atol=1e-7)
    turn = Sample(
        [["x_1"], ["mul", -4.0, "x_0"]], t, np.stack([np.cos(2 * t), -2 * np.sin(2 * t)], 1), ""
    )
    found = np.sinh(dictionaries.of_first_coordinate(turn)[1:])
    assert np.allclose(found, [np.cos(2 * t), -2 * np.sin(2 * t), -4 * np.cos(2 * t)], atol=1e-6)


def test_the_posts_systems_are_as_the_model_reads_them():
    for sample in (*dictionaries.damped(3, 400), *dictionaries.constant_slopes(4, 400)):
        assert np.allclose(sample.values[0], 1) and sample.times[[0, -1]].tolist() == [1, 10]
        step = np.diff(sample.values[:, 0]) / np.diff(sample.times)
        slope = np.sinh(dictionaries.of_first_coordinate(sample)[2])
        assert np.abs(step - (slope[1:] + slope[:-1]) / 2).max() < 0.02
    assert len(dictionaries.damped(3, 20)) == 9 and len(dictionaries.constant_slopes(4, 20)) == 16


def test_families_are_asked_of_odd_systems_of_a_family(data):
    assert (data.family[data.scored] >= 0).all() and (data.scored % 2 == 1).all()
    assert len(set(data.family[data.scored])) == 14
    names = [dictionaries.name_of(sample) for sample in data.mixed]
    assert [name == "random system" for name in names] == (data.family < 0).tolist()
    system, at = data.shown
    assert len(system) == FEW.n_plane == len({*zip(system.tolist(), at.tolist(), strict=True)})
    odd = {id(s) for s in data.mixed[1::2]}
    assert len(data.asked) == FEW.n_asked and all(id(s) in odd for s in data.asked)


def test_a_planted_family_feature_is_counted_above_chance(data):
    planted = dictionaries.Data(FEW)
    planted.mixed, planted.family = data.mixed, np.arange(FEW.n_systems) // 14
    rng = torch.Generator().manual_seed(0)
    h = torch.rand((FEW.n_systems, FEW.n_points, 20), generator=rng) - 0.9
    noise = dictionaries.family_scores(h, planted)
    assert noise["own"] == noise["exchanged"] == 0
    h[..., :5] = torch.from_numpy(planted.family == 3)[:, None, None].float()
    assert dictionaries.family_scores(h, planted) == {"own": 0.25, "exchanged": 0}


def test_planted_stable_features_are_shared_and_dense(data):
    h = torch.zeros(4, 6, 10)
    h[..., :3] = 1
    same = dictionaries.stable_scores(h, {"damped": h, "slopes": 2 * h})
    assert same["share"] == 1 and same["firing"].tolist() == [1, 1, 1]
    other = dictionaries.stable_scores(h, {"damped": h.flip(2), "slopes": h})
    assert other["share"] == 0 and other["firing"].tolist() == [0, 0, 0]


# ---------------------------------------------------------------------------------------------
# Ablations


@pytest.fixture(scope="module")
def trial(data, model):
    return Trial(model, data.asked, 1)


def test_ablating_nothing_changes_nothing(trial):
    place = f"encoder.{dictionaries.PLACE}"
    assert trial.cost({}) == 0 and trial.cost({place: lambda x: x}) == 0
    assert trial.r2_with({place: lambda x: x}) == trial.r2


def test_the_whole_reconstruction_without_an_error_changes_nothing(model, data, trial):
    place = f"encoder.{dictionaries.PLACE}"
    recipe = Recipe(width=32)
    perfect = Autoencoder(16, recipe, torch.Generator().manual_seed(0)).requires_grad_(False)
    both = torch.cat([torch.eye(16), -torch.eye(16)], 1)  # either sign of each coordinate
    perfect.decoder.copy_(both)
    perfect.encoder.copy_(both.T)
    assert abs(trial.cost({place: ablations.reconstructed(perfect)})) < 1e-6
    whole = trial.cost({place: lambda x: perfect(x) + (x - perfect(x))})
    mean = ablations.means(model, data.mixed[::2])
    perfect.mean.copy_(mean[place])
    found = ablations.dictionary_costs(trial, mean, {"perfect": perfect})
    assert abs(whole) < 1e-6 and found["perfect"]["recovered"] == pytest.approx(1, abs=1e-3)
    assert found["perfect"]["error"] == pytest.approx(found["mean"], abs=1e-6)


def test_the_stream_at_its_mean_leaves_nothing_of_the_points(model, data):
    place = f"encoder.{dictionaries.PLACE}"
    mean = ablations.means(model, data.mixed[::2])
    with patched(model, {place: ablations.at(mean[place])}):
        first, second = (encoder_activations(model, [s]) for s in data.mixed[:2])
    assert torch.equal(first["layer_norm2.1.after"], second["layer_norm2.1.after"])
    assert mean[place].shape == (16,) and mean["encoder.attentions.0.heads"].shape == (4, 4)


def test_padding_does_not_count_in_means(model, data):
    long = max(data.mixed, key=lambda s: sum(map(len, s.system)))
    short = min(data.mixed, key=lambda s: sum(map(len, s.system)))
    both, alone = (ablations.means(model, s) for s in ([long, short], [short]))
    for place in ("decoder.ffns.1.output", "decoder.attentions.1.heads"):
        n = [len(model.config.vocabulary.encode_system(s.system)) - 1 for s in (long, short)]
        own = ablations.means(model, [long])[place]
        expected = (n[0] * own + n[1] * alone[place]) / sum(n)
        assert torch.allclose(both[place], expected, atol=1e-5)
