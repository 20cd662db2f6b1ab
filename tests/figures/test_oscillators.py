"""The figures of chapters 1 to 3, drawn once with small arrays."""

import numpy as np
import pytest
import torch

from attention_in_motion.figures import oscillators as figures
from attention_in_motion.figures.style import COLOURS, strips_by_kind

STEPS = torch.arange(1, 31)


def test_post_rollouts_stand_above_both_of_their_errors():
    x, found, by_x, e_n = torch.sin(0.1 * STEPS), torch.rand(3, 30), torch.rand(3, 30), 0.1 + STEPS
    cases = {"γ = 0": (x, found, by_x, e_n.repeat(3, 1)), "γ = 0.1": (2 * x, found, by_x, found)}
    figure = figures.post_rollouts(0.1 * STEPS, cases)
    motion, damped, errors, _ = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["γ = 0", "γ = 0.1", "", ""]
    drawn = [line.get_ydata() for line in motion.lines]
    np.testing.assert_allclose(drawn[0], x)
    np.testing.assert_allclose(drawn[1:4], found)
    np.testing.assert_allclose(damped.lines[0].get_ydata(), 2 * x)
    assert motion.get_ylim()[1] == pytest.approx(2.2 * x.abs().max().item())
    curves = {line.get_label(): line.get_ydata() for line in errors.lines}
    np.testing.assert_allclose(curves["the post's error"], by_x.median(dim=0).values)
    np.testing.assert_allclose(curves["phase-space error"], e_n)
    assert errors.get_yscale() == "log" and errors.get_xscale() == "linear"


def test_growing_errors_meet_a_line_of_slope_one():
    errors = {"γ = 0": 1e-6 * torch.ones(3, 30), "γ = 0.1": 1e-5 * torch.ones(3, 30)}
    (axes,) = figures.growing_errors(STEPS, errors).axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["γ = 0", "γ = 0.1", "slope 1"]
    dotted = axes.lines[-1].get_ydata()
    assert dotted[9] == pytest.approx(1e-6)  # meets the first curve at n = 10
    assert dotted[29] == pytest.approx(3 * dotted[9])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


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
    words = [text.get_text().strip() for text in axes.texts]
    assert words == ["with biases", "without biases", "mean training energy"]
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["with biases"].get_ydata(), with_bias[1])
    np.testing.assert_allclose(lines["without biases"].get_ydata(), 2 * with_bias[1])
    assert set(lines["mean training energy"].get_xdata()) == {2.5}


def test_two_signs_are_drawn_in_the_plane_and_their_distance_beside_it():
    right = torch.tensor([[1.0, 0.0], [0.5, -1.0]])
    plane, growth = figures.two_signs(right, right / 2, torch.tensor([1e-3]), omega0=2.0).axes
    exact, wrong = plane.lines
    assert list(exact.get_xdata()) == [1.0, 0.5] and list(exact.get_ydata()) == [0.0, -0.5]
    assert list(wrong.get_ydata()) == [0.0, -0.25]
    assert wrong.get_color() == growth.lines[0].get_color() == COLOURS["rival"]
    assert list(growth.lines[0].get_xdata()) == [1]


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
    assert list(drawn) == ["loss\non all positions", "loss\non the last position"]
    np.testing.assert_allclose(drawn["loss\non all positions"], [2.0, 0.2])
    np.testing.assert_allclose(drawn["loss\non the last position"], [20.0, 2.0])
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [10, 100])


