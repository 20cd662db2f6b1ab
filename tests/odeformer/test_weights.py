"""Which weights a page gets, what is shipped, and what the lens shows of a pass."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer import inside, train, weights
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.stream import StreamConfig

TINY = ODEFormerConfig(16, 1, 2, 16, 2, 2, 8, max_dimension=1, precision=1)
STREAM = StreamConfig(max_dimension=1, precision=1, batch_size=2)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """An untrained model saved as training saves it, and a place to ship it to."""
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(train, "VALIDATION_BATCHES", 2)
    model, path = ODEFormer(TINY, torch.Generator().manual_seed(0)), tmp_path / "tiny.safetensors"
    loss = train.evaluate(model, train.validation_batches(STREAM), torch.device("cpu"))
    record = {"config": {"model": asdict(TINY), "stream": asdict(STREAM)}, "validation": loss}
    train.save(model, record, path)
    return path


def test_shipping_halves_the_file_and_keeps_the_model(trained):
    out = weights.ship(trained)
    assert out.stat().st_size < 0.6 * trained.stat().st_size
    before, after = (weights.load(str(path)).state_dict() for path in (trained, out))
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor.half().float())
    assert weights.record_of(out)["stored"] == "float16"


def test_a_model_that_rounding_spoils_is_not_shipped(trained):
    record = weights.record_of(trained)
    record["validation"]["loss"] -= 0.1
    trained.with_suffix(".json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"as float16 it loses 0\.1 nats"):
        weights.ship(trained)
    assert not weights.SHIPPED.exists()


def test_an_altered_file_is_refused(trained):
    whole = trained.read_bytes()
    trained.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"tiny\.safetensors has sha256"):
        weights.load(str(trained))


@pytest.mark.parametrize("name", ["official", "nothing/here.safetensors", ""])
def test_a_model_that_is_not_there_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setitem(weights.PLACES, "official", tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"^model = .*: no file .*; must be 'ours'") as refused:
        weights.load(name)
    assert "\n" not in str(refused.value)


def test_an_evaluation_of_other_weights_is_refused(trained):
    with pytest.raises(ValueError, match=r"not evaluated yet; run python -m"):
        weights.evaluation(str(trained))
    record, found = weights.record_of(trained), trained.with_suffix(".evaluation.json")
    found.write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(ValueError, match="not evaluated yet"):
        weights.evaluation(str(trained))
    found.write_text(json.dumps({"sha256": record["sha256"], "rows": []}))
    assert weights.evaluation(str(trained))["rows"] == []


def test_the_lens_shows_the_pass_that_writes_the_greedy_answer():
    model = ODEFormer(TINY, torch.Generator().manual_seed(1)).eval()
    times = np.linspace(0, 5, 12)
    words, seen = inside.looks(model, times, np.exp(-times)[:, None])
    attention = seen["decoder.encoder_attn.1.weights"]  # (1, head, words + 1, point)
    assert attention.shape == (1, 2, len(words) + 1, 12)
    assert torch.allclose(attention.sum(-1), torch.ones_like(attention[..., 0]))
    chosen = seen["decoder.logits"][0].argmax(-1)[: len(words)]
    assert [model.config.vocabulary.words[i] for i in chosen] == words
