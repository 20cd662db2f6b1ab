"""A table of scores: resumed, begun anew, never lost."""

from pathlib import Path

import pytest
import torch

from attention_in_motion.odeformer import tables


def test_a_table_is_resumed_and_begun_anew_under_other_settings(tmp_path, monkeypatch):
    made, path = [], tmp_path / "table.json"
    monkeypatch.setattr(tables, "record_of", lambda name: {"sha256": f"hash of {name}"})
    monkeypatch.setattr(tables, "load", lambda name: name)
    monkeypatch.setattr(tables, "untrained", lambda like, k: k)

    def row_of(model, trained):
        made.append((model, trained))
        return {"score": torch.tensor([1 / 3, 2.0])}

    def extend(settings, models, n, command="command"):
        return tables.extend(path, settings, command, models, n, lambda: {"raw": 1}, row_of)

    extend({"seed": 0}, ["a"], 1)
    found = extend({"seed": 0}, ["a", "b"], 1)
    assert made == [("a", True), (0, False), ("b", True)]
    assert tables.read(path) == found
    assert found["rows"]["b"] == {"weights": "hash of b", "score": [0.33333, 2.0]}
    assert list(found["rows"]) == ["a", "untrained-0", "b"] and found["command"] == "command"
    extend({"seed": 0}, ["a", "b"], 1, "another")
    assert len(made) == 3 and tables.read(path)["command"] == "another"  # no row was missing
    extend({"seed": 1}, ["a"], 0)
    assert list(tables.read(path)["rows"]) == ["a"]


def test_a_missing_table_is_named():
    with pytest.raises(ValueError, match=r"table = 'nowhere\.json': no such file"):
        tables.read(Path("nowhere.json"))


def test_untrained_models_differ_from_each_other_and_are_of_one_geometry():
    first, second = (tables.untrained("twin-0", k) for k in (0, 1))
    assert first.config == second.config
    assert not torch.equal(first.encoder.ffns[0].lin1.weight, second.encoder.ffns[0].lin1.weight)
