"""Writing equations: the likeliest words, samples, or a beam search, one token per step.

The encoder runs once per input, and the decoder reads through a `Cache` with one row for each
different beginning: samples of one input that agree so far share their row, and a row leaves when
its samples have ended. Source: d'Ascoli et al., "ODEFormer" (2023), section 3.4, and package
odeformer 0.1.7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attention_in_motion.odeformer.network.cache import Cache
from attention_in_motion.odeformer.network.model import MAX_POSITIONS, ODEFormer

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
    """A `Choose`: the word with the largest probability."""
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
    """The tokens before the first `end`, or all of them."""
    return tokens[: tokens.index(end)] if end in tokens else tokens


def check_sampling(n_samples: int, temperature: float) -> None:
    """Raises ValueError for n_samples below 1 or a temperature that is not positive."""
    if n_samples < 1:
        raise ValueError(f"n_samples = {n_samples}: must be at least 1")
    if not temperature > 0:
        raise ValueError(f"temperature = {temperature}: must be positive")


def check_max_tokens(max_tokens: int) -> None:
    """Raises ValueError for max_tokens out of [1, 4096]."""
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
