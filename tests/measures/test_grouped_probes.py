"""Probes find what is planted, score chance on shuffled labels, and never share a system."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from attention_in_motion.measures import grouped_probes as probes
from attention_in_motion.measures.probes import ridge as ours

N, POINTS, D = 60, 4, 8  # systems, points of each, width of the activations
RNG = np.random.default_rng(0)
SYSTEMS = np.repeat(np.arange(N), POINTS)
X = RNG.standard_normal((N * POINTS, D)) * np.logspace(-2, 2, D)
PLANTED = RNG.standard_normal(D) / np.logspace(-2, 2, D)
Y = X @ PLANTED + 3


def test_a_planted_direction_is_found_and_shuffled_labels_are_not():
    assert probes.held_out_score(probes.linear, X, Y, SYSTEMS) > 0.999
    found = probes.direction(probes.fitted(probes.linear(), X, Y, SYSTEMS))
    assert found @ PLANTED / np.linalg.norm(PLANTED) > 0.999
    assert probes.held_out_score(probes.linear, X, probes.shuffled(Y), SYSTEMS) < 0.05


def test_classes_are_found_and_shuffled_ones_are_at_chance():
    classes = np.digitize(Y - 3, (-1.0, 1.0))
    assert probes.held_out_score(probes.logistic, X, classes, SYSTEMS) > 0.9
    chance = np.bincount(classes).max() / len(classes)
    shuffled = probes.held_out_score(probes.logistic, X, probes.shuffled(classes), SYSTEMS)
    assert abs(shuffled - chance) < 0.12


def test_a_hidden_layer_reads_what_no_line_can():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((600, 3))
    y, systems = x[:, 0] * np.sign(x[:, 1]), np.arange(600)
    assert probes.held_out_score(probes.linear, x, y, systems) < 0.1
    assert probes.held_out_score(probes.mlp, x, y, systems) > 0.7
    assert probes.held_out_score(probes.mlp, x, probes.shuffled(y), systems) < 0.1


def test_points_of_one_system_never_help_each_other():
    """Labels that belong to systems, activations that only say which system: nothing to learn."""
    rng = np.random.default_rng(2)
    names, labels = rng.standard_normal((N, 30)), rng.standard_normal(N)
    x = names[SYSTEMS] + 0.01 * rng.standard_normal((N * POINTS, 30))
    assert probes.held_out_score(probes.linear, x, labels[SYSTEMS], SYSTEMS) < 0.05
    one_each = np.arange(N * POINTS)  # the split that leaks
    assert probes.held_out_score(probes.linear, x, labels[SYSTEMS], one_each) > 0.4


def test_ours_is_the_same_ridge():
    x, y = torch.from_numpy(X), torch.from_numpy(np.stack([Y, Y**2], axis=1))
    fitted = ours(x, y, alpha=0.3)
    standard = ((x - x.mean(0)) / x.std(0)).numpy()
    theirs = Ridge(alpha=0.3 * len(x)).fit(standard, y.numpy())
    assert np.allclose(fitted(x).numpy(), theirs.predict(standard), rtol=1e-9, atol=1e-9)


def test_permutations_tell_a_signal_from_none():
    systems, x = np.arange(N), RNG.standard_normal((N, 3))
    noise = RNG.standard_normal(N)
    ridge = partial(probes.linear, (1.0,))
    score, p = probes.permutation_test(ridge, x, x[:, 0] + noise, systems, 19)
    assert score > 0.3 and p == 0.05  # none of nineteen does as well
    score, p = probes.permutation_test(ridge, x, noise, systems, 19)
    assert score < 0.1 and p > 0.05


NAN = np.where(np.arange(N * POINTS) == 5, np.nan, Y)


@pytest.mark.parametrize(
    ("x", "y", "systems", "line"),
    [
        (X, Y[:-1], SYSTEMS, "must agree in rows"),
        (X[:, 0], Y, SYSTEMS, "must agree in rows"),
        (X, NAN, SYSTEMS, "y: must be finite, has nan"),
        (X * np.inf, Y, SYSTEMS, "x: must be finite, has "),
        (X, np.ones(len(X)), SYSTEMS, r"y: must have different labels, all are 1\.0"),
        (X, Y, np.zeros(len(X)), "systems: must be at least 5, one per fold; there are 1"),
        (X, (SYSTEMS < 2).astype(int), SYSTEMS, "class 1: must be in at least 5 systems, is in 2"),
    ],
)
def test_what_no_probe_can_be_fitted_to_is_refused_in_one_line(x, y, systems, line):
    make = probes.linear if y.dtype.kind == "f" else probes.logistic
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=line):
        probes.held_out(make, x, y, systems)


def test_labels_of_points_cannot_be_exchanged_between_systems():
    with pytest.raises(ValueError, match="y: must be one label per system"):
        probes.permutation_test(probes.linear, X, Y, SYSTEMS, 19)


def test_a_probe_of_nothing_has_no_direction():
    probe = probes.fitted(probes.linear(), X, Y, SYSTEMS)
    probe["model"].coef_ = np.zeros(D)
    with pytest.raises(ValueError, match="probe: all weights are zero"):
        probes.direction(probe)
