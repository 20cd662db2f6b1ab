"""A file pickled by the official classes converts bit for bit and computes the same."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.official import convert
from attention_in_motion.odeformer.weights import load

pytestmark = [pytest.mark.official, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def trajectory() -> tuple[np.ndarray, np.ndarray]:
    times = np.linspace(1, 10, 17)
    return times, np.stack([np.exp(-0.3 * times), np.cos(times)], axis=1)


@pytest.fixture(scope="module")
def converted(pair, trajectory, tmp_path_factory) -> ODEFormer:
    """The official wrapper, saved whole after it has generated: with caches of keys and values."""
    from odeformer.model.model_wrapper import ModelWrapper

    folder, (_, peer) = tmp_path_factory.mktemp("official"), pair
    wrapper = ModelWrapper(env=peer.env, **peer.modules, beam_type="sampling", beam_temperature=0.1)
    memory, n_points = peer.encode([trajectory]), torch.tensor([17])
    with torch.no_grad(), suppress(RuntimeError):  # a new PyTorch refuses its mask at the very end
        peer.modules["decoder"].generate(memory, n_points, max_len=9, env=peer.env)
    assert peer.modules["decoder"].cache["slen"] > 0
    torch.save(wrapper, folder / "odeformer.pt")
    return load(convert(folder / "odeformer.pt", folder))


def test_every_dimension_and_bit(converted, pair):
    ours, peer = pair
    assert converted.config == ours.config
    expected, found = peer.modules.state_dict(), converted.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


@torch.no_grad()
def test_logits(converted, pair, trajectory):
    _, peer = pair
    vocabulary, (times, values) = converted.config.vocabulary, trajectory
    points = torch.from_numpy(vocabulary.encode_points(times, values))[None]  # (1, n_points, words)
    tokens = torch.from_numpy(vocabulary.encode_system([["mul", -0.3, "x_0"], ["x_1"]]))[None]
    n_points, n_tokens = torch.tensor([len(times)]), torch.tensor([tokens.shape[1]])
    expected = peer.logits(tokens, n_tokens, peer.encode([trajectory]), n_points)
    logits = converted(points, n_points, tokens, n_tokens)  # (1, length, n_words)
    assert expected.std() > 0.1
    assert (logits - expected).abs().max() <= 1e-4


def test_reading_imports_nothing_official(converted, pair, tmp_path):
    """In a process of its own, where the package is there but must not be touched."""
    from odeformer.model.model_wrapper import ModelWrapper

    path = tmp_path / "odeformer.pt"
    torch.save(ModelWrapper(env=pair[1].env, **pair[1].modules), path)
    code = (
        "import sys; from pathlib import Path\n"
        "from attention_in_motion.odeformer import official\n"
        f"official.convert(Path({str(path)!r}), Path({str(tmp_path)!r}))\n"
        "assert not {'odeformer', 'numexpr', 'sklearn'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert Path(tmp_path / "odeformer.safetensors").exists()
