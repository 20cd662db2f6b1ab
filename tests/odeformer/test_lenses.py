"""One row of the table: every score is there, small, and the same when it is computed again."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from attention_in_motion.odeformer import lenses, tables
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=3, encoder_heads=4, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=2, decoder_heads=2, max_dimension=2, precision=2),
)
FEW = lenses.Settings(
    **dict(n_systems=14, n_system_points=12, n_attended=12, n_pairs=4, n_rotations=4),
    **dict(n_curves=12, n_points=50, longest=50, n_random=2, n_decoded=1),
)


@pytest.fixture(scope="module")
def data():
    return lenses.Data(FEW)


@pytest.fixture(scope="module")
def row(data):
    model = ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()
    return tables.rounded(lenses.row_of(data, model, trained=True))


def test_a_row_has_every_score_by_layer(row):
    assert len(row["words"]["tuned"]["agrees"]["all"]) == 2
    assert np.array(row["sign"]["costs"]["swaps"]["heads"]["scored"]).shape == (2, 4)
    assert set(row["attended"]["lengths"]) == {"20", "25", "30", "40", "50"}
    assert [len(row["extrema"][name]) for name in ("encoder", "decoder", "separate")] == [3, 2, 2]
    assert {name: len(by_layer) for name, by_layer in row["layers"].items()} == {
        **{"x": 3, "slope": 3, "extrema": 3},
    }
    assert len(row["subtracted"]) == len(row["diagonals"]["ratio"]) == 3
    assert row["attended"]["moves"]["order"] < 1e-5  # the encoder knows no order
    assert row["subtraction costs"]["nothing"] == 0


def test_a_row_is_small_enough_for_a_table_of_26(row):
    assert len(json.dumps(row)) < 38_000


def test_untrained_models_have_no_costs(data, row):
    model = ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()
    other = tables.rounded(lenses.row_of(data, model, trained=False))
    costs = {"point costs", "head costs", "subtraction costs"}
    assert set(row) - set(other) == costs and "costs" not in other["sign"]
    assert other["words"] == row["words"] and other["attended"] == row["attended"]


def test_what_is_best_of_all_layers_is_chosen_on_the_even_half():
    heads = {
        "chosen": torch.tensor([[0.1, 0.2], [0.9, 0.3]]),
        "scored": torch.tensor([[0.8, 0.7], [0.4, 0.6]]),
    }
    assert lenses.best_of_all(heads) == pytest.approx(0.4)


def test_too_little_is_refused_in_one_line():
    with pytest.raises(ValueError, match="n_systems = 2: must be at least 12"):
        lenses.Settings(n_systems=2)
    with pytest.raises(ValueError, match="longest = 25: must be at least 50"):
        lenses.Settings(longest=25)


def test_the_command_refuses_an_unknown_model_before_it_begins(tmp_path):
    options = ["theirs", "--out", str(tmp_path / "t.json")]
    found = CliRunner().invoke(lenses.main, options)
    assert found.exit_code == 2 and "model = 'theirs': no file theirs" in found.output
