"""Every figure of chapter 1, drawn from small arrays: each label names the numbers beside it."""

import numpy as np
import pytest
import torch

from attention_in_motion.figures import fixed_omega as figures
from attention_in_motion.figures.style import COLOURS

STEPS = torch.arange(1, 31)


def test_rollouts_show_truth_every_seed_and_slope_one():
    true, predicted = torch.sin(0.1 * STEPS), torch.rand(3, 30)
    errors = {"γ = 0": 1e-6 * torch.ones(3, 30), "γ = 0.1": 1e-5 * torch.ones(3, 30)}
    figure = figures.rollouts(0.1 * STEPS, true, predicted, STEPS, errors)
    left, right = figure.axes
    drawn = [line.get_ydata() for line in left.lines]
    np.testing.assert_allclose(drawn[0], true)
    for seed in range(3):
        np.testing.assert_allclose(drawn[1 + seed], predicted[seed])
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels == ["γ = 0", "γ = 0.1", "slope 1"]
    dotted = right.lines[-1].get_ydata()
    assert dotted[9] == pytest.approx(1e-6)  # meets the first curve at n = 10
    assert dotted[29] == pytest.approx(3 * dotted[9])
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")


def rows(axes):
    """{label: the dots beside it}."""
    names = {row: text.get_text() for row, text in enumerate(axes.get_yticklabels())}
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    return {names[line.get_ydata()[0]]: line for line in dots}


def test_recovered_constants_and_distances_stand_beside_their_names():
    distances = {"exact flow": torch.full((4,), 1e-7), "Euler": torch.full((4,), 1e-2)}
    distances["RK4"] = torch.full((4,), 1e-5)
    omega0, gamma = torch.full((4,), 1e-3), torch.full((4,), 1e-4)
    left, right = figures.recovered(omega0, gamma, distances).axes
    assert {k: line.get_xdata()[0] for k, line in rows(left).items()} == {
        "ω0": pytest.approx(1e-3),
        "γ": pytest.approx(1e-4),
    }
    assert {k: line.get_xdata()[0] for k, line in rows(right).items()} == {
        name: pytest.approx(float(values[0])) for name, values in distances.items()
    }
    colours = {name: line.get_color() for name, line in rows(right).items()}
    assert colours["exact flow"] == COLOURS["model"] != colours["Euler"] == colours["RK4"]


def test_error_against_energy_marks_the_training_energy():
    scales = torch.logspace(-2, 2, 5)
    with_bias = torch.arange(1, 16.0).view(3, 5)
    figure = figures.error_against_scale(scales, with_bias, 2 * with_bias, trained=2.5)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["with biases"].get_ydata(), with_bias[1])
    np.testing.assert_allclose(lines["without biases"].get_ydata(), 2 * with_bias[1])
    assert set(lines["mean training energy"].get_xdata()) == {2.5}
