"""The front page's picture: one file for what is drawn, and nothing is cut off."""

import numpy as np
import pytest

from attention_in_motion.figures.front_page import INK, Curve, Panel, front_page, save

TIMES = np.linspace(0, 1, 120)
PANELS = [
    Panel(
        f"{number} · A question?",
        "An answer",
        TIMES,
        [Curve(TIMES, "truth", "exact", (0.1, 0.8)), Curve(TIMES**2, "model", "ours", (0.5, 0.1))],
    )
    for number in range(4)
]


@pytest.mark.parametrize("theme", INK)
def test_the_same_picture_is_the_same_file(theme, tmp_path):
    files = [tmp_path / f"{name}.svg" for name in "ab"]
    for path in files:
        save(front_page(PANELS, theme), path)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_light_and_dark_differ_in_their_ink_alone():
    light, dark = (front_page(PANELS, theme) for theme in ("light", "dark"))
    assert [ax.get_title("left") for ax in light.axes] == [ax.get_title("left") for ax in dark.axes]
    colours = [ax.lines[0].get_color() for ax in (light.axes[0], dark.axes[0])]
    assert colours == [INK["light"]["truth"], INK["dark"]["truth"]]


def test_dots_are_few_and_lines_whole():
    exact, ours = front_page(PANELS, "light").axes[0].lines
    assert len(exact.get_xdata()) == len(TIMES) and len(ours.get_xdata()) == 60
    assert (ours.get_marker(), exact.get_linestyle()) == (".", "-")


def test_every_text_lies_inside_the_picture():
    figure = front_page(PANELS, "light")
    figure.draw_without_rendering()
    for ax in figure.axes:
        for text in [ax.title, ax._left_title, *ax.texts]:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
