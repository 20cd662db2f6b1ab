"""Looking inside an ODEFormer while it works, and what a change there costs its answer.

Changes are those of `measures.patching`, on the encoder: both costs are measured within
`patched(model, changes)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from attention_in_motion.measures.patching import Change, patched
from attention_in_motion.models.activations import record
from attention_in_motion.odeformer.measurements import MOST_POINTS
from attention_in_motion.odeformer.network.decode import generate, greedy, likeliest
from attention_in_motion.odeformer.network.model import ODEFormer, within
from attention_in_motion.odeformer.recognise import MAX_TOKENS, distinct, rank
from attention_in_motion.odeformer.stream import Batch, collate
from attention_in_motion.odeformer.systems.scale import Scale
from attention_in_motion.odeformer.systems.trajectories import Sample


@torch.no_grad()
def looks(
    model: ODEFormer, times: ArrayLike, trajectory: ArrayLike
) -> tuple[list[str], dict[str, Tensor]]:
    """The words of the greedy answer, and every recorded activation of a pass that writes them.

    times (n,), trajectory (n, dimension) in any units. The decoder reads <EOS> and the words, so
    row i of its activations is where word i is chosen: "decoder.encoder_attn.3.weights" (1, head,
    words + 1, point), for example, says what its fourth layer looks at. Raises ValueError for more
    than `MOST_POINTS` points.
    """
    times, trajectory = np.asarray(times, dtype=float), np.asarray(trajectory, dtype=float)
    if len(times) > MOST_POINTS:
        raise ValueError(f"times has {len(times)} points: the model reads up to {MOST_POINTS}")
    vocabulary = model.config.vocabulary
    ids = vocabulary.encode_points(*Scale.of(times, trajectory).apply(times, trajectory))
    points, n_points = torch.from_numpy(ids)[None], torch.tensor([len(ids)])
    [written] = greedy(model, points, n_points, MAX_TOKENS)
    tokens = torch.tensor([[vocabulary.eos, *written]])  # (1, words + 1)
    seen = record(model, points, n_points, tokens, torch.tensor([tokens.shape[1]]))
    return [vocabulary.words[i] for i in written], seen


def encode(model: ODEFormer, samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """Ids (batch, n_points, words) and n_points (batch,) of samples of one length, scaled already.

    Raises ValueError for samples of different lengths or of more than `MOST_POINTS` points, more
    dimensions than the model reads, or values that are not finite.
    """
    if len(lengths := {len(sample.times) for sample in samples}) != 1:
        raise ValueError(f"samples: must be of one length, are {sorted(lengths)} points long")
    if max(lengths) > MOST_POINTS:
        raise ValueError(f"samples have {max(lengths)} points: the model reads up to {MOST_POINTS}")
    most, found = model.config.max_dimension, max(s.values.shape[1] for s in samples)
    if found > most:
        raise ValueError(f"samples have {found} dimensions: the model reads 1 to {most}")
    if not all(np.isfinite(sample.values).all() for sample in samples):
        raise ValueError("samples: every value must be finite, one is not")
    ids = [model.config.vocabulary.encode_points(s.times, s.values) for s in samples]
    return torch.from_numpy(np.stack(ids)), torch.full((len(ids),), lengths.pop())


@torch.no_grad()
def encoder_activations(model: ODEFormer, samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Every recorded activation of the encoder: "attentions.2.weights" (batch, head, n, n), …

    Raises ValueError as `encode` does.
    """
    points, n_points = encode(model, samples)
    return record(model.encoder, model.embedder(points), n_points)


def answer_log_p(
    model: ODEFormer, embedded: Tensor, n_points: Tensor, tokens: Tensor, n_tokens: Tensor
) -> Tensor:
    """log p of the right next token, mean over the tokens of each system: (batch,).

    embedded (batch, n_points, width) are points as `model.embedder` gives them; the others are
    those of a batch of `stream`.
    """
    memory, n_tokens = model.encoder(embedded, n_points), n_tokens - 1
    hidden = model.decoder(tokens[:, :-1], n_tokens, memory, n_points)
    logits = model.decoder.logits(model.decoder.proj(hidden))  # (batch, length − 1, words)
    log_p = logits.log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]  # (batch, length − 1)
    return (log_p * within(n_tokens, log_p.shape[1])).sum(1) / n_tokens


@torch.no_grad()
def nats(model: ODEFormer, batch: Batch) -> Tensor:
    """−log p of the right next token, mean over the tokens of each system: (batch,).

    `batch` is a batch of `stream`: points, n_points, tokens, n_tokens.
    """
    given = (batch[name] for name in ("n_points", "tokens", "n_tokens"))
    return -answer_log_p(model, model.embedder(batch["points"]), *given)


def greedy_r2(model: ODEFormer, samples: Sequence[Sample], max_tokens: int = 64) -> Tensor:
    """R² of each sample's greedy answer, integrated from the first point: (batch,).

    0 where it is below, where nothing readable comes to its end or it cannot be integrated. Raises
    ValueError as `encode` does.
    """
    written = generate(model, *encode(model, samples), 1, likeliest, max_tokens)
    found = []
    for sample, answers in zip(samples, written, strict=True):
        ended = [answer for answer in answers if len(answer.tokens) < max_tokens]
        scale = Scale.of(sample.times, sample.values)
        systems = distinct(model.config.vocabulary, ended, sample.values.shape[1], scale)
        candidates = rank(systems, sample.times, sample.values)
        r2 = candidates[0].r2 if candidates else math.nan
        found.append(0.0 if math.isnan(r2) else max(r2, 0.0))
    return torch.tensor(found)


class Trial:
    """One model with samples whose right answers it is asked for, whole and patched."""

    def __init__(self, model: ODEFormer, samples: Sequence[Sample], n_decoded: int) -> None:
        self.model, self.decoded = model, list(samples[:n_decoded])
        self.batch = as_batch(model, samples)
        self.plain = nats(model, self.batch)  # (systems,)
        self.r2 = float(greedy_r2(model, self.decoded).mean())

    def cost(self, changes: Mapping[str, Change]) -> float:
        """Nats a token more than without the changes, mean over systems."""
        with patched(self.model, changes):
            return float((nats(self.model, self.batch) - self.plain).mean())

    def r2_with(self, changes: Mapping[str, Change]) -> float:
        """Mean R² of greedy answers, none below 0."""
        with patched(self.model, changes):
            return float(greedy_r2(self.model, self.decoded).mean())


def as_batch(model: ODEFormer, samples: Sequence[Sample]) -> Batch:
    """The samples as one batch of ids."""
    arrays = collate(model.config.vocabulary, list(samples))
    return {name: torch.from_numpy(ids).long() for name, ids in arrays.items()}
