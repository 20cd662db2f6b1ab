"""Trainings are killed, starved of disk and fought over: their weights come out the same."""

from __future__ import annotations

import random
import subprocess
import sys
from functools import partial

import pytest
import torch
from harness import LONG, SCALE, read_only, share, small_disk
from safetensors.numpy import load_file

from attention_in_motion.training import archive, store
from attention_in_motion.training.oscillator import OscillatorRun

RUN = OscillatorRun(seeds=(0, 1), steps=800, batch=16)
TRAIN = """
from functools import partial
from attention_in_motion.training import store
from attention_in_motion.training.oscillator import OscillatorRun
store.fit = partial(store.fit, checkpoint_every=20)
print("started", flush=True)
found = store.load_or_train(OscillatorRun(seeds=(0, 1), steps=800, batch=16), "toy")
print(found.provenance["seconds"], flush=True)
"""
WRITE = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
from attention_in_motion.paths import save_atomically
for version in count():
    tensors = {"a": np.full(4_000_000, version, dtype=np.int32), "b": np.full(9, version)}
    save_atomically(lambda partial: save_file(tensors, partial), Path(sys.argv[1]))
    if not version:
        print("started", flush=True)
"""


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Where trainings keep their files."""
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def begin(code, *arguments):
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, encoding="utf-8")


def start(code, *arguments):
    """The process, once it has said that it is about to."""
    process = begin(code, *arguments)
    assert process.stdout.readline() == "started\n"
    return process


def killed(process, seconds):
    """Whether it still ran when it was killed after so many seconds."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait() != 0
    finally:
        process.stdout.close()
    return False


def same(folder, expected):
    (path,) = folder.glob("*.safetensors")
    found = store.read(path, RUN).part("weights.")
    return all(torch.equal(found[k], t) for k, t in expected.part("weights.").items())


def test_a_training_killed_at_random_moments_ends_with_the_same_weights(weights, count):
    expected, chance, kills = store.train(RUN), random.Random(0), 0
    while kills < share(20, least=2):
        if killed(start(TRAIN), chance.uniform(0, 0.3)):
            kills += 1
            for checkpoint in weights.glob("*.checkpoint"):
                archive.check(checkpoint)  # whole, or not there
        if list(weights.glob("*.safetensors")):  # it had ended: whole, and once more
            assert same(weights, expected)
            next(weights.glob("*.safetensors")).unlink()
    assert start(TRAIN).wait(timeout=LONG) == 0
    assert same(weights, expected) and not list(weights.glob("*.checkpoint"))
    count("trainings killed (SIGKILL), the weights identical", kills)


def test_a_write_killed_at_random_moments_leaves_a_whole_file(tmp_path, count):
    chance, path = random.Random(1), tmp_path / "weights.safetensors"
    for _ in range(share(40)):
        assert killed(start(WRITE, path), chance.uniform(0, 0.2))
        found = load_file(path)
        assert set(found["a"]) == set(found["b"]) and len(set(found["b"])) == 1
    count("writes killed (SIGKILL), the file whole", share(40))


def test_many_processes_want_the_same_training_and_one_trains(weights, count):
    n = 3 if SCALE < 1 else 8
    children = [begin(TRAIN) for _ in range(n)]
    seconds = [child.communicate(timeout=LONG)[0] for child in children]
    assert len(set(seconds)) == 1  # every one reads what one has trained
    assert len(list(weights.glob("*.safetensors"))) == 1
    count("processes that wanted one training, trained once", n)


def test_same_seed_twice_is_the_same_bit_for_bit(count):
    first, second = store.train(RUN), store.train(RUN)
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(second.tensors[name], t) for name, t in first.tensors.items())
    count("trainings repeated bit for bit")


@pytest.mark.parametrize(("full_after", "again"), [(400, 500), (799, 200)])
def test_a_full_disk_is_one_line_and_costs_no_training(
    weights, full_after, again, monkeypatch, count
):
    """Checkpoints are due after 300 and 600 steps; the disk fills before the second, or the end."""
    expected, steps = store.train(RUN), []
    monkeypatch.setattr(store, "fit", partial(store.fit, checkpoint_every=300))
    with small_disk(weights, "128k"):
        filler = weights / "filler"
        loss = OscillatorRun.loss

        def watched(run, model, batch):
            steps.append(0)
            if len(steps) == full_after:
                fill(filler)
            return loss(run, model, batch)

        monkeypatch.setattr(OscillatorRun, "loss", watched)
        with pytest.raises(OSError, match=r"cannot be written: \S.*") as refused:
            store.load_or_train(RUN, "toy")
        assert "\n" not in str(refused.value) and str(weights) in str(refused.value)
        assert not list(weights.glob("*.safetensors")) and not list(weights.glob("*.partial"))
        filler.unlink()
        before = len(steps)
        store.load_or_train(RUN, "toy")
        assert len(steps) - before == again and same(weights, expected)
    count("disks that were full")


def fill(path):
    """Write until nothing more can be written."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            pass


def test_a_read_only_folder_is_one_line_and_leaves_what_is_there(weights, count):
    with small_disk(weights):
        store.load_or_train(RUN, "toy")
        (path,) = weights.glob("*.safetensors")
        before = path.read_bytes()
        with read_only(weights):
            with pytest.raises(OSError, match=r"^[^\n]*Read-only[^\n]*$"):
                store.load_or_train(RUN, "toy", retrain=True)
            assert path.read_bytes() == before
    count("folders that were read-only")
