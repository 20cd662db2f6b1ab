"""Chapter 2, re-run with another oscillator and a shorter window."""

from dataclasses import replace

import pytest
import torch

from attention_in_motion.book import pages
from attention_in_motion.chapters import linear_collapse as chapter
from attention_in_motion.training.store import train

MOVED = {"omega0": 3.1, "gamma": 0.3, "dt": 0.05, "context": 5, "steps": 500, "batch": 16}
MOVED |= {
    "lr": 0.02,
    "sgd_lr": 0.1,
    "n_seeds": 2,
    "n_fresh": 6,
    "n_new": 5,
    "rollout_steps": 20,
    "n_starts": 16,
    "retrain": True,
}


def test_the_page_follows_the_physics_it_is_given(rerun):
    claims = rerun(chapter.PAGE, **MOVED).claims
    # a map fitted to another oscillator would be off by as much as the trained model, or more
    assert claims["P2.16"]["value"] < 1e-6
    # so would a model trained on another: its error would be near the cap of 1
    assert claims["P2.2"]["value"] < 0.5
    # rounding, and nothing else, is left of the superposition
    assert 0.5 < claims["P2.1b"]["value"] < 2
    # hardly trained, so attention still matters, and W_O is of its initial size
    assert claims["P2.4"]["value"] > 0.05 and claims["P2.5a"]["value"] > 0.05
    assert claims["P2.4"]["verdict"] != "holds"
    assert 0.3 < claims["P2.5b"]["value"] < 3
    # small steps along the gradient conserve the imbalance, those of AdamW do not
    assert claims["P2.5c"]["value"] < 0.05 < claims["P2.5e"]["value"]
    # so short a training leaves every fresh seed slow, hence no two groups
    assert claims["P2.2b"]["value"] == 0
    assert claims["P2.2d"]["verdict"] == "not_testable" and claims["P2.2d"]["missing"]
    # and the largest ensembles likewise; nothing has had the time to vanish
    assert claims["P2.2e"]["verdict"] == "not_testable" and claims["P2.5f"]["n_seeds"] == 5
    assert claims["P2.5g"]["value"] == claims["P2.5h"]["value"] == 0


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("gamma", 2.0, "must be < omega0 = 2"),
        ("dt", 2.0, "must be < 3.14 / omega0 = 1.57"),
        ("context", 1, "must be >= 2"),
        ("batch", 39, "must be >= context = 40"),
        ("steps", "many", "must be a whole number"),
        ("n_seeds", 1, "must be >= 2"),
        ("n_fresh", 3, "must be >= 4"),
        ("n_new", 3, "must be >= 4"),
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
    small = [run for run in runs.values() if run.seeds == p.seeds]
    initial = [run.model().blocks[0].attention.W_O.W for run in small]
    assert all(torch.equal(weights, initial[0]) for weights in initial)


def test_the_scored_positions_are_those_they_are_named_for():
    runs = chapter.runs(chapter.Parameters.given(pages.defaults(chapter.PAGE) | MOVED))
    model, batch = runs["last scored"].model(), runs["last scored"].batches()(0)
    error = (model(batch[0][:, :, :-1]) - batch[0][:, :, 1:]).square().mean(dim=(1, 3))
    names = {"last scored": [4], "middle and last scored": [1, 4], "first and last scored": [0, 4]}
    for name, positions in names.items():
        expected = error[:, positions].mean(dim=1)
        torch.testing.assert_close(runs[name].loss(model, batch), expected)


def test_the_large_ensembles_share_all_but_the_optimiser_and_nothing_with_the_small_ones():
    runs = chapter.runs(chapter.Parameters.given(pages.defaults(chapter.PAGE) | MOVED))
    adamw, sgd = runs["fresh"], runs["fresh sgd"]
    assert replace(sgd, optimiser="adamw", lr=adamw.lr) == adamw
    assert (sgd.optimiser, sgd.lr) == ("sgd", 0.1)
    assert not set(adamw.seeds) & set(runs["eq3"].seeds) and len(adamw.seeds) == 6
    assert replace(adamw, seeds=runs["eq3"].seeds) == replace(
        runs["eq3 matched targets"], snapshots=()
    )


def test_more_seeds_change_what_they_are_named_for_and_nothing_else():
    known = chapter.runs(chapter.Parameters.given(pages.defaults(chapter.PAGE) | MOVED))
    more = chapter.more_seeds(known, 7)
    for name in chapter.CHOICES:
        few, adamw, sgd = known[name], more[f"fresh, {name}"], more[f"fresh sgd, {name}"]
        assert replace(adamw, seeds=few.seeds) == few
        assert replace(sgd, optimiser="adamw", lr=few.lr) == adamw
        assert adamw.seeds == known["fresh"].seeds
    new, sgd, decay = more["new"], more["new sgd"], more["new decay"]
    assert replace(new, seeds=known["fresh"].seeds) == known["fresh"]
    assert replace(sgd, seeds=known["fresh"].seeds) == known["fresh sgd"]
    assert replace(decay, weight_decay=0.0) == new and decay.weight_decay > 0
    assert new.seeds == tuple(range(8, 15))  # two seeds and six fresh ones come before


def test_the_end_of_training_is_always_looked_at():
    runs = chapter.runs(chapter.Parameters.given(pages.defaults(chapter.PAGE) | MOVED))
    trained = train(replace(runs["eq3"], steps=12, snapshots=(0, 10)))
    along = chapter.along_training(trained)
    assert list(along) == [10, 12]
    ten, twelve = (model.blocks[0].attention.W_O.W for model in along.values())
    assert torch.equal(twelve, trained.tensors["weights.blocks.0.attention.W_O.W"])
    assert torch.equal(ten, trained.tensors["snapshot.10.blocks.0.attention.W_O.W"])
    assert not torch.equal(ten, twelve)
