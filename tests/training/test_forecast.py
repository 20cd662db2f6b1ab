"""Training of forecasters: series as promised, seeds apart, a loss that falls, a file read."""

import pytest
import torch

from attention_in_motion.training import store
from attention_in_motion.training.descent import fit
from attention_in_motion.training.forecast import ForecastRun

TINY = {"context": 10, "horizon": 4, "width": 8, "steps": 4, "batch": 8}


def test_series_are_functions_and_noise():
    run = ForecastRun(noise=0.1)
    x, drawn = run.series(torch.Generator().manual_seed(0), 500)
    assert x.shape == (500, run.n_points, 1)
    assert (x[..., 0] - drawn.x).std() == pytest.approx(0.1, rel=0.02)


def test_two_variates_are_a_rotation_of_two_functions():
    run = ForecastRun(variates=2, noise=0.0)
    x, drawn = run.series(torch.Generator().manual_seed(0), 50)
    other = x.square().sum(2) - drawn.x.square()  # lengths survive a rotation
    assert (other > -1e-4).all()
    assert other.mean(1) == pytest.approx(torch.full((50,), 70 / 71), abs=1e-4)


def test_the_posts_run_shows_copies():
    x, _ = ForecastRun(only_decay=True).series(torch.Generator().manual_seed(0), 3)
    assert torch.equal(x[0], x[2])


def test_training_is_stored_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path))
    run = ForecastRun(seeds=(0, 1), **TINY)
    trained = store.load_or_train(run, "05-toy")
    again = store.load_or_train(run, "05-toy")
    x = run.batches()(99)
    assert torch.equal(run.loss(trained.model, x), run.loss(again.model, x))
    assert store.run_of(trained.provenance) == run
    assert trained.tensors["sample.output"].shape == (2, 4, 4)


def test_a_seed_alone_is_trained_as_among_others():
    def losses(seeds):
        run = ForecastRun(seeds=seeds, **TINY)
        return fit(run.model(), run.loss, run.batches(), steps=3, lr=1e-2)[0]

    assert torch.allclose(losses((0, 1))[:, 1], losses((1,))[:, 0], atol=1e-6)


def test_the_loss_falls():
    run = ForecastRun(seeds=(0,), only_decay=True, **(TINY | {"steps": 40}))
    losses, _ = fit(run.model(), run.loss, run.batches(), steps=40, lr=1e-2)
    assert losses[-5:].mean() < losses[:5].mean() - 0.5


@pytest.mark.parametrize(
    ("name", "value", "line"), [("variates", 3, "1 or 2"), ("noise", -1, ">= 0")]
)
def test_bad_runs_are_refused(name, value, line):
    with pytest.raises(ValueError, match=f"{name} = {value}: must be {line}"):
        ForecastRun(**{name: value})
