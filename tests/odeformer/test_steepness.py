"""Sigmoids by steepness and start: the curves themselves, and a table that can be gone on with."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from attention_in_motion.chapters import odeformer as chapter
from attention_in_motion.odeformer import steepness
from attention_in_motion.odeformer.recognise import Answers, Candidate


def test_the_curves_fall_as_their_equation_says_from_as_near_to_one_as_their_cell():
    data = steepness.Data(steepness.Settings(n_points=4001))
    assert len(data.a) == len(data.curves) == 12 * 21  # four cells of 25 have no fall to see
    start = data.curves[:, 0]
    np.testing.assert_allclose(np.log(1 / start - 1), -data.b, rtol=1e-9)
    assert (np.abs(data.b - data.raw["saturation"]) <= 0.5).all()
    slope = np.gradient(data.curves, data.times, axis=1)[:, 1:-1]
    x = data.curves[:, 1:-1]
    np.testing.assert_allclose(slope, -data.a[:, None] * x * (1 - x), atol=1e-3)


def test_the_grid_is_that_of_the_page():
    for name in ("STEEPNESS", "SATURATION", "LATEST"):
        assert getattr(steepness, name) == getattr(chapter, name)


def test_the_best_answer_counts_and_none_is_as_bad_as_can_be(monkeypatch):
    answers = iter([Answers([]), Answers([Candidate([], -30.0, 0.0), Candidate([], 0.7, 0.0)])])
    monkeypatch.setattr(steepness, "ask", lambda *args, **options: next(answers))
    data = steepness.Data(steepness.Settings(n_curves=1))
    data.a, data.b = data.a[:2], data.b[:2]
    assert steepness.row_of(data, None, True) == {"r2": [-1.0, 0.7]}


def test_models_are_added_to_a_table_and_scored_once(tmp_path, monkeypatch):
    asked = []

    def row_of(model, times, x, **options):
        asked.append(x)
        return Answers([Candidate([], 0.95, 0.0)])

    monkeypatch.setattr(steepness, "ask", row_of)
    out = tmp_path / "steepness.json"
    for models in (["twin-0"], ["twin-0", "twin-1"]):
        options = ["--untrained", "0", "--small", "--out", str(out)]
        assert CliRunner().invoke(steepness.main, [*models, *options]).exit_code == 0
    table = json.loads(out.read_text(encoding="utf-8"))
    assert list(table["rows"]) == ["twin-0", "twin-1"] and len(asked) == 2 * 21
    assert len(table["raw"]["b"]) == 21 and out.stat().st_size < 10_000
    assert set(table["rows"]["twin-1"]["r2"]) == {0.95}


@pytest.mark.parametrize(("name", "value"), [("n_curves", 0), ("n_points", 7), ("seed", -1)])
def test_too_little_is_refused_in_one_line(name, value):
    with pytest.raises(ValueError, match=f"{name} = {value}: must be at least"):
        steepness.Settings(**{name: value})
