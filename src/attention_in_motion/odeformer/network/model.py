"""ODEFormer: a post-LN Transformer that reads a trajectory and writes its equation.

Module names and tensor shapes are those of the official package, so its weights load as they are.
Every `nn.Identity` marks a tensor worth looking at: a forward hook there sees what the model uses.
Source: d'Ascoli et al., "ODEFormer" (2023), section 3, and package odeformer 0.1.7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, silu

from attention_in_motion.odeformer.language.tokens import Vocabulary

MAX_POSITIONS = 4096  # rows of the decoder's table of positions


@dataclass(frozen=True)
class ODEFormerConfig:
    """Every dimension of a model; the defaults are the released one's.

    `embedding_width` is the width per float word: a point enters as 3·(1 + max_dimension) of them.
    Raises ValueError for a size below 1 or heads that do not divide a width.
    """

    encoder_width: int = 256
    encoder_layers: int = 4
    encoder_heads: int = 16
    decoder_width: int = 512
    decoder_layers: int = 12
    decoder_heads: int = 16
    embedding_width: int = 64
    max_dimension: int = 6
    precision: int = 3

    def __post_init__(self) -> None:
        for name, size in vars(self).items():
            if size < 1:
                raise ValueError(f"{name} = {size}: must be at least 1")
        for part in ("encoder", "decoder"):
            width, heads = getattr(self, f"{part}_width"), getattr(self, f"{part}_heads")
            if width % heads:
                raise ValueError(f"{part}_heads = {heads}: must divide {part}_width = {width}")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words of points and targets."""
        return Vocabulary(self.max_dimension, self.precision)


