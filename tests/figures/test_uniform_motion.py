"""Every figure of chapter 4, drawn once with small arrays."""

import pytest
import torch

from attention_in_motion.figures import uniform_motion as figures
from attention_in_motion.measures.motion_layer import QUANTITIES
from attention_in_motion.training.exactness import CELLS

STEPS = torch.tensor([1.0, 10.0, 100.0])


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_ladder_names_the_rate_of_each_rung_beside_its_row():
    errors = {"first": torch.tensor([1e-3, 0.3, 0.2, 0.4]), "second": torch.tensor([1e-4, 1e-5])}
    (axes,) = figures.ladder(errors, threshold=0.02).axes
    rates = {text.get_position()[1]: text.get_text() for text in axes.texts}
    rows = dict(zip(axes.get_yticks(), (t.get_text() for t in axes.get_yticklabels()), strict=True))
    assert {rows[y]: rate for y, rate in rates.items()} == {"first": "25%", "second": "100%"}
    assert sum(len(line.get_xdata()) for line in axes.lines[:-1]) == 6  # every seed, once


def test_the_plateau_shows_five_weights_and_every_seed():
    weights = {name: torch.linspace(0, 1, 3) for name in ("p0", "p1", "W_q", "W_k", "W_v")}
    ends = torch.tensor([3, 5]), torch.tensor([4, 9])
    loss = STEPS, torch.tensor([1.0, 0.1, 0.01])
    left, right, twin = figures.plateau(loss, STEPS, weights, ends, "seeds").axes
    assert labels(twin) == list(weights)
    assert left.get_yscale() == "log"
    diagonal, points = right.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [3, 9]
    assert len(points.get_xdata()) == 2


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


def test_the_map_has_a_row_for_every_cell_from_the_first_down():
    values = torch.logspace(-30, 0, len(CELLS))
    (axes,) = figures.exactness(values, torch.arange(len(CELLS)) % 2 == 0, 1e-12).axes
    ticks = [text.get_text() for text in axes.get_yticklabels()]
    assert ticks == [str(cell) for cell in reversed(CELLS)]
    marks = [
        line for line in axes.lines if line.get_marker() in "os" and len(line.get_xdata()) == 1
    ]
    assert len(marks) == len(CELLS)
    top = max(marks, key=lambda line: line.get_ydata()[0])
    assert top.get_xdata()[0] == pytest.approx(1e-30, rel=1e-3)
    assert top.get_marker() == "o"  # exact by theory


def test_the_laws_are_labelled_on_both_sides():
    curves = {name: STEPS for name in ("a", "b", "c")}
    gaps = {"written": (STEPS, STEPS), "tail": (STEPS, STEPS)}
    left, right = figures.error_laws((STEPS, STEPS), gaps, STEPS, curves).axes
    assert labels(left) == ["trained", "written", "tail"]
    assert labels(right) == ["a", "b", "c"]
    assert right.get_xscale() == right.get_yscale() == "log"


def test_drifts_that_vanish_are_drawn_on_the_axis():
    names = ("residual", "two heads", "one", "other")
    errors = {name: torch.tensor([0.0, 1e-3, 1.0]) for name in names}
    (axes,) = figures.drift(STEPS, errors).axes
    assert labels(axes) == list(names)
    assert all(line.get_ydata().min() > 0 for line in axes.lines)
