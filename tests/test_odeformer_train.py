from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode

from attention_in_motion.odeformer import train as training
from attention_in_motion.odeformer.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.tokens import KINDS
from attention_in_motion.odeformer.train import (
    Progress,
    checkpoint_of,
    evaluate,
    forward_flops,
    load,
    main,
    read_config,
    save,
)

CONFIGS = sorted((Path(__file__).parents[1] / "configs" / "odeformer").glob("*.toml"))
TINY = """
seed = 3
[model]
encoder_width = 8
encoder_layers = 1
encoder_heads = 2
decoder_width = 12
decoder_layers = 1
decoder_heads = 3
embedding_width = 4
max_dimension = 1
precision = 1
[stream]
batch_size = 4
min_points = 8
max_points = 12
family_share = 1.0
batches_per_chunk = 8
[training]
steps = 30
lr = 0.01
warmup = 5
checkpoint_every = 10
report_every = 10
"""


@pytest.fixture
def tiny(tmp_path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The weights of an uninterrupted tiny run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.toml").write_text(TINY)
    main([str(folder / "tiny.toml"), "--out", str(folder / "model.safetensors")])
    return folder / "model.safetensors"


def test_a_run_learns_and_says_how_it_was_made(finished):
    record = json.loads(finished.with_suffix(".json").read_text())
    assert record["seed"] == 3 and record["steps"] == 30 and record["last_start_at_step"] == 0
    assert record["config"]["model"]["decoder_width"] == 12
    assert record["validation"]["loss"] < math.log(388) - 1 > record["losses"][0] - 1
    assert "tiny.toml" in record["command"]
    assert {path.name for path in finished.parent.iterdir()} == {
        *("tiny.toml", "model.safetensors", "model.json")
    }


def test_the_file_holds_tied_weights_once(finished):
    assert "decoder.proj.weight" not in load_file(finished)
    model = load(finished)
    assert model.decoder.proj.weight is model.decoder.embeddings.weight
    assert not model.training


def test_a_changed_file_is_refused(finished, tmp_path):
    path = tmp_path / "model.safetensors"
    weights = bytearray(finished.read_bytes())
    weights[-1] ^= 1
    path.write_bytes(weights)
    path.with_suffix(".json").write_text(finished.with_suffix(".json").read_text())
    with pytest.raises(ValueError, match=r"model\.safetensors has sha256 .* says otherwise"):
        load(path)


MUON = 'optimiser = "muon"\nmatrix_lr = 0.02\naverage = 0.8\n'  # averaged from step 6 on


@pytest.mark.parametrize("fields", ["", MUON])
def test_an_interrupted_run_continues_bit_for_bit(fields, tiny, monkeypatch):
    """Stopped by an exception between checkpoints, then run again."""
    tiny.write_text(TINY + fields)
    finished = tiny.with_name("finished.safetensors")
    main([str(tiny), "--out", str(finished)])
    out = tiny.with_name("model.safetensors")
    whole_loss = ODEFormer.loss
    calls = []

    def failing_loss(model, **batch):
        calls.append(1)
        if len(calls) == 17:
            raise KeyboardInterrupt
        return whole_loss(model, **batch)

    monkeypatch.setattr(ODEFormer, "loss", failing_loss)
    with pytest.raises(KeyboardInterrupt):
        main([str(tiny), "--out", str(out)])
    assert not out.exists()
    main([str(tiny), "--out", str(out), "--resume"])
    assert len(calls) == 17 + 20  # from step 10 on
    assert out.read_bytes() == finished.read_bytes()
    assert json.loads(out.with_suffix(".json").read_text())["last_start_at_step"] == 10


def test_a_resumed_run_needs_its_checkpoint(tiny, capsys):
    """Of its own configuration; another one's is named, and left where it is."""
    out = tiny.with_name("model.safetensors")
    with pytest.raises(SystemExit, match="2"):
        main([str(tiny), "--out", str(out), "--resume"])
    own = checkpoint_of(read_config(tiny, None, None), out)
    assert f"no checkpoint {own}: to start" in capsys.readouterr().err.splitlines()[-1]
    other = out.with_name("model.0123456789ab.checkpoint")
    other.write_bytes(b"")
    with pytest.raises(SystemExit, match="2"):
        main([str(tiny), "--out", str(out)])
    message = f"no checkpoint {own}, only {other.name}: to start at step 0 add --fresh"
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()
    own.write_bytes(b"not a checkpoint")
    main([str(tiny), "--out", str(out), "--fresh", "--steps", "30"])
    assert json.loads(out.with_suffix(".json").read_text())["last_start_at_step"] == 0
    assert other.exists() and not own.exists()


def test_kill_9_leaves_a_whole_checkpoint(finished, tiny):
    tiny.write_text(TINY.replace("steps = 30", "steps = 3000").replace("every = 10", "every = 5"))
    out = tiny.with_name("model.safetensors")
    command = [sys.executable, "-m", "attention_in_motion.odeformer.train", str(tiny)]
    process = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE)
    while not list(tiny.parent.glob("*.checkpoint")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (checkpoint,) = tiny.parent.glob("*.checkpoint")
    state = torch.load(checkpoint, weights_only=True)
    assert 5 <= state["step"] < 3000
    reference = ODEFormer(load(finished).config, torch.Generator())
    reference.load_state_dict(state["model"])  # a whole file, whenever the kill came


def test_another_seed_or_length_is_another_run(tiny):
    first = read_config(tiny, None, None)
    assert read_config(tiny, 3, 30) == first
    digests = {read_config(tiny, *options).digest for options in ((None, None), (4, None), (3, 31))}
    assert len(digests) == 3


@pytest.mark.parametrize(("name", "digest"), [("main", "886986f60dd8"), ("short", "b46122556e53")])
def test_a_field_added_later_changes_no_digest(name, digest):
    config = read_config(next(p for p in CONFIGS if p.stem == name), None, None)
    assert config.digest == digest
    for table, change in [
        *(("stream", {"extra_steps": 60}), ("stream", {"random_survivors": True})),
        *(("training", {"optimiser": "muon"}), ("training", {"average": 0.1})),
        ("training", {"matrix_lr": 1e-3}),
    ]:
        other = replace(config, **{table: replace(getattr(config, table), **change)})
        assert other.digest != digest


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        dict(encoder_width=24, decoder_width=36, encoder_heads=3, decoder_heads=2),
        dict(encoder_layers=3, decoder_layers=2, embedding_width=5, max_dimension=2, precision=2),
    ],
)
def test_flops_are_those_torch_counts(sizes):
    tiny = dict(encoder_layers=1, decoder_layers=1, embedding_width=4, max_dimension=1, precision=1)
    config = ODEFormerConfig(**(tiny | dict(encoder_width=32, decoder_width=48) | sizes))
    model = ODEFormer(config, torch.Generator().manual_seed(0))
    words = 3 * (1 + config.max_dimension)
    points, tokens = torch.full((3, 7, words), 20), torch.full((3, 6), 75)
    lengths = torch.full((3,), 7), torch.full((3,), 6)
    expected = forward_flops(config, lengths[0], lengths[1] - 1)
    with FlopCounterMode(display=False) as counter:
        loss = model.loss(points, lengths[0], tokens, lengths[1])
    assert counter.get_total_flops() == expected
    with FlopCounterMode(display=False) as counter:
        loss.backward()
    assert counter.get_total_flops() == 2 * expected


