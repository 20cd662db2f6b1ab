"""Chapter 2, re-run with another oscillator and a shorter window."""

from dataclasses import replace

import pytest
import torch

from attention_in_motion.book import pages
from attention_in_motion.chapters import linear_collapse as chapter
from attention_in_motion.training.store import train

MOVED = {"omega0": 3.1, "gamma": 0.3, "dt": 0.05, "context": 5, "steps": 500, "batch": 16}
MOVED |= {"lr": 0.02, "n_seeds": 2, "rollout_steps": 20, "n_starts": 16, "retrain": True}


def test_the_page_follows_the_physics_it_is_given(rerun):
    claims = rerun(chapter.PAGE, **MOVED).claims
    # a map fitted to another oscillator would be off by as much as the trained model, or more
    assert claims["P2.16"]["value"] < 1e-6
    # so would a model trained on another: its error would be near the cap of 1
    assert claims["P2.2"]["value"] < 0.5
    # so short a training leaves no gap that multiplying the loss could close
    assert claims["P2.3"]["value"] > 1
    assert claims["P2.3c"]["verdict"] == "not_testable" and claims["P2.3c"]["missing"]
    # hardly trained, so attention still matters
    assert claims["P2.4"]["value"] > 0.05 and claims["P2.5"]["value"] > 0.05
    assert claims["P2.4"]["verdict"] != "holds"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("gamma", 2.0, "must be < omega0 = 2"),
        ("dt", 2.0, "must be < 3.14 / omega0 = 1.57"),
        ("context", 1, "must be >= 2"),
        ("batch", 39, "must be >= context = 40"),
        ("steps", "many", "must be a whole number"),
        ("n_seeds", 1, "must be >= 2"),
        ("retrain", "false", "must be True or False"),
        ("device", "tpu", "must be 'cpu' or 'cuda'"),
    ],
)
def test_what_the_page_cannot_use_is_refused_in_one_line(name, value, allowed):
    with pytest.raises(ValueError) as error:
        chapter.Parameters.given(pages.defaults(chapter.PAGE) | {name: value})
    assert str(error.value) == f"{name} = {value!r}: {allowed}"


def test_the_page_itself_refuses_a_text_for_a_truth_value(refusal):
    line = refusal(chapter.PAGE, "-p", "retrain", "false")
    assert line == "ValueError: retrain = 'false': must be True or False"


def test_the_controls_have_the_targets_and_the_gradient_they_are_named_for():
    runs = chapter.runs(chapter.Parameters.given(pages.defaults(chapter.PAGE) | MOVED))
    targets = {name: run.batch * run.context for name, run in runs.items()}
    assert targets["eq3 matched targets"] == 3 * 5 <= runs["eq1"].batch
    p, model = runs["eq1"], runs["eq1"].model()
    batch = p.batches()(0)
    torch.testing.assert_close(runs["eq1 rescaled"].loss(model, batch), 5 * p.loss(model, batch))
    initial = [run.model().blocks[0].attention.W_O.W for name, run in runs.items()]
    assert all(torch.equal(weights, initial[0]) for weights in initial)


def test_the_end_of_training_is_always_looked_at():
    runs = chapter.runs(chapter.Parameters.given(pages.defaults(chapter.PAGE) | MOVED))
    trained = train(replace(runs["eq3"], steps=12, snapshots=(0, 10)))
    along = chapter.along_training(trained)
    assert list(along) == [10, 12]
    ten, twelve = (model.blocks[0].attention.W_O.W for model in along.values())
    assert torch.equal(twelve, trained.tensors["weights.blocks.0.attention.W_O.W"])
    assert torch.equal(ten, trained.tensors["snapshot.10.blocks.0.attention.W_O.W"])
    assert not torch.equal(ten, twelve)
