"""The files of models: nothing is lost in them and nothing altered is read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attention_in_motion.odeformer import weights
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig

TINY = ODEFormerConfig(16, 1, 2, 16, 2, 2, 8, max_dimension=1, precision=1)


@pytest.fixture
def model() -> ODEFormer:
    return ODEFormer(TINY, torch.Generator().manual_seed(0))


@pytest.fixture
def path(tmp_path, model) -> Path:
    """An untrained model saved as training saves it."""
    found = tmp_path / "tiny.safetensors"
    weights.save(model, {"config": {"model": asdict(TINY)}}, found)
    return found


def test_saved_weights_are_the_models(model, path):
    loaded = weights.load(path)
    assert loaded.config == TINY and not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])


def test_the_file_holds_tied_weights_once(path):
    assert len(load_file(path)) == len(weights.load(path).state_dict()) - 1
    model = weights.load(path)
    assert model.decoder.proj.weight is model.decoder.embeddings.weight


def test_half_precision_is_read_as_float32(model, path):
    weights.save(model.half(), {"config": {"model": asdict(TINY)}}, path)
    assert {t.dtype for t in weights.load(path).state_dict().values()} == {torch.float32}


def test_an_altered_file_is_refused(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"^tiny\.safetensors has sha256 .* says otherwise$"):
        weights.load(path)


@pytest.mark.parametrize("name", ["official", "nothing/here.safetensors", "", Path("none")])
def test_a_model_that_is_not_there_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setitem(weights.PLACES, "official", tmp_path / "none.safetensors")
    for function in (weights.load, weights.record_of, weights.evaluation_of):
        with pytest.raises(ValueError, match=r"^model = .*: no file .*; must be 'ours'") as refused:
            function(name)
        assert "\n" not in str(refused.value)
        assert all(repr(place) in str(refused.value) for place in weights.PLACES)


def test_an_evaluation_of_other_weights_is_refused(path):
    with pytest.raises(ValueError, match=r"not evaluated yet; run python -m"):
        weights.evaluation_of(path)
    found = path.with_suffix(".evaluation.json")
    weights.write_json({"sha256": "0" * 64}, found)
    with pytest.raises(ValueError, match="not evaluated yet"):
        weights.evaluation_of(path)
    weights.write_json({"sha256": weights.record_of(path)["sha256"], "rows": []}, found)
    assert weights.evaluation_of(path)["rows"] == []


def test_a_failed_write_leaves_the_old_record(path):
    before = path.with_suffix(".json").read_bytes()
    with pytest.raises(TypeError):
        weights.write_json({"no": {"JSON"}}, path.with_suffix(".json"))
    assert path.with_suffix(".json").read_bytes() == before
    assert json.loads(before)["config"]["model"] == asdict(TINY)


def test_a_page_that_loads_weights_imports_no_trainer():
    code = (
        "import sys; from attention_in_motion.odeformer import weights\n"
        "names = {name.rpartition('.')[2] for name in sys.modules if 'odeformer' in name}\n"
        "assert not names & {'train', 'stream', 'systems', 'evaluation'}, names\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
