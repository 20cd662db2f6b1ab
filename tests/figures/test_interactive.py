"""The numbers that a page leaves for a figure with sliders."""

import json
import re

import pytest

from attention_in_motion.figures.interactive import DRAWINGS, sliders
from attention_in_motion.paths import BOOK


def test_the_numbers_are_left_for_the_figure_and_the_drawing():
    html = sliders("fig-signs", "two-signs", omega0=2.0, steps=200).data
    assert 'data-figure="fig-signs" data-drawing="two-signs"' in html
    assert json.loads(re.search(">(.*)<", html)[1]) == {"omega0": 2.0, "steps": 200}


def test_a_drawing_that_the_script_does_not_know_is_refused_in_one_line():
    with pytest.raises(
        ValueError, match=r"^drawing = 'pie': must be one of two-signs, attention, rollout, lens$"
    ):
        sliders("fig-signs", "pie")


def test_a_number_that_json_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        sliders("fig-signs", "two-signs", gamma=float("nan"))


def test_the_script_is_short_and_has_every_drawing():
    lines = (BOOK / "_static" / "sliders.js").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400
    for name in DRAWINGS:
        assert [line for line in lines if re.match(rf'  "?{name}"?\(stage, numbers\)', line)]