def within(lengths: Tensor, size: int) -> Tensor:
    """True at the positions of each row that are below its length: (batch,) → (batch, size)."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def minus_infinity_unless(allowed: Tensor) -> Tensor:
    """0 where True, −∞ where False: added to scores, a mask that backpropagation skips for free."""
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill_(~allowed, -math.inf)


class MultiHeadAttention(nn.Module):
    """softmax(q kᵀ / √d_head + mask) v per head, then W_O: (batch, query, width) → same.

    Keys and values are read from `source` (batch, key, source_width); `mask`, 0 or −∞, broadcasts
    to (batch, head, query, key). Recorded: `weights` (batch, head, query, key) as used, `values`
    and `heads` = weights · values (batch, head, ·, d_head).
    """

    def __init__(self, heads: int, width: int, source_width: int) -> None:
        super().__init__()
        self.n_heads, self.scale = heads, math.sqrt(width // heads)
        self.q_lin, self.out_lin = nn.Linear(width, width), nn.Linear(width, width)
        self.k_lin, self.v_lin = nn.Linear(source_width, width), nn.Linear(source_width, width)
        self.weights, self.values, self.heads = nn.Identity(), nn.Identity(), nn.Identity()

    def split(self, x: Tensor) -> Tensor:
        """(batch, time, width) → (batch, head, time, d_head)."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (batch, head, time, d_head)

    def forward(self, x: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        q = self.split(self.q_lin(x) / self.scale)  # (batch, head, query, d_head)
        k = self.split(self.k_lin(source))  # (batch, head, key, d_head)
        v = self.values(self.split(self.v_lin(source)))  # (batch, head, key, d_head)
        scores = (q @ k.mT).add_(mask)  # (batch, head, query, key)
        weights = self.weights(scores.softmax(dim=-1))  # (batch, head, query, key)
        heads = self.heads(weights @ v)  # (batch, head, query, d_head)
        return self.out_lin(heads.transpose(1, 2).flatten(2))  # (batch, query, width)


class FeedForward(nn.Module):
    """W_2 silu(W_1 x), four times wider inside. Recorded: `hidden` and `output`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.hidden, self.output = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.lin2(self.hidden(silu(self.lin1(x)))))  # (batch, time, width)


class Norm(nn.LayerNorm):
    """LayerNorm with the stream recorded `before` and `after` it; `keep` zeroes rows of padding."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-12)
        self.before, self.after = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        y = super().forward(self.before(x))  # (batch, time, width)
        return self.after(y if keep is None else y * keep.to(y.dtype))  # (batch, time, width)


class Embedder(nn.Module):
    """A point's words, embedded and concatenated, through one hidden layer: one vector per point.

    (batch, n_points, words) ids → (batch, n_points, encoder_width), words = 3·(1 + max_dimension).
    """

    def __init__(self, config: ODEFormerConfig) -> None:
        super().__init__()
        size = 3 * (1 + config.max_dimension) * config.embedding_width
        vocabulary = config.vocabulary
        self.embeddings = nn.Embedding(
            len(vocabulary.float_words), config.embedding_width, vocabulary.float_pad
        )
        self.hidden_layers = nn.ModuleList([nn.Linear(size, size)])
        self.fc = nn.Linear(size, config.encoder_width)

    def forward(self, points: Tensor) -> Tensor:
        words = self.embeddings(points).flatten(2)  # (batch, n_points, words · embedding_width)
        return self.fc(silu(self.hidden_layers[0](words)))  # (batch, n_points, encoder_width)


class Encoder(nn.Module):
    """x ← LN(x + attention(x)), x ← LN(x + FFN(x)) per layer; no positions: order is in the times.

    (batch, n_points, width) embedded points → same; rows from n_points (batch,) on are zero.
    """

    def __init__(self, config: ODEFormerConfig) -> None:
        super().__init__()
        width, heads, layers = config.encoder_width, config.encoder_heads, config.encoder_layers
        self.layer_norm_emb = Norm(width)
        self.attentions = stack(layers, lambda: MultiHeadAttention(heads, width, width))
        self.layer_norm1 = stack(layers, lambda: Norm(width))
        self.ffns = stack(layers, lambda: FeedForward(width))
        self.layer_norm2 = stack(layers, lambda: Norm(width))

    def forward(self, points: Tensor, n_points: Tensor) -> Tensor:
        real = within(n_points, points.shape[1])  # (batch, n_points)
        mask = minus_infinity_unless(real)[:, None, None]  # (batch, 1, 1, n_points)
        x = self.layer_norm_emb(points, real[..., None])  # (batch, n_points, width)
        layers = zip(self.attentions, self.layer_norm1, self.ffns, self.layer_norm2, strict=True)
        for attention, norm1, ffn, norm2 in layers:
            x = norm1(x + attention(x, x, mask))  # (batch, n_points, width)
            x = norm2(x + ffn(x), real[..., None])  # (batch, n_points, width)
        return x


class Decoder(nn.Module):
    """Causal self-attention, attention over the encoded points, FFN per layer; all post-LN.

    tokens (batch, length), memory (batch, n_points, encoder_width) → hidden (batch, length, width);
    rows from n_tokens (batch,) on are zero, so that their logits are the bias of `proj`.
    """

    def __init__(self, config: ODEFormerConfig) -> None:
        super().__init__()
        width, heads, layers = config.decoder_width, config.decoder_heads, config.decoder_layers
        n_words = len(config.vocabulary.words)
        self.position_embeddings = nn.Embedding(MAX_POSITIONS, width)
        self.embeddings = nn.Embedding(n_words, width, padding_idx=config.vocabulary.pad)
        self.layer_norm_emb = Norm(width)
        self.attentions = stack(layers, lambda: MultiHeadAttention(heads, width, width))
        self.layer_norm1 = stack(layers, lambda: Norm(width))
        self.encoder_attn = stack(
            layers, lambda: MultiHeadAttention(heads, width, config.encoder_width)
        )
        self.layer_norm15 = stack(layers, lambda: Norm(width))
        self.ffns = stack(layers, lambda: FeedForward(width))
        self.layer_norm2 = stack(layers, lambda: Norm(width))
        self.proj = nn.Linear(width, n_words)
        self.proj.weight = self.embeddings.weight
        self.logits = nn.Identity()

    def forward(self, tokens: Tensor, n_tokens: Tensor, memory: Tensor, n_points: Tensor) -> Tensor:
        length = tokens.shape[1]
        keep = within(n_tokens, length)[..., None]  # (batch, length, 1)
        time = torch.arange(length, device=tokens.device)  # (length,)
        causal = minus_infinity_unless(time[:, None] >= time)  # (length, length)
        real = minus_infinity_unless(within(n_points, memory.shape[1]))[:, None, None]
        x = self.embeddings(tokens) + self.position_embeddings.weight[:length]
        x = self.layer_norm_emb(x, keep)  # (batch, length, width)
        for i, ffn in enumerate(self.ffns):
            x = self.layer_norm1[i](x + self.attentions[i](x, x, causal))
            x = self.layer_norm15[i](x + self.encoder_attn[i](x, memory, real))
            x = self.layer_norm2[i](x + ffn(x), keep)  # (batch, length, width)
        return x


class ODEFormer(nn.Module):
    """points (batch, n_points, words), tokens (batch, length) → logits (batch, length, n_words).

    logits[:, i] score token i + 1 given the trajectory and tokens 0…i. n_points and n_tokens
    (batch,) are the unpadded lengths. Weights are drawn from `generator`: embeddings N(0, 1/width)
    with zero rows for padding, every Linear U(±1/√fan_in), LayerNorms the identity.
    """

    def __init__(self, config: ODEFormerConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.embedder = Embedder(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.initialise(generator)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight from the generator; see the class."""
        for module in self.modules():
            if isinstance(module, nn.Linear) and module is not self.decoder.proj:
                bound = module.in_features**-0.5
                module.weight.uniform_(-bound, bound, generator=generator)
                module.bias.uniform_(-bound, bound, generator=generator)
            if isinstance(module, nn.Embedding):
                module.weight.normal_(0, module.embedding_dim**-0.5, generator=generator)
                if module.padding_idx is not None:
                    module.weight[module.padding_idx] = 0
        bound = self.config.decoder_width**-0.5
        self.decoder.proj.bias.uniform_(-bound, bound, generator=generator)

    def encode(self, points: Tensor, n_points: Tensor) -> Tensor:
        """The memory the decoder attends to: (batch, n_points, encoder_width)."""
        return self.encoder(self.embedder(points), n_points)

    def forward(self, points: Tensor, n_points: Tensor, tokens: Tensor, n_tokens: Tensor) -> Tensor:
        hidden = self.decoder(tokens, n_tokens, self.encode(points, n_points), n_points)
        return self.decoder.logits(self.decoder.proj(hidden))  # (batch, length, n_words)

    def loss(self, points: Tensor, n_points: Tensor, tokens: Tensor, n_tokens: Tensor) -> Tensor:
        """Mean cross-entropy in nats per target token, the final <EOS> included: a scalar.

        The logits of padding are never computed.
        """
        inputs, targets = tokens[:, :-1], tokens[:, 1:]  # (batch, length − 1) each
        hidden = self.decoder(inputs, n_tokens - 1, self.encode(points, n_points), n_points)
        real = within(n_tokens - 1, inputs.shape[1])  # (batch, length − 1)
        return cross_entropy(self.decoder.proj(hidden[real]), targets[real])


@torch.no_grad()
def order_numbers(model: ODEFormer) -> None:
    """Start the number words in order: close mantissas and close exponents get close embeddings.

    Number i of n starts as √2 (sin, cos)(2π i/λ) with wavelengths λ geometric from 4 to 2n, at the
    usual scale 1/√width in the decoder. In the embedder every word starts at scale 1, so that its
    hidden layer is not linear at first. The published model starts from random rows and learns the
    order from tens of millions of examples.
    """
    vocabulary, decoder = model.config.vocabulary, model.decoder.embeddings
    model.embedder.embeddings.weight *= model.config.embedding_width**0.5
    for float_ids in (vocabulary.mantissa_ids, vocabulary.exponent_ids):
        ids, n = torch.from_numpy(float_ids), len(float_ids)
        model.embedder.embeddings.weight[ids] = sinusoids(n, model.config.embedding_width)
        rows = sinusoids(n, model.config.decoder_width) * model.config.decoder_width**-0.5
        decoder.weight[ids + vocabulary.float_offset] = rows  # (n, decoder_width)


def sinusoids(n: int, width: int) -> Tensor:
    """√2 (sin, cos)(2π i/λ) for i = 0…n−1 and λ geometric from 4 to 2n: (n, width)."""
    wavelengths = torch.logspace(math.log10(4), math.log10(2 * n), (width + 1) // 2)  # (waves,)
    angles = 2 * math.pi * torch.arange(n)[:, None] / wavelengths  # (n, waves)
    return math.sqrt(2) * torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]  # (n, width)


def stack(layers: int, build: Callable[[], nn.Module]) -> nn.ModuleList:
    """So many layers, each built anew."""
    return nn.ModuleList([build() for _ in range(layers)])
