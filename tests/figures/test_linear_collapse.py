"""Every figure of chapter 2, drawn from small arrays: each label names the numbers beside it."""

import numpy as np
import pytest
import torch

from attention_in_motion.figures import linear_collapse as figures
from attention_in_motion.figures.style import COLOURS


def test_errors_stand_beside_the_loss_they_come_from():
    errors = {name: torch.full((3,), 10.0**-row) for row, name in enumerate(figures.LOSSES)}
    (axes,) = figures.errors_by_loss(errors, solved=1e-14).axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [*figures.LOSSES.values(), "linear model, solved"]
    dots = [line for line in axes.lines if line.get_marker() in ("o", "D")]
    assert len(dots) == len(names)
    for row, line in enumerate(dots):
        assert line.get_ydata()[0] == row
        assert line.get_xdata()[0] == pytest.approx(1e-14 if row == 4 else 10.0**-row)
    both = COLOURS["model"], COLOURS["rival"]
    assert [line.get_color() for line in dots] == [*both, *both, COLOURS["linear"]]


def test_saliency_maps_show_the_norm_as_a_power_of_ten():
    jacobian = torch.zeros(2, 3, 3, 2, 2)
    jacobian[:, 1, 0, 0, 0] = torch.tensor([1e-1, 1e-3])  # output 1, input 0
    figure = figures.saliency_maps({"eq3": jacobian, "eq1": jacobian})
    left, right, bar = figure.axes
    titles = [axes.get_title() for axes in (left, right)]
    assert titles == ["loss on all positions", "loss on the last position"]
    image = left.images[0].get_array()
    assert image[1, 0] == pytest.approx(-2)  # the geometric mean over seeds
    assert np.delete(image.ravel(), 3).max() == pytest.approx(-9)  # nothing anywhere else
    assert (left.get_xlabel(), left.get_ylabel()) == ("input position j", "output position i")
    assert left.images[0].get_clim() == right.images[0].get_clim()
    assert "log10" in bar.get_ylabel()


def test_attention_along_training_has_one_curve_per_loss():
    shares = torch.tensor([[1.0, 0.1], [2.0, 0.2], [4.0, 0.4]])
    figure = figures.shrinking_attention([10, 100], {"eq3": shares, "eq1": 10 * shares})
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert list(drawn) == ["loss on all positions", "loss on the last position"]
    np.testing.assert_allclose(drawn["loss on all positions"], [2.0, 0.2])
    np.testing.assert_allclose(drawn["loss on the last position"], [20.0, 2.0])
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [10, 100])
