"""load_or_train and shipping: right key, right file, nothing silent, nothing lost."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
import torch
from filelock import FileLock, Timeout

from attention_in_motion import paths
from attention_in_motion.training import store
from attention_in_motion.training.oscillator import OscillatorRun
from attention_in_motion.training.run import digest

RUN = OscillatorRun(seeds=(0, 1), steps=25, batch=16, snapshots=(0, 5))


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(store, "DATA", tmp_path / "data")
    monkeypatch.setattr(store, "MANIFEST", tmp_path / "data" / "manifest.json")


def shipped(tmp_path):
    store.load_or_train(RUN, "toy")
    store.ship((tmp_path / "weights").glob("*.safetensors"))
    return next((tmp_path / "data").glob("*.safetensors"))


def test_a_second_call_loads_what_the_first_trained(tmp_path):
    first = store.load_or_train(RUN, "toy")
    stamp = next((tmp_path / "weights").glob("*.safetensors")).stat().st_mtime_ns
    second = store.load_or_train(RUN, "toy")
    assert next((tmp_path / "weights").glob("*.safetensors")).stat().st_mtime_ns == stamp
    assert all(torch.equal(second.tensors[k], t) for k, t in first.tensors.items())


def test_a_loaded_model_is_the_trained_one():
    trained = store.load_or_train(RUN, "toy")
    sample = trained.part("sample.")
    assert torch.equal(trained.model(sample["input"]), sample["output"])
    for name, weight in RUN.model().state_dict().items():
        assert torch.equal(trained.at(0).state_dict()[name], weight)


def test_the_key_names_the_configuration_and_ignores_new_defaults():
    @dataclass(frozen=True)
    class Extended(OscillatorRun):
        added_later: int = 7

    Extended.__name__ = "OscillatorRun"
    assert digest(Extended()) == digest(OscillatorRun())
    assert digest(Extended(added_later=8)) != digest(OscillatorRun())
    assert digest(replace(RUN, lr=2e-3)) != digest(RUN)


def test_shipped_runs_load_unless_retraining_is_asked_for(tmp_path):
    path = shipped(tmp_path)
    for kept in (tmp_path / "weights").iterdir():
        kept.unlink()
    store.load_or_train(RUN, "toy")
    assert not list((tmp_path / "weights").glob("*.safetensors"))
    store.load_or_train(RUN, "toy", retrain=True)
    assert list((tmp_path / "weights").glob("*.safetensors"))
    assert path.name in (tmp_path / "data" / "README.md").read_text(encoding="utf-8")


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
        store.load_or_train(RUN, "toy")


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 64])
def test_a_damaged_kept_file_is_refused_by_name(tmp_path, content):
    store.load_or_train(RUN, "toy")
    path = next((tmp_path / "weights").glob("*.safetensors"))
    path.write_bytes(content)
    with pytest.raises(ValueError, match=path.name):
        store.load_or_train(RUN, "toy")


def test_weights_of_another_run_are_refused(tmp_path):
    store.load_or_train(RUN, "toy")
    path = next((tmp_path / "weights").glob("*.safetensors"))
    with pytest.raises(ValueError, match="holds run"):
        store.read(path, replace(RUN, steps=26))


def test_retraining_trains_whatever_is_kept(tmp_path):
    store.load_or_train(RUN, "toy")
    path = next((tmp_path / "weights").glob("*.safetensors"))
    old = replace(RUN, lr=2e-3)  # last week's file under today's name
    planted = store.train(old)
    store.write(replace(planted, provenance=planted.provenance | {"key": digest(RUN)}), path)
    kept = store.load_or_train(RUN, "toy").losses[1]
    again = store.load_or_train(RUN, "toy", retrain=True).losses[1]
    assert torch.equal(kept, planted.losses[1]) and not torch.equal(again, kept)
    assert torch.equal(again, store.train(RUN).losses[1])


class Interrupted(Exception):
    pass


def test_an_interrupted_retraining_goes_on_where_it_stopped(tmp_path, monkeypatch):
    long = replace(RUN, steps=1200, snapshots=())
    whole, steps = store.train(long).losses[1], []
    with monkeypatch.context() as patch:
        loss = OscillatorRun.loss
        patch.setattr(OscillatorRun, "loss", lambda s, m, b: watched(loss, steps, s, m, b))
        with pytest.raises(Interrupted):
            store.load_or_train(long, "toy", retrain=True)
    assert list((tmp_path / "weights").glob("*.checkpoint"))
    assert torch.equal(store.load_or_train(long, "toy", retrain=True).losses[1], whole)


def watched(loss, steps, run, model, batch):
    steps.append(0)
    if len(steps) == 1100:
        raise Interrupted
    return loss(run, model, batch)


def test_training_is_on_one_thread_and_gives_the_others_back(monkeypatch):
    seen = []
    loss = OscillatorRun.loss

    def counted(self, model, batch):
        seen.append(torch.get_num_threads())
        return loss(self, model, batch)

    before = torch.get_num_threads()
    monkeypatch.setattr(OscillatorRun, "loss", counted)
    torch.set_num_threads(2)
    try:
        store.train(RUN)
        assert set(seen) == {1} and torch.get_num_threads() == 2
        monkeypatch.setattr(OscillatorRun, "loss", lambda *a: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.train(RUN)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_page_loads_its_runs_by_name(tmp_path):
    found = store.load_all({"8LA 32/16, open": RUN}, "03_variable_omega/mask")
    assert torch.equal(found["8LA 32/16, open"].losses[1], store.train(RUN).losses[1])
    (path,) = (tmp_path / "weights").glob("*.safetensors")
    assert path.name == f"03-8la-32-16-open-{digest(RUN)}.safetensors"


def test_runs_of_single_seeds_make_one_ensemble():
    parts = [store.load_or_train(replace(RUN, seeds=(k,)), "toy") for k in (1, 0)]
    model = store.together(parts)
    x = parts[0].tensors["sample.input"]  # (1, n, 1, 2)
    wanted = torch.cat([part.model(x) for part in parts])
    torch.testing.assert_close(model(x.expand(2, -1, -1, -1)), wanted)
    assert not any(weight.requires_grad for weight in model.parameters())


def test_a_file_says_itself_what_it_is(tmp_path):
    first = store.load_or_train(RUN, "toy")
    path = next((tmp_path / "weights").glob("*.safetensors"))
    assert store.opened(path).run == first.run
    assert store.digest_of(store.opened(path).model) == store.digest_of(first.model)
    assert store.digest_of(RUN.model()) != store.digest_of(first.model)
    with pytest.raises(FileNotFoundError, match="nowhere: no such file"):
        store.opened(tmp_path / "nowhere")


def test_an_installed_package_without_its_checkout_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("AIM_WEIGHTS")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no book, only the installed package"):
        store.load_or_train(RUN, "toy")


TRAIN = """
from attention_in_motion.training import store
from attention_in_motion.training.oscillator import OscillatorRun
store.load_or_train(OscillatorRun(seeds=(0, 1), steps=200, batch=16), "toy")
"""


def test_two_processes_train_once(tmp_path):
    # new processes, not forks: a fork after torch has started its threads can hang for ever
    children = [subprocess.Popen([sys.executable, "-c", TRAIN]) for _ in range(2)]
    assert [child.wait(timeout=300) for child in children] == [0, 0]
    assert len(list((tmp_path / "weights").glob("*.safetensors"))) == 1
    assert not list((tmp_path / "weights").glob("*.partial"))


def test_retraining_what_is_shipped_agrees_and_a_moved_result_does_not(tmp_path, capsys):
    shipped(tmp_path)
    assert store.retrain("toy", rotate=True) == 0
    rows = store.manifest()
    rows[0]["final_loss"] = [2 * loss for loss in rows[0]["final_loss"]]
    store.MANIFEST.write_text(json.dumps(rows), encoding="utf-8")
    assert store.retrain("toy", rotate=False) == 1
    assert "outside" in capsys.readouterr().out
    with pytest.raises(ValueError, match="nothing is shipped"):
        store.retrain("99", rotate=False)


def test_a_finished_run_is_read_under_its_lock(tmp_path, monkeypatch):
    read = store.read

    def locked(path, *rest):
        with pytest.raises(Timeout):
            FileLock(f"{path}.lock", timeout=0).acquire()
        return read(path, *rest)

    monkeypatch.setattr(store, "read", locked)
    store.load_or_train(RUN, "toy")
    store.load_or_train(RUN, "toy", retrain=True)
