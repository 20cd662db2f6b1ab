"""The figures of chapter 5, drawn once with small arrays."""

import numpy as np
import pytest
import torch

from attention_in_motion.figures import odeformer as figures

TIMES = np.linspace(0, 1, 5)


def test_the_path_shows_points_words_and_the_curve():
    observed = np.stack([TIMES, TIMES**2], axis=1)
    words, looks = ["mul", "x_0", "x_1"], torch.rand(3, 5)
    middle, right = figures.odeformer_path(TIMES, observed, words, looks, observed).axes
    assert np.allclose(right.lines[1].get_ydata(), TIMES**2)
    assert [tick.get_text() for tick in middle.get_yticklabels()] == words
    assert np.allclose(middle.images[0].get_array(), looks.numpy())
    assert np.allclose(right.lines[-1].get_ydata(), TIMES**2)


def test_recognised_shows_one_dot_per_group_condition_and_method():
    keys = [(g, c, m) for g in ("a", "b") for c in ("x", "y") for m in ("one", "two", "three")]
    rows = []
    for i, (group, condition, method) in enumerate(keys):
        share = i / len(keys)
        row = {"group": group, "condition": condition, "method": method, "share": share}
        rows.append(row | {"low": share - 0.1, "high": share + 0.1})
    panels = figures.recognised(rows, ["x", "y"], {"one": "model", "three": "control"}).axes
    assert [axes.get_title() for axes in panels] == ["x", "y"]
    dots = [line for line in panels[0].lines if line.get_marker() == "o"]
    drawn = [float(dot.get_xdata()[0]) for dot in dots if len(dot.get_xdata())]
    assert drawn == [0, 2 / 12, 6 / 12, 8 / 12]


def test_worked_examples_are_curves_through_points_in_time():
    flat, plane = TIMES[:, None], np.stack([TIMES, -TIMES], axis=1)
    one, two = figures.worked({"a: 1-D": (TIMES, flat, 2 * flat), "b": (TIMES, plane, plane)}).axes
    assert one.get_title() == "a\n1-D" and two.get_xlabel() == "t"
    assert np.allclose(one.lines[1].get_ydata(), 2 * TIMES)
    assert np.allclose(two.lines[3].get_ydata(), -TIMES)


def test_shares_by_steepness_are_written_into_their_cells():
    shares = torch.tensor([[0.25, 1.0, float("nan")], [0.0, 0.5, 0.75]])
    ax = figures.by_steepness((1.0, 2.0, 8.0), (2.0, 12.0), shares).axes[0]
    written = {tuple(text.get_position()): text.get_text() for text in ax.texts}
    assert written == {
        **{(0, 0): "0.25", (1, 0): "1.00"},  # (column, row); none for the empty cell
        **{(0, 1): "0.00", (1, 1): "0.50", (2, 1): "0.75"},
    }
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "8"]


def test_head_maps_show_lines_over_a_map_for_each_curve():
    t = np.linspace(1, 10, 12)
    curve = (t, 1 / t, 1 / t**2, torch.full((12,), 1 / 12), torch.eye(12))
    figure = figures.head_maps({"one": curve, "two": curve})
    assert [len(ax.lines) for ax in figure.axes] == [3, 3, 0, 0]
    assert max(figure.axes[0].lines[2].get_ydata()) == 1
    assert all(len(ax.images) == 1 for ax in figure.axes[2:])


def test_models_are_dots_by_place_and_levels_lines():
    ours, null = np.full((6, 4), 0.5), np.zeros((20, 4))
    titles = {"a": (ours, null, {"raw": 0.9, "rule": 0.5}), "b": (ours, null, {"rule": 0.2})}
    known = {"b": [0.1, np.nan, 0.3, 0.4]}
    figure = figures.by_place(titles, ["0", "1", "2", "3"], "score", known=known)
    first, second = figure.axes
    assert second.lines[-1].get_marker() == "x"
    second.lines[-1].remove()
    dots = [line for line in first.lines if line.get_linestyle() == "None"]
    assert len(dots) == 6 + 20 + 2  # two of them for the legend
    assert len(first.lines) == len(second.lines) + 1
    assert [ax.lines[-1].get_linestyle() for ax in (first, second)] == [":", ":"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["trained", "untrained", "raw", "rule", "the post"]


def test_stencils_have_a_panel_a_layer_and_a_line_a_model():
    figure = figures.stencils(np.arange(-2, 3), np.ones((6, 4, 5)))
    assert [len(ax.lines) for ax in figure.axes] == [7] * 4


def test_token_charts_have_a_word_in_each_cell():
    words = [[["a", "z"], ["b_0", "z"]], [["d", "z"], ["e", "z"]]]
    figure = figures.token_chart(["x", "y"], words, torch.rand(2, 2, 2))
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["a", "b0", "d", "e"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["x", "y"]


def test_long_token_charts_go_on_below():
    words = [[[str(10 * row + column)] for column in range(12)] for row in range(2)]
    written = [str(column) for column in range(12)]
    figure = figures.token_chart(written, words, torch.rand(2, 12, 1))
    above, below = figure.axes[:2]
    assert [len(ax.texts) for ax in (above, below)] == [2 * 9, 2 * 3]
    assert [tick.get_text() for tick in below.get_xticklabels()] == ["9", "10", "11"]


def test_a_word_by_layer_has_the_last_layers_words_as_bars():
    p = torch.tensor([[0.2, 0.1], [0.7, 0.2]])
    figure = figures.word_by_layer(["mul", "add"], torch.tensor([0.1, 0.7]), p)
    rise, last = figure.axes[:2]
    assert [line.get_ydata().tolist() for line in rise.lines] == [
        torch.tensor([0.1, 0.7]).tolist(),
        p[:, 0].tolist(),
    ]
    assert [bar.get_width() for bar in last.patches] == pytest.approx([0.7, 0.2])
    assert [tick.get_text() for tick in last.get_yticklabels()] == ["mul", "add"]


def test_profiles_have_a_line_a_model():
    drawn = {
        "one": (TIMES, np.ones((6, 5)), np.zeros((20, 5))),
        "two": (TIMES, np.ones((2, 5)), []),
    }
    figure = figures.profiles(drawn, "t", "mass", mark=0.6)
    first, second = figure.axes
    assert len(first.lines) == 6 + 20 + 2 + 1 and len(second.lines) == 2 + 2 + 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["untrained", "trained", "the post"]


def test_marked_curves_show_coordinates_over_the_mass():
    values = np.stack([TIMES, -2 * TIMES], axis=1)
    [ax] = figures.marked_curves({"one": (TIMES, values, torch.from_numpy(TIMES))}).axes
    assert min(ax.lines[1].get_ydata()) == -1 and len(ax.collections) == 1
    figure = figures.marked_curves({"one": (TIMES, values, np.zeros(len(TIMES)))}, "feature")
    assert "feature" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_planes_show_each_point_in_its_group():
    points, group = np.arange(20.0).reshape(10, 2), np.arange(10) % 3
    [ax] = figures.planes({"one": (points, group, ["rest", "a", "b"])}).axes
    assert [len(line.get_xdata()) for line in ax.lines] == [4, 3, 3]
    assert ax.lines[1].get_xdata().tolist() == points[group == 1, 0].tolist()
    [ax] = figures.planes({"one": (points, 9 * group, ["rest"])}).axes
    assert len(ax.lines[0].get_xdata()) == 10  # what has no colour is of the rest
