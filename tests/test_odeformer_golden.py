"""The shipped model on systems everyone knows, and the files that ship with it."""

import json

import numpy as np
import pytest

from attention_in_motion.odeformer import inference, weights
from attention_in_motion.odeformer.expressions import constants_of, skeleton

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
    return inference.fit(model, times, inference.predict(system, start, times), **options)


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
