"""What is said of slopes: exact targets, planted heads and streams, refusals in one line."""

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer import inside, slopes
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
