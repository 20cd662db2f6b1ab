"""What the figures of all pages share, drawn once each with small arrays."""

import pytest
import torch

from attention_in_motion.figures import style


def test_panels_are_closed_and_as_many_as_asked_for():
    figure, axes = style.panels(3, width=2.0, height=1.5)
    assert len(axes) == 3 and tuple(figure.get_size_inches()) == (6.0, 1.5)
    assert not style.plt.fignum_exists(figure.number)


def test_a_band_is_the_median_and_the_range_of_the_seeds():
    _, (axes,) = style.panels(1)
    runs = torch.tensor([[1.0, 5.0], [2.0, 4.0], [9.0, 0.0]])  # (seed, n)
    style.band(axes, torch.tensor([0.0, 1.0]), runs, "model", "three seeds")
    assert axes.lines[0].get_ydata().tolist() == [2.0, 4.0]
    edge = axes.collections[0].get_paths()[0].vertices
    assert edge[:, 1].min() == 0.0 and edge[:, 1].max() == 9.0


def test_strips_put_one_dot_per_seed_in_the_row_of_its_name():
    rows = {"first": torch.tensor([1.0, 2.0, 4.0]), "second": torch.tensor([3.0, 3.0, 3.0])}
    axes = style.strips(rows, "effect", mark=0.0).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["first", "second"]
    mark, dots, bar, *_ = axes.lines
    assert mark.get_xdata() == [0.0, 0.0]
    assert list(dots.get_xdata()) == [1.0, 2.0, 4.0] and list(dots.get_ydata()) == [0, 0, 0]
    assert list(bar.get_xdata()) == [2.0, 2.0]  # the median
    assert axes.yaxis_inverted()  # the first row is on top
    assert len(style.strips(rows, "effect").axes[0].lines) == 4  # without a mark


def test_error_curves_name_every_model_and_draw_the_limit():
    curves = {"a": torch.rand(2, 5) + 1, "b": torch.rand(3, 5) + 1}
    axes = style.error_curves(torch.arange(5), curves, "n", "error", limit=0.1).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert axes.get_yscale() == "log" and len(axes.collections) == 2
    assert axes.lines[-1].get_ydata() == [0.1, 0.1]
    colours = {line.get_color() for line in axes.lines[:2]}
    assert len(colours) == 2


@pytest.mark.parametrize("every", [1, 4])
def test_probe_maps_align_short_rows_with_the_last_position(every):
    rows = {"early": torch.tensor([0.1, 0.2, 0.3]), "last": torch.tensor([0.9])}
    figure = style.probe_maps({"one": rows, "two": rows}, every=every)
    image = figure.axes[0].images[0]
    shown = image.get_array()
    assert shown.shape == (2, 3) and shown[1, 2] == pytest.approx(0.9)
    assert shown.mask[1].tolist() == [True, True, False]
    assert image.get_extent()[:2] == [0.5, 3 * every + 0.5]
    assert len(figure.axes) == 3  # two maps and the bar of colours