def test_the_imbalance_is_coloured_by_what_is_left():
    eigenvalues = torch.tensor([[0.1, 0.4], [-0.3, 0.2], [-0.5, -0.2], [0.0, 0.3]])
    ranks = torch.tensor([[2, 0], [1, 1], [0, 2], [2, 1]])
    expected = torch.tensor([0.0, 0.3, 0.7, 0.0])
    found = {"gradient descent": expected, "AdamW": expected + 0.1}
    left, right = figures.conserved(eigenvalues, ranks, expected, found).axes
    shown = {line.get_label(): line for line in left.lines if line.get_label()[0] != "_"}
    places = {label: (line.get_xdata()[0], line.get_ydata()[0]) for label, line in shown.items()}
    assert places["only $W_V$"] == pytest.approx((0.4, 0.1))
    assert places["one direction of each"] == pytest.approx((0.2, -0.3))
    assert places["only $W_O$"] == pytest.approx((-0.2, -0.5))
    assert places["not decided"] == pytest.approx((0.3, 0.0))
    drawn = {line.get_label(): line for line in right.lines}
    for label, values in found.items():
        np.testing.assert_allclose(drawn[label].get_xdata(), expected)
        np.testing.assert_allclose(drawn[label].get_ydata(), values)
    assert list(drawn["the post: $W_O = 0$"].get_ydata()) == [0, 0]
    found["AdamW"][1] = 50.0  # beyond the axis: a triangle at its edge
    right = figures.conserved(eigenvalues, ranks, expected, found).axes[1]
    (edge,) = (one for one in right.lines if one.get_marker() == "^" and len(one.get_xdata()))
    assert edge.get_ydata()[0] == pytest.approx(0.98 * right.get_ylim()[1])
    assert edge.get_xdata()[0] == pytest.approx(0.3)


