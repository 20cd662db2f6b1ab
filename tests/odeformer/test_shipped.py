"""The shipped model on systems everyone knows, and the files that ship with it."""

import json

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer import recognise, weights
from attention_in_motion.odeformer.language.expressions import constants_of, skeleton

SYSTEMS = {
    "exponential": ([["mul", -0.5, "x_0"]], [2.0], 6),
    "logistic": ([["add", "mul", -0.16, "pow", "x_0", 2, "mul", 0.8, "x_0"]], [0.5], 10),
    "oscillator": ([["x_1"], ["mul", -2.25, "x_0"]], [1.0, 0.75], 5),
}


@pytest.fixture(scope="module")
def ours():
    return weights.load("ours")


def recognised(model, name, **options):
    system, start, end = SYSTEMS[name]
    times = np.linspace(0, end, 40)
    return recognise.fit(model, times, recognise.predict(system, start, times), **options)


@pytest.mark.parametrize("name", ["ours", "short-1", "short-2"])
def test_shipped_weights_are_what_their_record_says(name):
    record = weights.record_of(weights.path_of(name))
    model = weights.load(name)  # refuses another hash
    assert weights.path_of(name).stat().st_size <= 6e6
    assert record["validation_as_stored"]["loss"] - record["validation"]["loss"] < 1e-3
    assert model.decoder.proj.weight.dtype == torch.float32 and not model.training


def test_further_seeds_are_other_members_of_one_run():
    first, second = (weights.record_of(weights.path_of(f"short-{seed}")) for seed in (1, 2))
    for seed, record in ((1, first), (2, second)):
        assert record["seed"] == seed and f"--seed {seed} " in record["command"]
    assert {**first["config"], "seed": 0} == {**second["config"], "seed": 0}
    losses = [record["validation"]["loss"] for record in (first, second)]
    assert losses[0] != losses[1] and abs(losses[0] - losses[1]) < 0.1


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_constants_of_known_systems_are_within_five_per_cent(ours, name):
    best = recognised(ours, name, refine=True).candidates[0]
    assert best.r2 > 0.9999
    field = {c for c in constants_of(best.system) if abs(c) > 1e-3 and abs(c - 1) > 1e-3}
    assert np.allclose(sorted(field), sorted(constants_of(SYSTEMS[name][0])), rtol=0.05)


def test_the_exponential_needs_no_refinement(ours):
    best = recognised(ours, "exponential").candidates[0]
    assert skeleton(best.system) == skeleton(SYSTEMS["exponential"][0])
    assert constants_of(best.system) == pytest.approx([-0.5], rel=0.05)


def test_the_shipped_record_says_how_to_train_it_again(ours):
    record = weights.record_of(weights.path_of("ours"))
    assert record["command"].startswith("python -m attention_in_motion.odeformer.train configs/")
    assert record["config"]["training"]["steps"] == record["steps"] == 24000
    lost = record["validation_as_stored"]["loss"] - record["validation"]["loss"]
    assert abs(lost) < 1e-3
    assert json.dumps(weights.evaluation("ours")["tokens"])  # about these very weights


def test_shipped_odeformer_weights_stay_small():
    assert sum(path.stat().st_size for path in weights.SHIPPED.iterdir()) < 60e6
