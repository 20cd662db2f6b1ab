"""The shipped model on systems everyone knows, and the files that ship with it."""

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer import recognise, train, weights
from attention_in_motion.odeformer.language.expressions import constants_of, skeleton
from attention_in_motion.paths import ROOT

SYSTEMS = {
    "exponential": ([["mul", -0.5, "x_0"]], [2.0], 6),
    "logistic": ([["add", "mul", -0.16, "pow", "x_0", 2, "mul", 0.8, "x_0"]], [0.5], 10),
    "oscillator": ([["x_1"], ["mul", -2.25, "x_0"]], [1.0, 0.75], 5),
}

SHIPPED = [name for name, path in weights.PLACES.items() if path.parent == weights.SHIPPED]


@pytest.fixture(scope="module")
def ours():
    return weights.load("ours")


def recognised(model, name, **options):
    system, start, end = SYSTEMS[name]
    times = np.linspace(0, end, 40)
    return recognise.ask(model, times, recognise.predict(system, start, times), **options)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_what_their_record_says(name):
    record = weights.record_of(name)
    model = weights.load(name)  # refuses another hash
    assert weights.path_of(name).stat().st_size <= 10e6
    assert abs(record["validation_as_stored"]["loss"] - record["validation"]["loss"]) < 1e-3
    assert model.decoder.proj.weight.dtype == torch.float32 and not model.training


@pytest.mark.parametrize("name", SHIPPED)
def test_the_recorded_command_describes_the_recorded_run(name, monkeypatch):
    """The command, read by the trainer of today, gives the configuration of the record.

    Fields that came later than the record have their defaults.
    """
    monkeypatch.chdir(ROOT)
    record = weights.record_of(name)
    program, words = record["command"].split(".train ")
    assert program == "python -m attention_in_motion.odeformer"
    given = train.main.make_context("train", words.split()).params
    config = train.read_config(given["config"], given["seed"], given["steps"])
    assert (record["seed"], record["steps"]) == (config.seed, config.training.steps)
    for table in ("model", "stream", "training"):
        assert type(getattr(config, table))(**record["config"][table]) == getattr(config, table)
    assert len(record["losses"]) == -(-config.training.steps // 100)


def test_the_evaluation_is_of_these_weights_and_agrees_with_their_validation():
    """Both count the same tokens of the same held-out systems, one when shipped, one later."""
    right = weights.record_of("ours")["validation_as_stored"]
    tokens = [one for one in weights.evaluation_of("ours")["tokens"] if one["systems"] == "all"]
    assert {one["kind"] for one in tokens} == set(right) - {"loss"}
    for one in tokens:
        assert one["share"] == pytest.approx(right[one["kind"]], abs=1e-6)
    assert tokens[0]["n"] == sum(one["n"] for one in tokens[1:])


def test_further_seeds_are_other_members_of_one_run():
    """They stand within .1 nats of each other, and none is another's copy."""
    records = [weights.record_of(name) for name in weights.REPLICATES]
    for seed, record in enumerate(records):
        assert record["seed"] == seed and f"--seed {seed} " in record["command"]
        assert {**record["config"], "seed": 0} == {**records[0]["config"], "seed": 0}
    losses = [record["validation"]["loss"] for record in records]
    assert len(set(losses)) == len(losses) and max(losses) - min(losses) < 0.1


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


def test_shipped_odeformer_weights_stay_small():
    assert sum(path.stat().st_size for path in weights.SHIPPED.iterdir()) <= 75e6
