"""Figures of forecasts show what they are given."""

import numpy as np
import pytest

from attention_in_motion.figures import forecasts


def test_bands_hold_their_share_of_the_samples():
    past, future = np.zeros(5), np.ones(3)
    samples = np.linspace(-1, 1, 201)[:, None].repeat(3, axis=1)
    figure = forecasts.fans({"one": (past, future, samples, None)}, columns=1)
    wide, narrow = figure.axes[0].collections
    for band, edge in ((wide, 0.9), (narrow, 0.5)):
        assert np.abs(band.get_paths()[0].vertices[:, 1]).max() == pytest.approx(edge)
    median = figure.axes[0].lines[-1].get_ydata()
    assert median == pytest.approx(np.zeros(3))


def test_a_dot_a_model_for_each_kind():
    groups = {"trained": ([[0.1, 0.2], [0.3, 0.4]], "model"), "untrained": ([[0, 0]], "control")}
    figure = forecasts.by_kind(["a", "b"], groups, "score", 0.5)
    drawn = sorted(y for line in figure.axes[0].lines for y in line.get_ydata() if y != 0.5)
    assert drawn == [0, 0, 0.1, 0.2, 0.3, 0.4]