class Oracle:
    """Gives the token it is shown next a logit of 30 where `knows(kind)`, else wrong ones."""

    def __init__(self, config: ODEFormerConfig, knows: set[str]) -> None:
        self.config, self.knows = config, knows

    def __call__(self, tokens: torch.Tensor, **rest: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*tokens.shape, len(self.config.vocabulary.words))
        for row, sequence in enumerate(tokens.tolist()):
            for i, token in enumerate(sequence[1:]):
                kind = KINDS[self.config.vocabulary.kinds[token]]
                logits[row, i, token] = 30 if kind in self.knows else -30
        return logits


def test_accuracy_by_kind():
    vocabulary = (config := ODEFormerConfig(max_dimension=1, precision=1)).vocabulary
    ids = torch.from_numpy(vocabulary.encode_system([["mul", -2.5, "sin", "x_0"]]))[None]
    batch = {"tokens": torch.cat([ids, torch.full((1, 4), 9)], dim=1)}
    batch |= {name: torch.tensor([8]) for name in ("n_tokens", "n_points")}
    scores = evaluate(Oracle(config, {"operator", "end"}), [batch], torch.device("cpu"))
    assert scores.pop("loss") == pytest.approx(4 / 7 * (30 + math.log(387)), abs=1e-4)
    assert scores.pop("all") == pytest.approx(3 / 7)
    right = {"operator": 1.0, "end": 1.0}
    assert scores == right | dict.fromkeys(("variable", "sign", "mantissa", "exponent"), 0.0)


def test_progress_counts_what_is_not_padding(tiny, monkeypatch):
    clock = iter([0.0, 100.0, 110.0, 110.0])
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
    config = read_config(tiny, None, 40)
    progress = Progress(replace(config, training=replace(config.training, report_every=1000)))
    for step in range(10, 20):
        progress.at(step)
        batch = {"n_points": torch.tensor([9, 11]), "n_tokens": torch.tensor([6, 21])}
        progress.update(batch, torch.tensor(2.5))
    line = progress.line(20)  # 10 steps in 10 s, 20 steps to go
    assert progress.first_step == 10
    assert "step 20/40  loss 2.5000  2 samples/s  45 tokens/s" in line and "0 min left" in line


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_committed_configs(path):
    config = read_config(path, None, None)
    assert config.stream.max_dimension == config.model.max_dimension
    assert config.stream.precision == config.model.precision


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lr = 0.01", "lr = -1", "lr = -1: must be positive"),
        ("lr = 0.01", "average = 1.0", "average = 1.0: must lie in [0, 1)"),
        ("lr = 0.01", "optimiser = 'sgd'", "optimiser = 'sgd': must be one of adamw, muon"),
        ("lr = 0.01", "learning_rate = 1", "[training]: got an unexpected keyword argument"),
        ("steps = 30", "", "[training]: missing 1 required positional argument: 'steps'"),
        ("decoder_heads = 3", "decoder_heads = 5", "decoder_heads = 5: must divide decoder_width"),
        ("batch_size = 4", "batch_size = 0", "batch_size = 0: must be at least 1"),
    ],
)
def test_bad_configs_are_refused_in_one_line(tiny, capsys, old, new, message):
    tiny.write_text(TINY.replace(old, new))
    with pytest.raises(SystemExit, match="2"):
        main([str(tiny)])
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_config_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "none.toml")])
    assert "No such file" in capsys.readouterr().err


def test_saved_weights_are_the_models(tmp_path):
    config = ODEFormerConfig(encoder_width=16, encoder_layers=1, max_dimension=1, precision=1)
    config = replace(config, decoder_width=16, decoder_layers=1, embedding_width=2)
    model = ODEFormer(config, torch.Generator().manual_seed(5))
    save(model, {"config": {"model": asdict(config)}}, tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors").state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model.state_dict().items())
