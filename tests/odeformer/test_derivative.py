"""What the answer needs: costs of nothing and of everything, a whole row, the command."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from attention_in_motion.measures.patching import all_at_mean, patched
from attention_in_motion.odeformer import derivative, inside, slopes, tables
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig

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


def test_the_command_refuses_an_unknown_model_before_it_begins(tmp_path):
    options = ["theirs", "--out", str(tmp_path / "t.json")]
    found = CliRunner().invoke(derivative.main, options)
    assert found.exit_code == 2 and "model = 'theirs': no file theirs" in found.output