def test_gradients_have_one_curve_per_loss_and_pair_of_matrices():
    ones = torch.ones(3, 2)
    measured = {
        "eq3": {"V, O": (ones, 2 * ones), "Q, K": (3 * ones, 4 * ones)},
        "eq1": {"V, O": (5 * ones, 6 * ones), "Q, K": (7 * ones, 8 * ones)},
    }
    figure = figures.gradients_by_length([2, 40], measured)
    left, right = figure.axes
    assert [line.get_ydata().tolist() for line in left.lines] == [[k, k] for k in (1, 3, 5, 7)]
    assert [line.get_ydata().tolist() for line in right.lines] == [[k, k] for k in (2, 4, 6, 8)]
    assert [line.get_linestyle() for line in left.lines] == ["-", "--", "-", "--"]
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["2", "40"]
    colours = [line.get_color() for line in right.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "loss on all positions: V, O" and len(labels) == 4


def test_rungs_draw_every_seed_in_the_panel_of_its_model():
    times, true = torch.arange(4.0), torch.tensor([1.0, 0.0, -3.0, 0.0])
    shown = {f"model {i}": torch.full((i, 4), float(i)) for i in range(1, 6)}
    figure = figures.rungs(times, true, shown)
    drawn = [axes for axes in figure.axes if axes.lines]
    assert [axes.get_title() for axes in drawn] == list(shown)
    assert [len(axes.lines) for axes in drawn] == [2, 3, 4, 5, 6]  # the truth, then the seeds
    assert list(drawn[0].lines[0].get_ydata()) == true.tolist()
    assert drawn[0].get_ylim()[0] < -3.0 and drawn[0].get_ylim()[1] > 3.0
    assert not figure.axes[-1].axison  # five models leave a panel empty


def test_rungs_with_a_mask_and_without_have_two_colours():
    shown = {name: torch.rand(2, 4) for name in ("OLA 2/2", "8LA 32/16", "8LA 32/16 open")}
    axes = figures.rungs(torch.arange(4.0), torch.rand(4), shown).axes
    colours = [ax.lines[1].get_color() for ax in axes[:3]]
    assert colours[0] == colours[1] == COLOURS["rival"] != colours[2] == COLOURS["model"]


def test_looks_show_attention_by_layer_and_the_motion_that_follows():
    attention, x = torch.full((3, 4), 0.01), torch.tensor([1.0, 2.0])
    left, right, _ = figures.looks(torch.arange(4.0), attention, x, 3 * x, 5 * x).axes
    np.testing.assert_allclose(left.images[0].get_array(), -2, rtol=1e-6)
    assert left.images[0].get_extent() == [0, 3, 3.5, 0.5]
    assert [line.get_ydata().tolist() for line in right.lines] == [[3, 6], [5, 10]]
    assert right.lines[1].get_color() == COLOURS["model"]


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


def test_the_frontier_writes_minutes_and_what_lies_below_the_edge():
    rows = {
        "rung": (10, 2.0, torch.tensor([1e-2, 1e-3]), "control"),
        "plain": (30, 2.44, torch.tensor([1e-4]), "third"),
        "small": (20, 0.41, torch.tensor([1e-5]), "model"),
        "solved": (80, 0, torch.tensor([3.1e-23]), "linear"),
    }
    (axes,) = figures.frontier(rows, target=1e-9).axes
    sizes = [list(line.get_xdata()) for line in axes.lines]
    assert sizes[:4] == [[10, 10], [30], [20], [80]]
    assert axes.lines[3].get_ydata()[0] > axes.get_ylim()[0]  # drawn at the edge
    words = [text.get_text() for text in axes.texts]
    named = {"plain: 2.4 min", "small: 0.41 min", r"solved: $3 \times 10^{-23}$"}
    assert named <= set(words)
    (arrow,) = (text for text in axes.texts if getattr(text, "arrow_patch", None))
    assert arrow.xy == pytest.approx((20, 1e-5))
    assert arrow.xyann == pytest.approx((30, 1e-4))


def test_a_surrogate_has_the_colour_of_its_teacher_and_the_dash_of_its_method():
    path, runs = torch.rand(4), torch.rand(3, 4) + 0.1
    apart = {"8LA 32/16 open: solved": runs, "Eq. 2, AdamW: AdamW": runs}
    above, below = figures.surrogate(
        torch.arange(4), path, {"Eq. 2, AdamW": path}, torch.arange(1, 5), apart
    ).axes
    assert [text.get_text() for text in above.texts] == ["exact", "Eq. 2, AdamW"]
    first, second = below.lines
    assert (first.get_color(), first.get_linestyle()) == (COLOURS["model"], "--")
    assert (second.get_color(), second.get_linestyle()) == (COLOURS["second"], "-")
    assert above.lines[1].get_color() == second.get_color()


def test_dots_of_encoding_and_error_are_one_per_seed_and_position():
    left_out, error = torch.rand(3, 5) + 0.1, torch.rand(3, 5) + 0.1
    axes = figures.encoding_and_error(left_out, error).axes[0]
    dots = axes.collections[0]
    assert np.allclose(dots.get_offsets(), torch.stack([left_out, error], -1).flatten(0, 1))
    assert dots.get_array().reshape(3, 5)[0].tolist() == [2, 3, 4, 5, 6]


def test_compared_models_are_one_dot_each_in_their_groups_colour():
    groups = {"five": (torch.rand(5), torch.rand(5) + 0.1), "less": (torch.rand(3), torch.ones(3))}
    axes = figures.models_compared(groups).axes[0]
    assert axes.get_yscale() == "log" and axes.get_xscale() == "linear"
    for line, (name, (r2, error)) in zip(axes.lines, groups.items(), strict=True):
        assert line.get_label() == name
        assert np.allclose(line.get_xydata(), torch.stack([r2, error], -1))
    assert len({line.get_color() for line in axes.lines}) == 2


def test_the_solver_and_its_controls_have_one_colour_in_both_figures():
    names = ("the solver", "untrained")
    scores = {name: torch.tensor([[0.2, 0.97], [0.3, 0.99]]) for name in names}
    curves = figures.following(scores, 0.95).axes[0].lines
    assert curves[0].get_ydata()[-1] == 0 and curves[0].get_ydata()[0] == 1
    dots = strips_by_kind({name: {"a": scores[name][0]} for name in names}, "x", 1.0)
    found = [line.get_color() for line in dots.axes[0].lines[1:]]
    assert found == [curves[0].get_color(), curves[3].get_color()]
    assert found[1] == COLOURS["control"]
