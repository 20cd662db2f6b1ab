"""Every figure of chapter 4, drawn once with small arrays."""

import pytest
import torch

from attention_in_motion.figures import uniform_motion as figures
from attention_in_motion.measures.motion_layer import QUANTITIES
from attention_in_motion.training.exactness import CELLS, Cell

STEPS = torch.tensor([1.0, 10.0, 100.0])


def labels(axes):
    return [text.get_text() for text in axes.texts]


def test_the_ladder_names_the_rate_of_each_rung_beside_its_row():
    errors = {"first": torch.tensor([1e-3, 0.3, 0.2, 0.4]), "second": torch.tensor([1e-4, 1e-5])}
    (axes,) = figures.ladder(errors, threshold=0.02).axes
    rates = {text.get_position()[1]: text.get_text() for text in axes.texts[:-1]}
    rows = dict(zip(axes.get_yticks(), (t.get_text() for t in axes.get_yticklabels()), strict=True))
    assert {rows[y]: rate for y, rate in rates.items()} == {"first": "25%", "second": "100%"}
    assert sum(len(line.get_xdata()) for line in axes.lines[:-1]) == 6  # every seed, once


def test_the_plateau_shows_five_weights_and_every_seed():
    weights = {name: torch.linspace(0, 1, 3) for name in ("p0", "p1", "W_q", "W_k", "W_v")}
    ends = torch.tensor([3, 5]), torch.tensor([4, 9])
    loss = STEPS, torch.tensor([1.0, 0.1, 0.01])
    axes = {ax.get_label(): ax for ax in figures.plateau(loss, STEPS, weights, ends, 1).axes}
    assert labels(axes["weights"]) == list(weights)
    assert axes["loss"].get_yscale() == "log"
    for place in ("loss", "weights"):  # the seed's own step is marked in both
        assert set(axes[place].lines[-1].get_xdata()) == {5}
    diagonal, points, circle = axes["ends"].lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [3, 9]
    assert len(points.get_xdata()) == 2
    assert (circle.get_xdata()[0], circle.get_ydata()[0]) == (5, 9)


def test_the_attention_plane_and_the_diagonal():
    x0, x1 = torch.meshgrid(torch.linspace(-1, 1, 4), torch.linspace(-1, 1, 4), indexing="ij")
    true = torch.tensor([-1.0, 0.5, 2.0])
    figure = figures.attention_plane(x0, x1, x0 + x1, true, true / 2)
    left, right, _ = figure.axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("x0", "x1")
    exact, points = right.lines
    assert list(exact.get_xdata()) == [-1.0, 2.0]
    assert list(points.get_ydata()) == [-0.5, 0.25, 1.0]


def test_one_number_has_a_panel_for_every_quantity_and_a_sorted_curve():
    epsilon = torch.tensor([0.3, -0.1, 0.2])
    seen, expected = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0))
    axes = figures.one_number(epsilon, seen, expected).axes
    assert [ax.get_title() for ax in axes if ax.axison] == list(QUANTITIES)
    curve, points = axes[3].lines
    assert curve.get_xdata() == pytest.approx([0.1, 0.2, 0.3])
    assert curve.get_ydata() == pytest.approx(expected[3][[1, 2, 0]].tolist())
    assert points.get_ydata() == pytest.approx(seen[3].tolist())


def test_attention_by_distance_names_the_distances():
    shapes = {name: STEPS / 200 for name in ("1", "10", "100")}
    left, right = figures.attention_by_distance(STEPS, shapes, [1.0, 10.0], [0.1, 1e-3]).axes
    assert [line.get_label() for line in left.lines] == list(shapes)
    assert left.get_ylim() == (0, 1)
    assert list(right.lines[0].get_ydata()) == [0.1, 1e-3]


def tile(axes, column, row):
    """The text of a tile and its colour."""
    words = {text.get_position(): text.get_text() for text in axes.texts}
    corners = {patch.get_xy(): patch.get_facecolor() for patch in axes.patches}
    return words[column, row], corners[column - 0.5, row - 0.5]


def test_the_map_says_of_every_cell_how_we_know_and_what_was_found():
    values = torch.full((len(CELLS),), 1e-5)
    values[CELLS.index(Cell(True, 1, 1, False))] = 1e-30
    above, below = figures.exactness(values, 1e-12).axes
    assert len([t for t in above.texts + below.texts if "$" in t.get_text()]) == len(CELLS)
    rows = [text.get_text() for text in above.get_yticklabels()]
    word, exact = tile(above, 0, rows.index("residual, 1 head"))
    assert word.strip() == "● $10^{-30}$"
    word, never = tile(above, 3, rows.index("1 head"))  # with positions from the fourth column on
    assert word == "A $10^{-5}$"
    assert tile(above, 4, rows.index("2 heads"))[1] == exact != never
    assert tile(above, 3, rows.index("2 heads")) == ("B $10^{-5}$", never)
    columns = [text.get_text() for text in below.get_xticklabels()]
    assert tile(below, columns.index("1 layer\n+ MLP"), 0) == ("S $10^{-5}$", never)
    assert tile(below, columns.index("2 layers\n+ MLP"), 0)[1] not in (exact, never)


def test_layer_norm_shows_every_seed_and_where_the_answers_part():
    plain = torch.tensor([[1e-8, 1e-9], [1e-30, 1e-31]])
    errors = {name: (one, 10 * one) for name, one in zip(("pre-LN", "none"), plain, strict=True)}
    answers = {"exact": STEPS, "none": STEPS, "pre-LN": STEPS.clamp(max=20)}
    left, right = figures.layer_norm(errors, 1e-12, STEPS, answers, 50.0).axes
    dots = [line for line in left.lines if line.get_marker() == "o" and len(line.get_xdata())]
    expected = [one for pair in errors.values() for one in pair]
    assert [list(line.get_xdata()) for line in dots] == [one.tolist() for one in expected]
    assert dots[0].get_color() == dots[1].get_color() != dots[2].get_color()
    assert dots[1].get_fillstyle() == "none" != dots[0].get_fillstyle()
    assert labels(right) == ["trained here", *answers, "its bound"]
    assert right.lines[2].get_ydata().max() == 20 and right.lines[3].get_ydata()[0] == 50


def test_the_laws_are_labelled_on_both_sides():
    curves = {name: STEPS for name in ("a", "b", "c", "d")}
    gaps = {"written": (STEPS, STEPS), "tail": (STEPS, STEPS)}
    left, right = figures.error_laws((STEPS, STEPS), gaps, STEPS, curves).axes
    assert labels(left) == ["trained", "written", "tail"]
    dots = {"b": (STEPS[:2], STEPS[:2])}
    below = figures.error_laws((STEPS, STEPS), gaps, STEPS, curves, dots).axes[1]
    assert len(below.lines) == len(right.lines) + 1
    marked = [line for line in below.lines if line.get_label() == "_trained"]
    assert [line.get_color() for line in marked] == [below.lines[1].get_color()]
    assert labels(right) == ["a", "b", "c", "d"]
    assert right.get_xscale() == right.get_yscale() == "log"


def test_drifts_that_vanish_are_drawn_on_the_axis():
    names = ("residual", "two heads", "pre-LN", "one", "other")
    errors = {name: torch.tensor([0.0, 1e-3, 1.0]) for name in names}
    (axes,) = figures.drift(STEPS, errors).axes
    assert labels(axes) == list(names)
    assert all(line.get_ydata().min() > 0 for line in axes.lines)
