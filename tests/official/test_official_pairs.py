"""The pairs in tests/data that let the fast tests do without the official package.

    WRITE_PAIRS=1 .venv-official/bin/python -m pytest tests/official/test_official_pairs.py

writes them from odeformer 0.1.7; without WRITE_PAIRS the stored files are compared with it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from attention_in_motion.odeformer.network.model import ODEFormerConfig

pytestmark = [pytest.mark.official, pytest.mark.filterwarnings("ignore")]

DATA = Path(__file__).parents[1] / "data"
CONFIG = ODEFormerConfig(
    **dict(encoder_width=8, encoder_layers=2, encoder_heads=2, embedding_width=4, precision=2),
    **dict(decoder_width=12, decoder_layers=2, decoder_heads=3),
)
POSITIONS = 64  # stored rows of the decoder's table of 4096
EVERY = 29  # of the logits of 1293 words, one in so many is stored


def weights_on_a_grid(modules: torch.nn.ModuleDict) -> dict[str, torch.Tensor]:
    """Random weights that float16 holds exactly, loaded into the official modules in float64."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, parameter in modules.named_parameters():
        scale = parameter.shape[-1] ** -0.5 if parameter.dim() > 1 else 0.3
        draw = scale * torch.randn(parameter.shape, generator=generator)
        norm_weight = "norm" in name and name.endswith("weight")
        weights[name] = (draw + norm_weight).half()
    weights["decoder.position_embeddings.weight"][POSITIONS:] = 0
    tied = {"decoder.proj.weight": weights["decoder.embeddings.weight"]}
    modules.double().load_state_dict(weights | tied)
    return weights


@torch.no_grad()
def official_model_pair(peer) -> dict[str, torch.Tensor]:
    weights = weights_on_a_grid(peer.modules)
    weights["decoder.position_embeddings.weight"] = weights["decoder.position_embeddings.weight"][
        :POSITIONS
    ].clone()
    rng, vocabulary = np.random.default_rng(1), CONFIG.vocabulary
    trajectories = [
        (np.sort(rng.uniform(1, 10, n)), rng.normal(size=(n, d)))
        for d, n in ((1, 7), (2, 20), (6, 13))
    ]
    pairs = [list(zip(t[:, None], x, strict=True)) for t, x in trajectories]
    points, n_points = peer.modules["embedder"](pairs, return_before_embed=True)
    tokens = torch.from_numpy(rng.integers(len(vocabulary.words), size=(3, 18)))
    n_tokens = torch.tensor([18, 5, 11])
    memory = peer.encode(trajectories)  # (3, 20, encoder_width)
    logits = peer.logits(tokens, n_tokens, memory, n_points)  # (3, 18, n_words)
    return {f"weights.{name}": tensor for name, tensor in weights.items()} | {
        "points": points.transpose(0, 1).contiguous(),
        "n_points": n_points,
        "tokens": tokens,
        "n_tokens": n_tokens,
        "memory": memory.contiguous(),
        "logits": logits[..., ::EVERY].contiguous(),
    }


def test_model_pair(official_peer, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)  # a float64 softmax
    pair, path = official_model_pair(official_peer(CONFIG)), DATA / "odeformer_model.safetensors"
    if os.environ.get("WRITE_PAIRS"):
        save_file(pair, path)
    stored = load_file(path)
    assert stored.keys() == pair.keys()
    for name, tensor in stored.items():
        torch.testing.assert_close(tensor, pair[name], rtol=0, atol=1e-12)


def official_token_pairs(env) -> dict:
    rng = np.random.default_rng(2)
    floats = [0.0, -1e-98, 1e-97, 9.9996, 9.9994e103, 2.5005, 0.00012345, -1234.5]
    floats += [float(x) for x in rng.normal(size=60) * 10.0 ** rng.integers(-99, 99, 60)]
    systems = [env.gen_expr(train=True, dimension=d, n_points=50)[0] for d in (1, 1, 2, 2, 3, 3)]
    words = [system["tree_encoded"] for system in systems]
    prefixes = [env.equation_encoder.decode(sequence).prefix() for sequence in words]
    return {
        "source": "odeformer 0.1.7, max_dimension = 6, float_precision = 3",
        "floats": [[x, env.float_encoder.encode([x])] for x in floats],
        "equations": [
            {"words": w, "ids": [env.equation_word2id[x] for x in w], "prefix": p}
            for w, p in zip(words, prefixes, strict=True)
        ],
    }


def test_token_pairs(official_peer):
    tiny = {name: 1 for name in ("encoder_layers", "decoder_layers", "embedding_width")}
    env, path = official_peer(ODEFormerConfig(**tiny)).env, DATA / "odeformer_tokens.json"
    if os.environ.get("WRITE_PAIRS"):
        text = json.dumps(official_token_pairs(env), indent=None) + "\n"
        path.write_text(text, encoding="utf-8")
    stored = json.loads(path.read_text(encoding="utf-8"))
    for value, words in stored["floats"]:
        assert env.float_encoder.encode([value]) == words
    for pair in stored["equations"]:
        assert [env.equation_word2id[word] for word in pair["words"]] == pair["ids"]
        assert env.equation_encoder.decode(pair["words"]).prefix() == pair["prefix"]
