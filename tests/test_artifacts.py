"""load_or_train and shipping: right key, right file, nothing silent, nothing lost."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
import torch
from attention_in_motion.experiments import OscillatorRun

from attention_in_motion import artifacts, shipping

RUN = OscillatorRun(seeds=(0, 1), steps=25, batch=16, snapshots=(0, 5))


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(artifacts, "DATA", tmp_path / "data")
    monkeypatch.setattr(artifacts, "MANIFEST", tmp_path / "data" / "manifest.json")
    monkeypatch.setattr(shipping, "DATA", tmp_path / "data")
    monkeypatch.setattr(shipping, "MANIFEST", tmp_path / "data" / "manifest.json")


def shipped(tmp_path):
    artifacts.load_or_train(RUN, "toy")
    shipping.ship((tmp_path / "weights").glob("*.safetensors"))
    return next((tmp_path / "data").glob("*.safetensors"))


def test_a_second_call_loads_what_the_first_trained(tmp_path):
    first = artifacts.load_or_train(RUN, "toy")
    stamp = next((tmp_path / "weights").glob("*.safetensors")).stat().st_mtime_ns
    second = artifacts.load_or_train(RUN, "toy")
    assert next((tmp_path / "weights").glob("*.safetensors")).stat().st_mtime_ns == stamp
    assert all(torch.equal(second.tensors[k], t) for k, t in first.tensors.items())


def test_a_loaded_model_is_the_trained_one():
    trained = artifacts.load_or_train(RUN, "toy")
    sample = trained.part("sample.")
    assert torch.equal(trained.model(sample["input"]), sample["output"])
    for name, weight in RUN.model().state_dict().items():
        assert torch.equal(trained.at(0).state_dict()[name], weight)


def test_the_key_names_the_configuration_and_ignores_new_defaults():
    @dataclass(frozen=True)
    class Extended(OscillatorRun):
        added_later: int = 7

    Extended.__name__ = "OscillatorRun"
    assert artifacts.digest(Extended()) == artifacts.digest(OscillatorRun())
    assert artifacts.digest(Extended(added_later=8)) != artifacts.digest(OscillatorRun())
    assert artifacts.digest(replace(RUN, lr=2e-3)) != artifacts.digest(RUN)


def test_shipped_runs_load_unless_retraining_is_asked_for(tmp_path):
    path = shipped(tmp_path)
    for kept in (tmp_path / "weights").iterdir():
        kept.unlink()
    artifacts.load_or_train(RUN, "toy")
    assert not list((tmp_path / "weights").glob("*.safetensors"))
    artifacts.load_or_train(RUN, "toy", retrain=True)
    assert list((tmp_path / "weights").glob("*.safetensors"))
    assert path.name in (tmp_path / "data" / "README.md").read_text()


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
def test_a_damaged_shipped_file_is_refused_by_name(tmp_path, damage):
    path = shipped(tmp_path)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        flipped = whole[:-1] + bytes([whole[-1] ^ 1])
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else flipped)
    with pytest.raises((FileNotFoundError, ValueError), match=path.name):
        artifacts.load_or_train(RUN, "toy")


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 64])
def test_a_damaged_kept_file_is_refused_by_name(tmp_path, content):
    artifacts.load_or_train(RUN, "toy")
    path = next((tmp_path / "weights").glob("*.safetensors"))
    path.write_bytes(content)
    with pytest.raises(ValueError, match=path.name):
        artifacts.load_or_train(RUN, "toy")


def test_weights_of_another_run_are_refused(tmp_path):
    artifacts.load_or_train(RUN, "toy")
    path = next((tmp_path / "weights").glob("*.safetensors"))
    with pytest.raises(ValueError, match="holds run"):
        artifacts.read(path, replace(RUN, steps=26))


TRAIN = """
from attention_in_motion import artifacts
from attention_in_motion.experiments import OscillatorRun
artifacts.load_or_train(OscillatorRun(seeds=(0, 1), steps=200, batch=16), "toy")
"""


def test_two_processes_train_once(tmp_path):
    # new processes, not forks: a fork after torch has started its threads can hang for ever
    children = [subprocess.Popen([sys.executable, "-c", TRAIN]) for _ in range(2)]
    assert [child.wait(timeout=300) for child in children] == [0, 0]
    assert len(list((tmp_path / "weights").glob("*.safetensors"))) == 1
    assert not list((tmp_path / "weights").glob("*.partial"))


def test_retraining_what_is_shipped_agrees_and_a_moved_result_does_not(tmp_path, capsys):
    shipped(tmp_path)
    assert shipping.retrain("toy", rotate=True) == 0
    rows = artifacts.manifest()
    rows[0]["final_loss"] = [2 * loss for loss in rows[0]["final_loss"]]
    artifacts.MANIFEST.write_text(json.dumps(rows))
    assert shipping.retrain("toy", rotate=False) == 1
    assert "outside" in capsys.readouterr().out
    with pytest.raises(ValueError, match="nothing is shipped"):
        shipping.retrain("99", rotate=False)
