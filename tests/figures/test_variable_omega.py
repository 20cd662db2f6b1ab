"""The figures of chapter 3's head page, drawn once with small arrays."""

import numpy as np
import torch

from attention_in_motion.figures import variable_omega as figures


def test_rungs_draw_every_seed_in_the_panel_of_its_model():
    times, true = torch.arange(4.0), torch.tensor([1.0, 0.0, -3.0, 0.0])
    shown = {f"model {i}": torch.full((i, 4), float(i)) for i in range(1, 6)}
    figure = figures.rungs(times, true, shown)
    drawn = [axes for axes in figure.axes if axes.lines]
    assert [axes.get_title() for axes in drawn] == list(shown)
    assert [len(axes.lines) for axes in drawn] == [2, 3, 4, 5, 6]  # the truth, then the seeds
    assert list(drawn[0].lines[0].get_ydata()) == true.tolist()
    assert drawn[0].get_ylim()[0] < -3.0 and drawn[0].get_ylim()[1] > 3.0
    assert not figure.axes[-1].axison  # five models leave three panels empty


def test_the_linear_question_shows_both_errors_and_both_spectra():
    contexts = torch.tensor([1, 2, 5])
    solved, descended = torch.tensor([1e-1, 1e-5, 1e-17]), torch.rand(2, 3)
    sizes, residue = torch.tensor([4.0, 2.0, 1.0]), torch.tensor([1e-3, 1e-2, 1e-1])
    left, right = figures.linear_question(contexts, solved, descended, sizes, residue).axes
    assert np.allclose(left.lines[0].get_ydata(), solved)
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["1", "2", "5"]
    assert np.allclose(right.lines[0].get_ydata(), [1.0, 0.5, 0.25])  # over the first
    assert np.allclose(right.lines[1].get_ydata(), residue)
    assert len(left.get_legend().get_texts()) == len(right.get_legend().get_texts()) == 2


def test_poles_mirror_the_arc_of_the_true_ones():
    found = torch.tensor([0.5 + 0.5j, 1.1 + 0.0j])
    arc = torch.polar(torch.ones(3), torch.tensor([0.1, 0.2, 0.3]))
    circle, upper, lower, dots = figures.poles(found, arc).axes[0].lines
    assert np.allclose(np.hypot(*circle.get_data()), 1.0, atol=1e-6)
    assert np.allclose(upper.get_ydata(), arc.imag) and np.allclose(lower.get_ydata(), -arc.imag)
    assert np.allclose(dots.get_xdata(), found.real)
