"""Writing equations: the likeliest words, samples, or a beam search, one token per step.

The encoder runs once per input. The decoder keeps the keys and values of what it has read, and one
row for each different beginning: samples of one input that agree so far share their row, and a row
leaves when its samples have ended. Hooks on the recorded tensors of the decoder see every step, but
for `values`; interventions on them count. Source: d'Ascoli et al., "ODEFormer" (2023), section 3.4,
and package odeformer 0.1.7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attention_in_motion.odeformer.network.model import (
    MAX_POSITIONS,
    Decoder,
    MultiHeadAttention,
    ODEFormer,
    minus_infinity_unless,
    within,
)

FIRST_CAPACITY = 32  # tokens that a cache has room for before it grows

Choose = Callable[[Tensor, Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class Decoded:
    """Tokens without the <EOS> at either end, and the natural log of the sequence's probability.

    The final <EOS> counts in `log_probability`, which is the model's own whatever the temperature
    it was sampled at. A sequence cut off unfinished has exactly max_tokens tokens.
    """

    tokens: list[int]
    log_probability: float


def greedy(
    model: ODEFormer, points: Tensor, n_points: Tensor, max_tokens: int = 200
) -> list[list[int]]:
    """The likeliest next token, again and again: one token list per row of `points`.

    points (batch, n_points, words) ids as `Vocabulary.encode_points` gives, n_points (batch,) the
    unpadded lengths. Neither the <EOS> in front nor the final one is in a list; the final one
    counts towards max_tokens, so a list of max_tokens tokens was cut off. Raises ValueError for
    max_tokens out of [1, 4096].
    """
    check_max_tokens(max_tokens)
    rows = generate(model, points, n_points, 1, likeliest, max_tokens)
    return [decoded.tokens for (decoded,) in rows]


def likeliest(log_p: Tensor, row: Tensor, live: Tensor, step: int) -> Tensor:
    return log_p.argmax(-1)[row]  # (live,)


def sample(
    model: ODEFormer,
    points: Tensor,
    n_points: Tensor,
    n_samples: int,
    temperature: float,
    generator: torch.Generator,
    max_tokens: int = 200,
) -> list[list[Decoded]]:
    """n_samples sequences per row of `points`, each token from softmax(logits / temperature).

    Arguments as in `greedy`. Every token of every sample has its own uniform number, drawn before
    the first step, so no sample depends on when others end. Raises ValueError for n_samples below
    1, a temperature that is not positive, or max_tokens out of [1, 4096].
    """
    check_sampling(n_samples, temperature)
    check_max_tokens(max_tokens)
    shape = (max_tokens, len(points) * n_samples)
    draws = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    draws = draws.to(points.device)  # (step, samples)

    def drawn(log_p: Tensor, row: Tensor, live: Tensor, step: int) -> Tensor:
        total = (log_p / temperature).softmax(-1).double().cumsum(-1)[row]  # (live, n_words)
        end = total[:, -1:]  # (live, 1), 1 up to rounding
        aim = torch.minimum(draws[step, live, None] * end, end.nextafter(torch.zeros_like(end)))
        return torch.searchsorted(total, aim, right=True)[:, 0]  # (live,)

    return generate(model, points, n_points, n_samples, drawn, max_tokens)


@torch.no_grad()
def generate(
    model: ODEFormer,
    points: Tensor,
    n_points: Tensor,
    n_samples: int,
    choose: Choose,
    max_tokens: int,
) -> list[list[Decoded]]:
    """n_samples sequences per input, the next tokens from choose(log_p, row, live, step).

    log_p (rows, n_words) are the log-probabilities after each different beginning, row (live,)
    says which of them belongs to each unfinished sample, live (live,) which samples these are.
    """
    cache, eos = Cache(model, points, n_points), model.config.vocabulary.eos
    n = len(points) * n_samples
    live = torch.arange(n, device=points.device)  # (live,) samples that have not ended
    row = live // n_samples  # (live,) the cache's row of each
    tokens = torch.full((n, max_tokens), eos, device=points.device)  # (n, max_tokens)
    totals = torch.zeros(n, dtype=torch.float64, device=points.device)  # (n,)
    last = torch.full((len(points),), eos, device=points.device)  # (rows,)
    for step in range(max_tokens):
        log_p = cache.step(last).log_softmax(-1)  # (rows, n_words)
        chosen = choose(log_p, row, live, step)  # (live,)
        tokens[live, step] = chosen
        totals[live] += log_p[row, chosen].double()
        going = chosen != eos
        if not going.any():
            break
        beginnings = (row * log_p.shape[1] + chosen)[going]  # (live,)
        beginnings, row = beginnings.unique(return_inverse=True)  # (rows,), (live,)
        live, last = live[going], beginnings % log_p.shape[1]
        cache.keep(beginnings // log_p.shape[1])
    texts = zip(tokens.tolist(), totals.tolist(), strict=True)
    decoded = [Decoded(until(eos, text), total) for text, total in texts]
    return [decoded[i : i + n_samples] for i in range(0, n, n_samples)]


def until(end: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens


def check_sampling(n_samples: int, temperature: float) -> None:
    if n_samples < 1:
        raise ValueError(f"n_samples = {n_samples}: must be at least 1")
    if not temperature > 0:
        raise ValueError(f"temperature = {temperature}: must be positive")


def check_max_tokens(max_tokens: int) -> None:
    if not 1 <= max_tokens <= MAX_POSITIONS:
        raise ValueError(f"max_tokens = {max_tokens}: must be from 1 to {MAX_POSITIONS}")


def beam(
    model: ODEFormer,
    points: Tensor,
    n_points: Tensor,
    width: int,
    length_penalty: float = 1.0,
    max_tokens: int = 200,
) -> list[list[Decoded]]:
    """Beam search: for each row of `points` at most `width` finished sequences, best first.

    The score of a sequence is Σ log p / length^length_penalty, over its tokens and the final <EOS>,
    which counts in the length. At each step every beginning is continued by every word; the
    `width` likeliest unfinished ones go on, and an <EOS> counts where it ranks among them. The
    search ends when no unfinished one can overtake the `width` best finished, or at max_tokens;
    what is unfinished then is dropped. A `width` as large as the number of sequences is an
    exhaustive search. Raises ValueError for width below 1, a negative length_penalty or max_tokens
    out of [1, 4096].
    """
    if width < 1:
        raise ValueError(f"width = {width}: must be at least 1")
    if not length_penalty >= 0:
        raise ValueError(f"length_penalty = {length_penalty}: must not be negative")
    check_max_tokens(max_tokens)
    eos, inputs = model.config.vocabulary.eos, zip(points.split(1), n_points.split(1), strict=True)
    return [search(Cache(model, *one), eos, width, length_penalty, max_tokens) for one in inputs]


@torch.no_grad()
def search(
    cache: Cache, eos: int, width: int, length_penalty: float, max_tokens: int
) -> list[Decoded]:
    """The beam search of one input."""
    last = torch.full_like(cache.of_row, eos)  # (live,)
    beginnings = last[:, None][:, :0]  # (live, length) tokens so far
    scores = torch.zeros_like(last, dtype=torch.float64)  # (live,) Σ log p
    finished: list[tuple[float, Decoded]] = []
    for length in range(1, max_tokens + 1):
        totals = scores[:, None] + cache.step(last).log_softmax(-1)  # (live, n_words)
        ended = totals[:, eos].clone()  # (live,)
        totals[:, eos] = -torch.inf
        n_unfinished = totals.numel() - len(totals)
        scores, best = totals.flatten().topk(min(width, n_unfinished))  # (live,)
        counts = ended >= (scores[-1] if len(scores) == width else -torch.inf)  # (live,)
        for i in counts.nonzero()[:, 0].tolist():
            decoded = Decoded(beginnings[i].tolist(), float(ended[i]))
            finished.append((decoded.log_probability / length**length_penalty, decoded))
        finished = sorted(finished, key=lambda pair: -pair[0])[:width]
        bound = float(scores[0]) / max_tokens**length_penalty
        if len(finished) == width and finished[-1][0] >= bound:
            break
        parents, last = best // totals.shape[1], best % totals.shape[1]  # (live,) each
        beginnings = torch.cat([beginnings[parents], last[:, None]], dim=1)
        cache.keep(parents)
    return [decoded for _, decoded in finished]


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
        self.read = list(zip(keys, values, strict=True))  # (inputs, head, n_points, d_head) each
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
            x = decoder.layer_norm15[i](x + self.attend_to_read(i, x))  # (rows, 1, width)
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

    def attend_to_read(self, layer: int, x: Tensor) -> Tensor:
        """Attention to the encoded points, the rows of an input being queries of one matrix."""
        attention, place = self.decoder.encoder_attn[layer], (self.of_row, self.rank)
        queries = x.new_zeros(len(self.mask), self.most, x.shape[2])  # (inputs, most, width)
        queries[place] = attention.q_lin(x)[:, 0]
        together = heads(attention, queries, *self.read[layer], self.mask)  # (inputs, most, width)
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
            self.read = [(keys[inputs], values[inputs]) for keys, values in self.read]
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
