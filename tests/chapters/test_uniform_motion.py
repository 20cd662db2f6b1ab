"""Chapter 4 with another recipe and a rung of one's own; what may not be asked of it."""

import json

import pytest
import torch

from attention_in_motion.chapters import contents
from attention_in_motion.chapters import uniform_motion as chapter
from attention_in_motion.claims import judge
from attention_in_motion.statistics import share
from attention_in_motion.training.run import digest

GIVEN = {
    **{"input_dim": 1, "embed_dim": 1, "projections": "both", "biases": True},
    **{"input_scale": 1.0, "target_scale": 1.0, "heads": 1, "residual": False, "layers": 1},
    **{"n_seeds": 4, "steps": 300, "lr": 0.01, "retrain": False, "device": "cpu"},
}


def parameters(**changes):
    return chapter.Parameters.given(GIVEN | changes)


@pytest.fixture
def printed(tmp_path):
    """printed(text) → the line of the re-run page that begins so."""

    def line(text):
        notebook = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))
        outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", [])]
        lines = "".join("".join(out.get("text", "")) for out in outputs).splitlines()
        return next(line for line in lines if line.startswith(text))

    return line


def test_another_recipe_gives_other_seeds_and_the_same_law(rerun, printed):
    """At thirty times the learning rate: what a lucky seed is still follows from |p1 − p0|."""
    recipe = {"n_seeds": 4, "steps": 800, "lr": 0.03}
    own = {"input_dim": 2, "embed_dim": 3, "biases": False, "heads": 2}
    own |= {"input_scale": 0.5, "target_scale": 0.25}
    found = {i: c["value"] for i, c in rerun(chapter.PAGE, **recipe, **own).claims.items()}
    assert found["P3.1"] == found["P3.11"] == 0
    assert found["P3.19"] == 1
    assert 0 < found["P3.21"] < 0.3 and 0 < found["P3.22"] < 0.1
    assert found["P3.16"] == pytest.approx(-2, abs=0.3)
    assert found["P3.14"] == pytest.approx(0.2, abs=1e-6)
    assert printed("success rate").startswith("success rate 1.000 [0.510, 1.000]")


def test_too_few_steps_teach_nothing(rerun, printed):
    recipe = {"n_seeds": 3, "steps": 100, "lr": 1e-5}
    own = {"residual": False, "layers": 2, "embed_dim": 2}
    claims = rerun(chapter.PAGE, **recipe, **own).claims
    for rung in chapter.LADDER:
        assert claims[rung]["value"] == 0
        assert claims[rung]["interval"] == pytest.approx(share(0, 3)[1])
    assert claims["P3.21"]["verdict"] == "does_not_hold"
    assert printed("success rate").startswith("success rate 0.000")


@pytest.mark.parametrize("rung", ["P3.4", "P3.5", "P3.6", "P3.7", "P3.8", "P3.9", "P3.11"])
def test_the_posts_rungs_can_be_had_as_ones_own(rung):
    options = {"projections": "none", **chapter.LADDER[rung]}
    found = chapter.runs(parameters(**options))
    assert digest(found["own"]) == digest(found[rung])
    others = [digest(run) for name, run in found.items() if name not in ("own", rung)]
    assert digest(found["own"]) not in others


def test_the_other_scales_follow_the_recipe():
    found = chapter.runs(parameters(steps=700, lr=0.02))
    for scale, name in chapter.SCALES.items():
        assert (found[name].steps, found[name].lr) == (700, 0.02)
        assert (found[name].input_scale, found[name].target_scale) == (scale, 0.2)


def test_the_final_model_keeps_about_a_hundred_snapshots():
    for steps in (100, 150, 1000, 10_000):
        snapshots = chapter.runs(parameters(steps=steps))["P3.10"].snapshots
        assert snapshots[0] == 0 and snapshots[-1] == steps
        assert 100 <= len(snapshots) <= 200


def test_a_verdict_over_recipes_is_in_part_where_they_disagree():
    few, many = torch.full((60,), 1.0), torch.full((60,), 1e-3)
    (rate, interval), n = chapter.over_recipes({"one": few, "other": many})
    assert (rate, n) == (0.5, 120)
    assert interval == pytest.approx((share(0, 60)[1][0], share(60, 60)[1][1]))
    assert judge(chapter.RULES["P3.4"], rate, interval, n_seeds=n).verdict == "holds_in_part"


def test_the_recipes_are_four_and_the_rung_is_one_of_them():
    found = chapter.runs(parameters(n_seeds=200))
    for rung in chapter.OVER_RECIPES:
        runs = [found[chapter.of_recipe(rung, recipe)] for recipe in chapter.RECIPES]
        assert len({(run.batch, run.normal_positions) for run in runs}) == 4
        assert runs[list(chapter.RECIPES).index(chapter.DEFAULT_RECIPE)] is found[rung]
        assert {len(run.seeds) for run in runs} == {60, 200}
        assert len({(run.embed_dim, run.projections, run.input_scale) for run in runs}) == 1


def test_every_rung_has_its_rule_and_its_label():
    assert set(chapter.LADDER) == set(chapter.RUNGS) <= set(contents.PAGES[chapter.PAGE].RULES)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"projections": "none", "embed_dim": 2}, "projections = 'none': must be 'both' when"),
        ({"projections": "up", "layers": 2}, "layers = 2: must be 1 without both projections"),
        ({"projections": "down"}, "projections = 'down': must be 'both', 'up' or 'none'"),
        ({"input_scale": 0.0}, "input_scale = 0.0: must be > 0"),
        ({"steps": 99}, "steps = 99: must be >= 100"),
        ({"n_seeds": 1}, "n_seeds = 1: must be >= 2"),
        ({"retrain": "yes"}, "retrain = 'yes': must be True or False"),
        ({"device": "tpu"}, "device = 'tpu': must be 'cpu' or 'cuda'"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(changes, line):
    with pytest.raises(ValueError) as caught:
        parameters(**changes)
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)


def test_the_page_refuses_before_it_trains(refusal):
    assert refusal(chapter.PAGE, "-p", "embed_dim", "0").endswith("embed_dim = 0: must be >= 1")
    assert "embed_dims: unknown parameter" in refusal(chapter.PAGE, "-p", "embed_dims", "2")
