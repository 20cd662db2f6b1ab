"""The figure of a fit."""

import numpy as np

from attention_in_motion.figures.fit import by_samples, compared, fitted


def test_one_panel_per_coordinate_with_every_track_and_curve():
    t = np.linspace(0, 1, 5)
    pair = t, np.stack([t, t**2], axis=1)
    axes = fitted([pair, pair], [pair], ["prey", "hunters"]).axes
    assert [ax.get_ylabel() for ax in axes] == ["prey", "hunters"]
    assert [len(ax.lines) for ax in axes] == [3, 3]
    assert (axes[1].lines[0].get_ydata() == t**2).all()


def test_methods_are_compared_under_every_condition_with_their_intervals():
    one, other = (0.5, (0.3, 0.6)), (0.25, (0.1, 0.4))
    figure = compared({"given": {"ours": [one, other], "theirs": [other, one]}}, ["clean", "noisy"])
    [axes] = figure.axes
    lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert lines["ours"] == [0.5, 0.25] and lines["theirs"] == [0.25, 0.5]
    [bars] = axes.containers[0].lines[2]
    assert np.allclose([bar[:, 1] for bar in bars.get_segments()], [one[1], other[1]])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["clean", "noisy"]


def test_methods_of_one_family_share_a_colour_and_the_last_of_them_is_solid():
    names = ("a, default", "a, tuned", "b")
    methods = {name: [(0.5, (0.3, 0.6))] for name in names}
    [axes] = compared({"given": methods}, ["clean"], "noise").axes
    lines = {line.get_label(): line for line in axes.lines}
    colours = [lines[name].get_color() for name in names]
    assert colours[0] == colours[1] != colours[2]
    assert [lines[name].get_linestyle() for name in names] == ["--", "-", "-"]
    assert axes.get_xlabel() == "noise"


def test_curves_over_the_number_of_samples():
    [axes] = by_samples([1, 5, 50], {"as written": [0.1, 0.2, 0.3]}).axes
    assert axes.lines[0].get_xydata().tolist() == [[1, 0.1], [5, 0.2], [50, 0.3]]
    assert axes.texts[0].get_text() == "as written"
