"""The front page's picture is of the shipped weights, and says what its panels show."""

import re

import numpy as np
import pytest
import sympy
import torch

from attention_in_motion.book import front_picture
from attention_in_motion.models import motion
from attention_in_motion.paths import BOOK


def by_colour(panel):
    return {curve.colour: np.asarray(curve.values) for curve in panel.curves}


def test_one_frequency_follows_the_exact_motion_to_what_the_answer_says():
    panel = front_picture.one_frequency()
    curves = by_colour(panel)
    assert len(panel.times) == front_picture.SWINGS == len(curves["truth"])
    apart = np.abs(curves["model"] - curves["truth"]).max()
    assert 0 < apart < 1e-3
    assert re.fullmatch(r"Yes: off by \S+ × 10⁻[⁵⁶] after 200 steps", panel.answer)


def test_a_layer_by_hand_goes_straight_and_a_wrong_one_does_not():
    layer = motion.residual_layer()
    assert front_picture.furthest(front_picture.ahead(layer, 1)[0]) < 1e-12
    wrong = lambda x: layer(x) * 1.01  # noqa: E731
    assert front_picture.furthest(front_picture.ahead(wrong, 1)[0]) > 0.05


def test_scales_are_undone():
    layer = motion.residual_layer()
    scaled = lambda x: 0.2 * layer(x / 0.1)  # noqa: E731
    path = front_picture.ahead(scaled, 1, 0.1, 0.2)
    assert torch.allclose(path, front_picture.ahead(layer, 1), atol=1e-12)


def test_the_seed_of_the_median():
    assert front_picture.median_seed(torch.tensor([5.0, 1.0, 3.0])) == 2


def test_a_law_is_written_with_two_digits():
    x = sympy.Symbol("x_0")
    assert front_picture.in_words(0.80123 * x) == "0.8 x"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_is_light_enough(theme):
    assert 10_000 < (BOOK / "images" / f"front-{theme}.svg").stat().st_size <= 200_000
