"""The decoder one token at a time, keeping the keys and values of what it has read.

Hooks on the recorded tensors of the decoder see every step, but for `values`; interventions on
them count.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attention_in_motion.odeformer.network.model import (
    Decoder,
    MultiHeadAttention,
    ODEFormer,
    minus_infinity_unless,
    within,
)

FIRST_CAPACITY = 32  # tokens that a cache has room for before it grows


class Cache:
    """The decoder one token at a time: keys and values of what each row has read are kept.

    It starts with one row per input. `step` reads one token per row, `keep` replaces the rows by
    copies of some of them. Row i has its keys and values in slot[i]; the slots in use are always
    the first, and a row that goes on stays in its own, so that when samples end only the few that
    fill the gaps are copied. Keys and values of the encoded points exist once per input: the
    queries of its rows are brought together. Logits are those of the model's forward pass. The
    decoder's weights are laid out anew in memory, in place (see `by_columns`).
    """

    @torch.no_grad()
    def __init__(self, model: ODEFormer, points: Tensor, n_points: Tensor) -> None:
        self.decoder = by_columns(model.decoder)
        memory = model.encode(points, n_points)  # (inputs, n_points, width)
        attentions = self.decoder.encoder_attn
        keys = [attention.split(attention.k_lin(memory)) for attention in attentions]
        values = [attention.split(attention.v_lin(memory)) for attention in attentions]
        self.encoded = list(zip(keys, values, strict=True))  # (inputs, head, n_points, d_head) each
        self.mask = minus_infinity_unless(within(n_points, points.shape[1]))[:, None, None]
        self.slot = torch.arange(len(points), device=points.device)  # (rows,)
        self.assign(self.slot)
        _, heads, _, d_head = keys[0].shape
        # (layer, key or value, slot, head, capacity, d_head)
        shape = (len(keys), 2, len(points), heads, FIRST_CAPACITY, d_head)
        self.written = memory.new_empty(shape)
        self.length = 0  # tokens read

    @torch.no_grad()
    def step(self, tokens: Tensor) -> Tensor:
        """Logits (rows, n_words) of the next token, after reading one more: tokens (rows,)."""
        if self.length == self.written.shape[4]:
            self.written = torch.cat([self.written, torch.empty_like(self.written)], dim=4)
        decoder = self.decoder
        x = decoder.embeddings(tokens) + decoder.position_embeddings.weight[self.length]
        x = decoder.layer_norm_emb(x[:, None])  # (rows, 1, width)
        self.length += 1
        for i, ffn in enumerate(decoder.ffns):
            x = decoder.layer_norm1[i](x + self.attend_to_written(i, x))  # (rows, 1, width)
            x = decoder.layer_norm15[i](x + self.attend_to_points(i, x))  # (rows, 1, width)
            x = decoder.layer_norm2[i](x + ffn(x))  # (rows, 1, width)
        return decoder.logits(decoder.proj(x))[:, 0]  # (rows, n_words)

    def attend_to_written(self, layer: int, x: Tensor) -> Tensor:
        """Self-attention of the newest token, whose key and value are stored first.

        Within it the rows stand in the order of their slots.
        """
        attention, last = self.decoder.attentions[layer], self.length - 1
        x = x[self.row_in_slot]  # (rows, 1, width)
        used = self.written[layer, :, : len(x), :, : self.length]
        used[0, :, :, last] = attention.split(attention.k_lin(x))[:, :, 0]
        used[1, :, :, last] = attention.split(attention.v_lin(x))[:, :, 0]
        keys, values = used  # (rows, head, time, d_head) each
        return attention.out_lin(heads(attention, attention.q_lin(x), keys, values))[self.slot]

    def attend_to_points(self, layer: int, x: Tensor) -> Tensor:
        """Attention to the encoded points, the rows of an input being queries of one matrix."""
        attention, place = self.decoder.encoder_attn[layer], (self.of_row, self.rank)
        queries = x.new_zeros(len(self.mask), self.most, x.shape[2])  # (inputs, most, width)
        queries[place] = attention.q_lin(x)[:, 0]
        together = heads(
            attention, queries, *self.encoded[layer], self.mask
        )  # (inputs, most, width)
        return attention.out_lin(together[place][:, None])  # (rows, 1, width)

    def assign(self, of_row: Tensor) -> None:
        """Say which input each row belongs to, rising; `rank` counts the rows of one input."""
        self.of_row = of_row  # (rows,)
        first = torch.searchsorted(of_row, of_row)  # (rows,)
        self.rank = torch.arange(len(of_row), device=of_row.device) - first  # (rows,)
        self.most = int(self.rank.max()) + 1
        self.row_in_slot = self.slot.argsort()  # (rows,)

    def keep(self, parents: Tensor) -> None:
        """Row i becomes a copy of row parents[i]; the inputs of the rows must rise, as before.

        An input that has no row left is forgotten.
        """
        self.slot = self.settle(self.slot[parents])
        inputs, of_row = self.of_row[parents].unique(return_inverse=True)
        self.assign(of_row)
        if len(inputs) < len(self.mask):
            self.encoded = [(keys[inputs], values[inputs]) for keys, values in self.encoded]
            self.mask = self.mask[inputs]

    def settle(self, source: Tensor) -> Tensor:
        """Put copies of the slots `source` (rows,) into the first slots; says which, (rows,).

        The first copy of a slot stays where it is, unless that is beyond the last row. So a slot
        that is free to be written to is the source of none.
        """
        n, capacity = len(source), self.written.shape[2]
        if n > capacity:
            more = self.written[:, :, :1].expand(-1, -1, n - capacity, -1, -1, -1)
            self.written = torch.cat([self.written, more], dim=2)
        sorted_source, order = source.sort(stable=True)
        first = torch.ones_like(source, dtype=torch.bool)  # (rows,)
        first[order[1:]] = sorted_source[1:] != sorted_source[:-1]
        moves = ~first | (source >= n)  # (rows,)
        free = torch.ones_like(moves)  # (rows,), now of slots
        free[source[~moves]] = False
        slot = source.masked_scatter(moves, free.nonzero()[:, 0])
        copies = self.written[:, :, source[moves], :, : self.length]
        self.written[:, :, slot[moves], :, : self.length] = copies
        return slot


def by_columns(decoder: Decoder) -> Decoder:
    """Lay the weights of every nn.Linear out column by column in memory, in place, once.

    The numbers, names and shapes stay; x Wᵀ for a few rows of x takes a third less time on a CPU.
    """
    for module in decoder.modules():
        if isinstance(module, nn.Linear) and module.weight.is_contiguous():
            module.weight.data = module.weight.data.mT.contiguous().mT
    return decoder


def heads(
    attention: MultiHeadAttention,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | float = 0.0,
) -> Tensor:
    """softmax(q kᵀ / √d_head + mask) v, the heads side by side: (batch, query, width).

    queries (batch, query, width); keys and values (batch, head, key, d_head).
    """
    q = attention.split(queries / attention.scale)  # (batch, head, query, d_head)
    weights = attention.weights((q @ keys.mT + mask).softmax(dim=-1))  # (batch, head, query, key)
    return attention.heads(weights @ values).transpose(1, 2).flatten(2)
