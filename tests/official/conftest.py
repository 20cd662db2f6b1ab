"""The published odeformer package, built at any size, as the peer to compare with."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig

REASON = "needs the official package: make test-official installs requirements-official.txt"


@dataclass(frozen=True)
class Peer:
    """The official environment and its three modules, with their conventions hidden."""

    env: SimpleNamespace
    modules: torch.nn.ModuleDict

    def encode(self, trajectories: list[tuple[np.ndarray, np.ndarray]]) -> torch.Tensor:
        pairs = [list(zip(t[:, None], x, strict=True)) for t, x in trajectories]
        points, n_points = self.modules["embedder"](pairs)  # (n_points, batch, width)
        return self.encode_embedded(points.transpose(0, 1), n_points)

    def encode_embedded(self, points: torch.Tensor, n_points: torch.Tensor) -> torch.Tensor:
        out = self.modules["encoder"](
            "fwd", x=points.transpose(0, 1), lengths=n_points, causal=False
        )
        return out.transpose(0, 1)  # (batch, n_points, width)

    def decode(self, tokens, n_tokens, memory, n_points) -> torch.Tensor:
        return self.modules["decoder"](
            "fwd", x=tokens.T, lengths=n_tokens, causal=True, src_enc=memory, src_len=n_points
        )  # (length, batch, width)

    def logits(self, tokens, n_tokens, memory, n_points) -> torch.Tensor:
        hidden = self.decode(tokens, n_tokens, memory, n_points)
        return self.modules["decoder"].proj(hidden.transpose(0, 1))  # (batch, length, n_words)

    def loss(self, tokens, n_tokens, memory, n_points) -> torch.Tensor:
        hidden = self.decode(tokens, n_tokens, memory, n_points)
        mask = torch.arange(tokens.shape[1])[:, None] < n_tokens - 1  # (length, batch)
        target = tokens.T[1:].masked_select(mask[:-1])  # (tokens,)
        _, loss = self.modules["decoder"].predict(
            tensor=hidden, pred_mask=mask, y=target, get_scores=False
        )
        return loss


def build_peer(config: ODEFormerConfig) -> Peer:
    """The official environment and modules of these sizes, with their own random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import odeformer.utils
        from odeformer.envs import FunctionEnvironment
        from odeformer.model import build_modules
    odeformer.utils.CUDA = False
    parser = argparse.ArgumentParser()
    FunctionEnvironment.register_args(parser)
    params = parser.parse_args([])
    vars(params).update(
        **dict(max_dimension=config.max_dimension, float_precision=config.precision),
        **dict(debug=False, fp16=False, nvidia_apex=False, cpu=True, reload_model=""),
        **dict(env_name="functions", tasks="functions", activation="silu"),
        **dict(emb_emb_dim=config.embedding_width, n_emb_layers=1, emb_expansion_factor=1),
        **dict(enc_emb_dim=config.encoder_width, dec_emb_dim=config.decoder_width),
        **dict(n_enc_layers=config.encoder_layers, n_dec_layers=config.decoder_layers),
        **dict(n_enc_heads=config.encoder_heads, n_dec_heads=config.decoder_heads),
        **dict(n_enc_hidden_layers=1, n_dec_hidden_layers=1, share_inout_emb=True),
        **dict(dropout=0.0, attention_dropout=0.0, norm_attention=False, masked_input=0.0),
        **dict(use_cross_attention=True, enc_positional_embeddings=None),
        **dict(dec_positional_embeddings="learnable"),
    )
    env = FunctionEnvironment(params)
    env.rng = np.random.RandomState(0)
    return Peer(env, torch.nn.ModuleDict(build_modules(env, params)).eval())


@pytest.fixture(scope="session")
def official_peer():
    """`build_peer`, or a skip where the package is missing."""
    pytest.importorskip("odeformer", reason=REASON)
    return build_peer


@pytest.fixture(scope="session", params=["released", "small"])
def pair(request, official_peer) -> tuple[ODEFormer, Peer]:
    """Our model and the peer with the same perturbed weights, at two sizes."""
    sizes = {
        "released": ODEFormerConfig(),
        "small": ODEFormerConfig(
            **dict(encoder_width=24, encoder_layers=2, encoder_heads=3, decoder_width=40),
            **dict(decoder_layers=3, decoder_heads=5, embedding_width=8, precision=2),
        ),
    }
    config = sizes[request.param]
    peer = official_peer(config)
    ours = ODEFormer(config, torch.Generator().manual_seed(0)).eval()
    perturb(peer.modules, torch.Generator().manual_seed(1))
    ours.load_state_dict(peer.modules.state_dict())
    return ours, peer


@torch.no_grad()
def perturb(module: torch.nn.Module, generator: torch.Generator) -> None:
    """Move every weight; a LayerNorm left at the identity would hide a wrong one."""
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter += 0.3 * noise * parameter.shape[-1] ** (-0.5 if parameter.dim() > 1 else 0)
