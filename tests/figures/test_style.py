"""What the figures of all pages share, drawn once each with small arrays."""

import pytest
import torch

from attention_in_motion.figures import style


def test_panels_are_closed_and_as_many_as_asked_for():
    figure, axes = style.panels(3, width=2.0, height=1.5)
    assert len(axes) == 3 and tuple(figure.get_size_inches()) == (6.0, 1.5)
    figure, _ = style.panels(5, height=1.5, columns=2)
    assert tuple(figure.get_size_inches()) == (style.WIDTH, 4.5)  # as wide as the text
    assert not style.plt.fignum_exists(figure.number)


def test_a_band_is_the_median_and_the_range_of_the_seeds():
    _, (axes,) = style.panels(1)
    runs = torch.tensor([[1.0, 5.0], [2.0, 4.0], [9.0, 0.0]])  # (seed, n)
    style.band(axes, torch.tensor([0.0, 1.0]), runs, "model", 1.0, "three seeds")
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
    assert [text.get_text() for text in axes.texts] == ["a", "b"]
    assert axes.get_yscale() == "log" and len(axes.collections) == 2
    assert axes.lines[-1].get_ydata() == [0.1, 0.1]
    colours = {line.get_color() for line in axes.lines[:2]}
    assert len(colours) == 2


def test_what_has_a_name_has_one_look_in_every_figure():
    one = {"Eq. 2, solved": torch.rand(2, 5) + 1, "open": torch.rand(2, 5) + 1}
    other = {"else": torch.rand(2, 5) + 1, **one}
    for curves in (one, other):
        axes = style.error_curves(torch.arange(5), curves, "n", "error").axes[0]
        looks = {line.get_label(): line.get_color() for line in axes.lines}
        assert looks["Eq. 2, solved"] == style.COLOURS["linear"]
        assert looks["open"] == style.COLOURS["model"]


def test_names_of_lines_stand_at_their_ends_and_apart():
    _, (axes,) = style.panels(1, height=3)
    for name, end in {"low": 0.0, "twin": 0.501, "high": 1.0, "middle": 0.5}.items():
        axes.plot([0, 1], [0.2, end], label=name)
    axes.plot([0, 1], [2, 2], label="_nameless")
    axes.set(ylim=(0, 1))
    style.label_ends(axes)
    places = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert sorted(places, key=places.get) == ["low", "middle", "twin", "high"]
    assert places["low"] == 0 and places["high"] == 1
    assert places["twin"] - places["middle"] > 0.05
    assert (places["twin"] + places["middle"]) / 2 == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("name", style.COLOURS)
def test_letters_of_every_colour_can_be_read_on_white(name):
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    assert 1.05 / (luminance(style.ink(style.COLOURS[name])) + 0.05) >= 4.5  # as WCAG has it


def test_labels_that_do_not_fit_still_keep_their_order():
    places = style.spread([0.5, 0.4, 0.6], apart=0.6)
    assert places.argsort().tolist() == [1, 0, 2]
    assert sorted(places)[1] - sorted(places)[0] == pytest.approx(0.6)


def test_probe_maps_align_short_rows_with_the_last_position():
    rows = {"early": torch.tensor([0.1, 0.2, 0.3]), "last": torch.tensor([0.9])}
    figure = style.probe_maps({"one": rows, "two": rows})
    image = figure.axes[0].images[0]
    shown = image.get_array()
    assert shown.shape == (2, 3) and shown[1, 2] == pytest.approx(0.9)
    assert shown.mask[1].tolist() == [True, True, False]
    assert image.get_extent()[:2] == [0.5, 3.5]
    assert len(figure.axes) == 3  # two maps and the bar of colours


def test_probe_lines_show_the_last_position_of_every_place():
    rows = {"input": torch.tensor([0.1, 0.2]), "0.resid_post": torch.tensor([0.9])}
    maps = {"one": rows, "two": rows, "three": {name: r2 / 2 for name, r2 in rows.items()}}
    (axes,) = style.probe_lines(maps).axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert drawn["one"] == pytest.approx([0.2, 0.9])
    assert drawn["three"] == pytest.approx([0.1, 0.45])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["input", "0"]


def test_strips_by_kind_are_labelled_once():
    kinds = {name: {"a": torch.rand(4), "b": torch.rand(4)} for name in ("one", "two")}
    figure = style.strips_by_kind(kinds, "score", mark=1.0)
    (axes,), (legend,) = figure.axes, figure.legends
    assert len(axes.lines) == 1 + 2 * 2
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]
