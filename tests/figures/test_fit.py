"""The figure of a fit."""

import numpy as np

from attention_in_motion.figures.fit import fitted


def test_one_panel_per_coordinate_with_every_track_and_curve():
    t = np.linspace(0, 1, 5)
    pair = t, np.stack([t, t**2], axis=1)
    axes = fitted([pair, pair], [pair], ["prey", "hunters"]).axes
    assert [ax.get_ylabel() for ax in axes] == ["prey", "hunters"]
    assert [len(ax.lines) for ax in axes] == [3, 3]
    assert (axes[1].lines[0].get_ydata() == t**2).all()
