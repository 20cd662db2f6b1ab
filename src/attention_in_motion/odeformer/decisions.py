"""At which layer of the decoder words are decided: what both lenses say, over many systems.

The decoder reads the right answer; its stream after each layer is read by the logit lens and by a
tuned lens, which is fitted on the even systems. All scores are those of the odd ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from attention_in_motion.measures import lens
from attention_in_motion.models.activations import record
from attention_in_motion.odeformer.inside import as_batch, looks
from attention_in_motion.odeformer.language.tokens import KINDS, Vocabulary
from attention_in_motion.odeformer.network.model import ODEFormer, within
from attention_in_motion.odeformer.systems.trajectories import Sample
from attention_in_motion.odeformer.tables import Row

NUMBERS = ("sign", "mantissa", "exponent")  # the words of a constant
OF_THE_POST = 12  # decoder layers
AT_ONCE = 64  # systems of a pass: its attention is recorded, too


def at_depth(layer: int, n_layers: int) -> int:
    """The post's decoder layer in a model of n_layers: that of the same relative depth."""
    return min(round(layer * n_layers / OF_THE_POST), n_layers - 1)


class Words(NamedTuple):
    """The decoder's streams at every word of some systems, with what is read and what is right."""

    streams: list[Tensor]  # by layer, (words, width)
    read: Tensor  # (words,) ids
    right: Tensor  # (words,)
    position: Tensor  # (words,) 0 for the first word of an answer
    system: Tensor  # (words,)

    def part(self, rows: Tensor) -> Words:
        """Some of the words: rows (words,) true or false."""
        streams = [stream[rows] for stream in self.streams]
        return Words(streams, *(one[rows] for one in self[1:]))


@torch.no_grad()
def words_of(model: ODEFormer, samples: Sequence[Sample]) -> Words:
    """What the decoder holds while it reads the right answers, padding left out."""
    starts = range(0, len(samples), AT_ONCE)
    parts = [words_at_once(model, samples[i : i + AT_ONCE], i) for i in starts]
    streams, *rest = zip(*parts, strict=True)
    by_layer = [torch.cat(layer) for layer in zip(*streams, strict=True)]
    return Words(by_layer, *map(torch.cat, rest))


def words_at_once(model: ODEFormer, samples: Sequence[Sample], first: int) -> Words:
    """`words_of` in one pass, whose systems are counted from `first`."""
    batch = as_batch(model, samples)
    tokens, n_tokens = batch["tokens"], batch["n_tokens"] - 1
    memory = model.encode(batch["points"], batch["n_points"])
    seen = record(model.decoder, tokens[:, :-1], n_tokens, memory, batch["n_points"])
    real = within(n_tokens, tokens.shape[1] - 1)  # (batch, length)
    system, position = real.nonzero().T
    streams = [seen[f"layer_norm2.{i}.after"][real] for i in range(len(model.decoder.ffns))]
    return Words(streams, tokens[:, :-1][real], tokens[:, 1:][real], position, system + first)


Carry = Callable[[Tensor], Tensor]


def carries(words: Words) -> dict[str, list[Carry]]:
    """{"logit": the identity, "tuned": an affine map} by layer, fitted to these words."""
    end = words.streams[-1]
    fitted = [lens.tuned(stream, end) for stream in words.streams]
    return {"logit": [lambda h: h for _ in fitted], "tuned": list(fitted)}


@torch.no_grad()
def readings(model: ODEFormer, words: Words, carry: Sequence[Carry]) -> lens.Reading:
    """What a lens says of the words at every layer: fields (layer, words)."""
    W_U, bias = model.decoder.proj.weight, model.decoder.proj.bias
    by_layer = []
    for stream, carried in zip(words.streams, carry, strict=True):
        log_p = lens.log_probabilities(carried(stream), W_U, bias)
        by_layer.append(lens.read(log_p, words.right))
    return lens.Reading(*map(torch.stack, zip(*by_layer, strict=True)))


def lens_scores(model: ODEFormer, samples: Sequence[Sample]) -> Row:
    """{"logit", "tuned": scores by layer} of the odd systems; see `scores`."""
    words = words_of(model, samples)
    even = words.system % 2 == 0
    maps, scored = carries(words.part(even)), words.part(~even)
    vocabulary = model.config.vocabulary
    return {
        name: scores(vocabulary, scored, readings(model, scored, carry))
        for name, carry in maps.items()
    }


def scores(vocabulary: Vocabulary, words: Words, said: lens.Reading) -> Row:
    """By kind of the right word, of all words and of those that are no number, by layer.

    "agrees": the share whose likeliest word is that of the end; "certainty": its mean probability;
    "nats": of the right word; "decided": the share of words decided at each layer; "repeats": the
    share that says the word just read, after a constant and otherwise.
    """
    every = torch.zeros_like(words.right)
    kinds = torch.from_numpy(vocabulary.kinds)[words.right]
    layers = torch.arange(len(said.word))[:, None]
    of = {
        "agrees": said.word == said.word[-1],
        "certainty": said.certainty,
        "nats": said.nats,
        "decided": lens.decided_at(said.word) == layers,
    }
    inside = torch.isin(kinds, torch.tensor([KINDS.index(kind) for kind in NUMBERS])).long()
    found: Row = {
        name: lens.share_by_kind(values, every, ["all"])
        | lens.share_by_kind(values, inside, ["no number"])
        | lens.share_by_kind(values, kinds, KINDS)
        for name, values in of.items()
    }
    return found | {"repeats": repeats(vocabulary, words, said.word)}


def repeats(vocabulary: Vocabulary, words: Words, said: Tensor) -> dict[str, list[float]]:
    """Share of words (layer, words) that are those just read, by what was read; no first words.

    After a constant means after its exponent; otherwise, after a word that is no part of one.
    """
    read = torch.from_numpy(vocabulary.kinds)[words.read]
    inside = torch.tensor([KINDS.index(kind) for kind in NUMBERS])
    after = read == KINDS.index("exponent")
    otherwise = ~torch.isin(read, inside)
    group = torch.where(after, 0, torch.where(otherwise, 1, 2))
    group = torch.where(words.position == 0, 2, group)
    return lens.share_by_kind(said == words.read, group, ["after a constant", "otherwise"])


class Chart(NamedTuple):
    """What the logit lens says while an answer is written, the likeliest words first."""

    written: list[str]
    words: list[list[list[str]]]  # by layer, position, rank
    p: Tensor  # (layer, position, rank)
    own: Tensor  # probability of the written word: (layer, position)


@torch.no_grad()
def chart(model: ODEFormer, times: ArrayLike, trajectory: ArrayLike, ranks: int = 5) -> Chart:
    """The post's token chart for a trajectory, times (n,) and (n, dimension), in any units."""
    written, seen = looks(model, times, trajectory)
    written, vocabulary = [*written, "<EOS>"], model.config.vocabulary
    layers = range(len(model.decoder.ffns))
    streams = torch.stack([seen[f"decoder.layer_norm2.{i}.after"][0] for i in layers])
    log_p = lens.log_probabilities(streams, model.decoder.proj.weight, model.decoder.proj.bias)
    most = log_p.topk(ranks)  # (layer, position, rank)
    ids = torch.tensor([vocabulary.ids[word] for word in written])
    own = log_p.gather(2, ids.expand(len(layers), -1)[..., None])[..., 0]
    words = [[[vocabulary.words[k] for k in best] for best in row] for row in most.indices.tolist()]
    return Chart(written, words, most.values.exp(), own.exp())
