"""Our ODEFormer computes what the official classes compute, at float32 and float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer.network.model import ODEFormer

pytestmark = [pytest.mark.official, pytest.mark.filterwarnings("ignore")]

DIMENSIONS, N_POINTS, N_TOKENS = (1, 2, 6), (11, 30, 50), (37, 5, 20)


def trajectories() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(2)
    return [
        (np.sort(rng.uniform(1, 10, n)), rng.normal(size=(n, d)) * 10.0 ** rng.integers(-3, 3, d))
        for d, n in zip(DIMENSIONS, N_POINTS, strict=True)
    ]


def batch(ours: ODEFormer) -> dict[str, torch.Tensor]:
    """Three padded systems, one per dimension, and random targets."""
    vocabulary = ours.config.vocabulary
    points = torch.full((3, max(N_POINTS), 21), vocabulary.float_pad)
    for row, (times, values) in enumerate(trajectories()):
        points[row, : len(times)] = torch.from_numpy(vocabulary.encode_points(times, values))
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(len(vocabulary.words), (3, max(N_TOKENS)), generator=generator)
    tokens[:, 0] = vocabulary.eos
    n_points, n_tokens = torch.tensor(N_POINTS), torch.tensor(N_TOKENS)
    return {"points": points, "n_points": n_points, "tokens": tokens, "n_tokens": n_tokens}


@pytest.fixture(params=["float32", "float64 unpatched", "float64"])
def tolerance(request, pair, monkeypatch):
    """The allowed difference, after moving both models to the precision it belongs to."""
    ours, peer = pair
    double = request.param != "float32"
    for model in (ours, peer.modules):
        model.to(torch.float64 if double else torch.float32)
    if request.param == "float64":  # the official softmax casts its scores by calling .float()
        monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)
    return {"float32": 1e-4, "float64 unpatched": 1e-5, "float64": 1e-9}[request.param]


def largest(difference: torch.Tensor) -> float:
    return float(difference.abs().max())


@torch.no_grad()
def test_embedder_and_encoder(pair, tolerance):
    ours, peer = pair
    data = batch(ours)
    expected = peer.encode(trajectories())  # (batch, n_points, width)
    memory = ours.encode(data["points"], data["n_points"])  # (batch, n_points, width)
    assert memory.shape == expected.shape
    assert expected.std() > 0.1
    assert largest(memory - expected) <= tolerance


@torch.no_grad()
def test_encoder_alone(pair, tolerance):
    ours, peer = pair
    generator, dtype = torch.Generator().manual_seed(4), ours.decoder.proj.bias.dtype
    points = torch.randn(3, 50, ours.config.encoder_width, generator=generator, dtype=dtype)
    n_points = torch.tensor(N_POINTS)
    expected = peer.encode_embedded(points.clone(), n_points)  # (batch, n_points, width)
    assert largest(ours.encoder(points, n_points) - expected) <= tolerance


@torch.no_grad()
def test_decoder_alone(pair, tolerance):
    ours, peer = pair
    data, dtype = batch(ours), ours.decoder.proj.bias.dtype
    generator = torch.Generator().manual_seed(5)
    memory = torch.randn(3, 50, ours.config.encoder_width, generator=generator, dtype=dtype)
    inputs = data["tokens"], data["n_tokens"], memory, data["n_points"]
    assert largest(ours.decoder.proj(ours.decoder(*inputs)) - peer.logits(*inputs)) <= tolerance


@torch.no_grad()
def test_logits(pair, tolerance):
    ours, peer = pair
    data = batch(ours)
    memory = peer.encode(trajectories())  # (batch, n_points, width)
    expected = peer.logits(data["tokens"], data["n_tokens"], memory, data["n_points"])
    logits = ours(**data)  # (batch, length, n_words)
    assert expected.std() > 0.1
    assert largest(logits - expected) <= tolerance
    assert (logits.argmax(-1) != expected.argmax(-1)).sum() <= 1  # at most one near tie


def test_loss(pair):
    ours, peer = pair
    for model in (ours, peer.modules):
        model.float()
    data = batch(ours)
    expected = peer.loss(
        data["tokens"], data["n_tokens"], peer.encode(trajectories()), data["n_points"]
    )
    assert abs(float((ours.loss(**data) - expected).detach())) <= 1e-4


def test_every_name_and_shape(pair):
    ours, peer = pair
    shapes = {name: tensor.shape for name, tensor in ours.state_dict().items()}
    assert shapes == {name: t.shape for name, t in peer.modules.state_dict().items()}
    if ours.config.decoder_layers == 12:
        assert len(shapes) == 389
        assert sum(p.numel() for p in ours.parameters()) == 60_646_773
    assert ours.decoder.proj.weight is ours.decoder.embeddings.weight


@torch.no_grad()
def test_our_weights_in_the_official_classes(pair):
    ours, peer = pair
    drawn = ODEFormer(ours.config, torch.Generator().manual_seed(6)).eval()
    before = {name: tensor.clone() for name, tensor in peer.modules.state_dict().items()}
    peer.modules.float().load_state_dict(drawn.state_dict())
    data = batch(drawn)
    memory = peer.encode(trajectories())  # (batch, n_points, width)
    expected = peer.logits(data["tokens"], data["n_tokens"], memory, data["n_points"])
    peer.modules.load_state_dict(before)
    assert largest(drawn(**data) - expected) <= 1e-4
