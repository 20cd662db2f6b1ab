from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields, make_dataclass, replace
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from attention_in_motion.odeformer import train as training
from attention_in_motion.odeformer import weights
from attention_in_motion.odeformer.language.tokens import KINDS
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.stream import StreamConfig
from attention_in_motion.odeformer.train import Progress, forward_flops, main, read_config, validate
from attention_in_motion.training.run import digest

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "odeformer").glob("*.toml"))
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


def run(*words: object) -> None:
    """The command, in this process."""
    main([str(word) for word in words], standalone_mode=False)


def refused(*words: object) -> str:
    """The last line on stderr of the command, which must fail as a command with bad usage."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 2
    return result.stderr.splitlines()[-1]


@pytest.fixture
def tiny(tmp_path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The weights of an uninterrupted tiny run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    run(folder / "tiny.toml", "--out", folder / "model.safetensors")
    return folder / "model.safetensors"


def test_a_run_learns_and_says_how_it_was_made(finished):
    record = weights.record_of(finished)
    assert record["seed"] == 3 and record["steps"] == 30 and record["last_start_at_step"] == 0
    assert record["config"]["model"]["decoder_width"] == 12
    assert record["validation"]["loss"] < math.log(388) - 1 > record["losses"][0] - 1
    assert "tiny.toml" in record["command"]
    assert {path.name for path in finished.parent.iterdir()} == {
        *("tiny.toml", "model.safetensors", "model.json")
    }


def interrupted(monkeypatch, call: int) -> list[int]:
    """From now on that call of the loss is interrupted; the list grows by one a call."""
    whole_loss, calls = ODEFormer.loss, []

    def loss(model, **batch):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return whole_loss(model, **batch)

    monkeypatch.setattr(ODEFormer, "loss", loss)
    return calls


MUON = 'optimiser = "muon"\nmatrix_lr = 0.02\naverage = 0.8\n'  # averaged from step 6 on


@pytest.mark.parametrize("fields", ["", MUON])
def test_an_interrupted_run_continues_bit_for_bit(fields, tiny, monkeypatch):
    """Stopped by an exception between checkpoints, then run again."""
    tiny.write_text(TINY + fields, encoding="utf-8")
    finished = tiny.with_name("finished.safetensors")
    run(tiny, "--out", finished)
    out = tiny.with_name("model.safetensors")
    calls = interrupted(monkeypatch, 17)
    with pytest.raises(click.Abort):
        run(tiny, "--out", out)
    assert not out.exists()
    run(tiny, "--out", out, "--resume")
    assert len(calls) == 17 + 20  # from step 10 on
    assert out.read_bytes() == finished.read_bytes()
    assert weights.record_of(out)["last_start_at_step"] == 10


def test_a_run_goes_on_from_the_weights_of_its_checkpoint(finished, tiny, monkeypatch):
    """Stopped after step 25, checkpoint at 20: the last ten steps are taken from half precision."""
    out, interim = tiny.with_name("model.safetensors"), tiny.with_name("interim.safetensors")
    calls = interrupted(monkeypatch, 25)
    with pytest.raises(click.Abort):
        run(tiny, "--out", out)
    run(tiny, "--out", out, "--interim", interim)
    begun = weights.record_of(interim)
    assert begun["steps_done"] == 20 and begun["stored"] == "float16"
    state = torch.load(training.checkpoint_of(read_config(tiny, None, None), out))["model"]
    for name, tensor in weights.load(interim).state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=1e-3, atol=1e-6)

    monkeypatch.setattr(training, "REWARM", 2)
    run(tiny, "--out", tiny.with_name("other.safetensors"), "--continue", interim)
    assert len(calls) == 25 + 10
    record = weights.record_of(tiny.with_name("other.safetensors"))
    assert record["continued"]["at_step"] == 20 and f"--continue {interim}" in record["command"]
    loss = weights.record_of(finished)["validation"]["loss"]
    assert abs(record["validation"]["loss"] - loss) < 0.1
    line = refused(tiny, "--seed", 9, "--out", out, "--fresh", "--continue", interim)
    assert line.endswith(f"--continue {interim}: its weights are of another configuration")


def test_kill_9_leaves_a_whole_checkpoint(finished, tiny):
    text = TINY.replace("steps = 30", "steps = 3000").replace("every = 10", "every = 5")
    tiny.write_text(text, encoding="utf-8")
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
    reference = ODEFormer(weights.load(finished).config, torch.Generator())
    reference.load_state_dict(state["model"])  # a whole file, whenever the kill came


def test_another_seed_or_length_is_another_run(tiny):
    first = read_config(tiny, None, None)
    assert read_config(tiny, 3, 30) == first
    others = [read_config(tiny, *options) for options in ((4, None), (3, 31))]
    assert len({digest(config) for config in (first, *others)}) == 3


def with_a_later_field(config, name: str, default: int):
    """The configuration as a program with one more field would read it."""
    kind = make_dataclass(name, [("later", int, default)], bases=(type(config),), frozen=True)
    return kind(**{field.name: getattr(config, field.name) for field in fields(config)})


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_field_added_later_changes_no_digest(path):
    config = read_config(path, None, None)
    later = replace(config, stream=with_a_later_field(config.stream, "StreamConfig", 3))
    assert digest(with_a_later_field(later, "RunConfig", 5)) == digest(config)
    used = replace(later, stream=replace(later.stream, later=4))
    assert digest(used) != digest(config)
    for table, change in [
        *(("stream", {"extra_steps": 60}), ("stream", {"random_survivors": True})),
        *(("training", {"optimiser": "muon"}), ("training", {"average": 0.1})),
        ("training", {"matrix_lr": 1e-3}),
    ]:
        own = getattr(config, table)
        other = replace(config, **{table: replace(own, **change)})
        assert (digest(other) == digest(config)) == (replace(own, **change) == own)


def test_the_checkpoint_of_another_configuration_is_not_passed_over(tiny, tmp_path):
    out = tmp_path / "model.safetensors"
    other = training.checkpoint_of(read_config(tiny, 8, None), out)
    other.touch()
    line = refused(tiny, "--out", out)
    assert f"only {other.name}: to start at step 0 add --fresh" in line
    own = training.checkpoint_of(read_config(tiny, None, None), out)
    own.write_bytes(b"not a checkpoint")
    run(tiny, "--out", out, "--fresh")
    record = weights.record_of(out)
    assert record["last_start_at_step"] == 0 and record["command"].endswith(" --fresh")
    assert other.exists() and not own.exists()


def test_a_resumed_run_needs_its_checkpoint(tiny, tmp_path):
    out = tmp_path / "model.safetensors"
    own = training.checkpoint_of(read_config(tiny, None, None), out)
    assert f"no checkpoint {own}: to start at step 0" in refused(tiny, "--out", out, "--resume")
    assert not out.exists()


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
    scores = validate(Oracle(config, {"operator", "end"}), [batch], torch.device("cpu"))
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
        batch = {"n_points": torch.tensor([9, 11]), "n_tokens": torch.tensor([6, 21])}
        progress.at(step, batch)
        progress.update(torch.tensor(2.5))
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
        ("lr = 0.01", "optimiser = 'lion'", "optimiser = 'lion': must be one of adamw, muon, sgd"),
        ("lr = 0.01", "learning_rate = 1", "[training]: got an unexpected keyword argument"),
        ("steps = 30", "", "[training]: missing 1 required positional argument: 'steps'"),
        ("decoder_heads = 3", "decoder_heads = 5", "decoder_heads = 5: must divide decoder_width"),
        ("batch_size = 4", "batch_size = 0", "batch_size = 0: must be at least 1"),
    ],
)
def test_bad_configs_are_refused_in_one_line(tiny, old, new, message):
    tiny.write_text(TINY.replace(old, new), encoding="utf-8")
    assert message in refused(tiny)


def test_a_missing_config_is_refused(tmp_path):
    assert "No such file" in refused(tmp_path / "none.toml")


# ---------------------------------------------------------------------------------------------
# Shipping

STREAM = StreamConfig(max_dimension=1, precision=1, batch_size=2)
SMALL = ODEFormerConfig(16, 1, 2, 16, 2, 2, 8, max_dimension=1, precision=1)


@pytest.fixture
def untrained(tmp_path, monkeypatch) -> Path:
    """An untrained model saved as training saves it, and a place to ship it to."""
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(training, "VALIDATION_SAMPLES", 4)
    model, path = ODEFormer(SMALL, torch.Generator().manual_seed(0)), tmp_path / "tiny.safetensors"
    scores = validate(model, training.validation_batches(STREAM), torch.device("cpu"))
    record = {"config": {"model": asdict(SMALL), "stream": asdict(STREAM)}, "validation": scores}
    weights.save(model, record, path)
    return path


def test_shipping_halves_the_file_and_keeps_the_model(untrained):
    result = CliRunner().invoke(training.ship_command, [str(untrained)])
    out = Path(result.output.strip())
    assert result.exit_code == 0 and out.parent == weights.SHIPPED
    assert out.stat().st_size < 0.6 * untrained.stat().st_size
    before, after = (weights.load(path).state_dict() for path in (untrained, out))
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor.half().float())
    assert weights.record_of(out)["stored"] == "float16"


def test_a_model_that_rounding_spoils_is_not_shipped(untrained):
    record = weights.record_of(untrained)
    record["validation"]["loss"] -= 0.1
    weights.write_json(record, untrained.with_suffix(".json"))
    result = CliRunner().invoke(training.ship_command, [str(untrained)])
    assert result.exit_code == 2
    assert "as float16 it loses 0.1 nats" in result.stderr.splitlines()[-1]
    assert not weights.SHIPPED.exists()


def test_the_recorded_command_of_shipping_still_works(tmp_path):
    command = [sys.executable, "-m", "attention_in_motion.odeformer.weights"]
    result = subprocess.run([*command, str(tmp_path / "none")], capture_output=True, text=True)
    assert result.returncode == 2 and "no file" in result.stderr.splitlines()[-1]


def test_the_recorded_command_is_the_one_that_was_given(tiny, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(training, "train", lambda *arguments: given.append(arguments))
    run(tiny, "--seed", 7, "--out", tmp_path / "m.safetensors")
    run(tiny)
    (first, out, command, *_), (second, default, plain, *_) = given
    assert (first.seed, out) == (7, tmp_path / "m.safetensors")
    program = "python -m attention_in_motion.odeformer.train"
    assert command == f"{program} {tiny} --seed 7 --out {out}" and plain == f"{program} {tiny}"
    assert default == Path("runs/odeformer") / f"{digest(second)}.safetensors"
