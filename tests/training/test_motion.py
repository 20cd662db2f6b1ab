"""Runs on uniform motion: their targets, their rungs seed by seed, the unit of their error."""

import pytest
import torch

from attention_in_motion.chapters.uniform_motion import LADDER
from attention_in_motion.training.descent import fit
from attention_in_motion.training.motion import MotionRun


def test_targets_are_the_motion():
    run = MotionRun(seeds=(0,), input_dim=3, embed_dim=3, input_scale=0.1, target_scale=0.2)
    tokens = run.draw(torch.Generator().manual_seed(0), 2)[0]
    assert tokens.shape == (2, 64, 3, 3)
    torch.testing.assert_close(tokens[:, :, 2], 4 * tokens[:, :, 1] - 2 * tokens[:, :, 0])


@pytest.mark.parametrize("rung", LADDER)
def test_every_rung_is_its_seeds_one_by_one(rung):
    def losses(seeds):
        run = MotionRun(seeds=seeds, **LADDER[rung])
        return fit(run.model(), run.loss, run.batches(), steps=5, lr=run.lr)[0]

    torch.testing.assert_close(losses((0, 1, 2))[:, 1:2], losses((1,)), rtol=1e-4, atol=1e-6)


def test_normal_positions_change_the_positions_alone():
    plain, normal = (MotionRun(**LADDER["P3.4"], normal_positions=n).model() for n in (False, True))
    assert plain.P.abs().max() <= 20**-0.5
    assert normal.P.std().item() == pytest.approx(1, abs=0.03)
    torch.testing.assert_close(plain.W_E.W, normal.W_E.W)


def test_predicting_zero_is_the_unit_of_error():
    run = MotionRun(seeds=(0, 1))
    silent = run.model()
    for weight in silent.parameters():
        torch.nn.init.zeros_(weight)
    error = run.normalised_mse(silent, torch.Generator().manual_seed(0), n=100)
    torch.testing.assert_close(error, torch.ones(2))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"input_scale": 0.0}, "input_scale = 0: must be > 0"),
        ({"target_scale": -1.0}, "target_scale = -1: must be > 0"),
        ({"layers": 2}, "layers = 2: must be 1 without both projections"),
    ],
)
def test_bad_runs_are_refused_in_one_line(options, line):
    with pytest.raises(ValueError) as caught:
        MotionRun(**options)
    assert str(caught.value) == line
