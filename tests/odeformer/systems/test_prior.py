"""The random priors: their shapes, constants, filters and held-out skeletons."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from attention_in_motion.odeformer.language.expressions import canonical, constants_of, skeleton
from attention_in_motion.odeformer.systems.families import FAMILIES, FAMILY_SKELETONS
from attention_in_motion.odeformer.systems.prior import (
    PRIORS,
    decorate,
    held_out,
    random_group,
    random_system,
    random_tree,
    stationary,
    words_of,
)


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("prior", PRIORS)
def test_random_systems_agree_with_scipy(random_samples, relative_error, dimension, prior):
    for sample in random_samples(dimension, 12, seed=dimension, prior=prior):
        assert relative_error(sample) < 1e-6, sample.system


def test_stationary_needs_every_coordinate_still():
    still, moving = np.full(10, 3.0), np.linspace(0, 1, 10)
    values = np.stack([np.stack([still, still]), np.stack([still, moving])], axis=-1)
    assert stationary(values.transpose(1, 0, 2), 10).tolist() == [True, False]


def test_nine_in_ten_stationary_trajectories_are_left_out():
    """x' = c x, 4 000 draws: one decay in ten with −8 < c < −3 stays, every one with −0.2 < c."""
    rng = np.random.default_rng(5)
    rates = random_group(rng, [["mul", 1.0, "x_0"]], 40, 4000, "repaired", most=4000).constants[0]
    share = 1 / 2 / np.log(400)  # of the draws, per unit of log |c|, with c < 0
    for low, high, stay in ((-8, -3, 0.1), (-0.2, -0.05, 1.0)):
        expected = 4000 * share * np.log(low / high) * stay
        count = ((low < rates) & (rates < high)).sum()
        assert abs(count - expected) < 4 * expected**0.5


def test_trees_are_uniform_over_shapes():
    """Five binary trees with three operators, 2 500 draws: χ²(4) below its 0.999 quantile."""
    rng = np.random.default_rng(6)
    shapes = [
        "".join("o" if w in ("add", "mul") else "." for w in words_of(random_tree(rng, 3, 1)))
        for _ in range(2500)
    ]
    counts = np.unique(shapes, return_counts=True)[1]
    assert len(counts) == 5
    assert ((counts - 500) ** 2 / 500).sum() < 18.5


def test_official_id_writes_the_child_twice_and_loses_the_second():
    """add(x_0, x_1) becomes add(x_0, x_0) where id is drawn for x_0: in half of the cases."""
    rng = np.random.default_rng(7)
    tree = ("add", ("x_0",), ("x_1",))
    counts = {prior: 0 for prior in PRIORS}
    for prior, _ in itertools.product(PRIORS, range(2000)):
        words = [w for w in decorate(rng, tree, prior == "official") if w.startswith("x_")]
        counts[prior] += words[:2] == ["x_0", "x_0"]
    assert counts["repaired"] == 0
    assert abs(counts["official"] - 1000) < 5 * 500**0.5


@pytest.mark.parametrize("prior", PRIORS)
def test_random_systems_have_the_stated_constants_and_operators(prior):
    rng = np.random.default_rng(8)
    systems = [random_system(rng, 3, prior) for _ in range(150)]
    constants = np.array([c for system in systems for c in constants_of(system)])
    assert np.abs(constants).min() >= 1 / 20 and np.abs(constants).max() <= 20
    assert abs((constants > 0).mean() - 0.5) < 5 * 0.5 / len(constants) ** 0.5
    assert abs(np.log(np.abs(constants)).mean()) < 5 * np.log(20) / (3 * len(constants)) ** 0.5
    unary = [sum(w in ("sin", "inv", "pow2", "id") for w in e) for s in systems for e in s]
    assert max(unary) == 3 and min(unary) == 0
    if prior == "repaired":
        assert not any("id" in e for s in systems for e in s)


def test_every_term_of_a_sum_has_a_coefficient():
    rng = np.random.default_rng(9)
    for _ in range(300):
        equation = canonical(random_system(rng, 2)[0])
        if equation[0] == "add":
            assert isinstance(equation[1], float) or isinstance(equation[2], float)


def test_unknown_prior_is_refused():
    with pytest.raises(ValueError, match="prior = 'other'"):
        random_system(np.random.default_rng(0), 1, "other")


def test_held_out_skeletons_are_one_in_twenty_and_never_a_family():
    rng = np.random.default_rng(10)
    systems = {skeleton(s): s for s in (random_system(rng, 2) for _ in range(800))}
    share = np.mean([held_out(system) for system in systems.values()])
    assert abs(share - 0.05) < 5 * (0.05 * 0.95 / len(systems)) ** 0.5
    assert not any(held_out(family.system) for family in FAMILIES.values())
    assert "x_0" in FAMILY_SKELETONS  # exponential
