"""The sign of x' = ±k x: at which layer it is decided, and what carries it there.

Falling and rising exponentials of one rate are pairs; both have the answer `mul ± N E x_0`, whose
sign is chosen where `mul` is read. What is measured is the gap: by how much more the logit of −
exceeds that of + for the falling one, mean over pairs. What is best is chosen on even pairs and
scored on odd ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from attention_in_motion.measures import attention_maps as maps
from attention_in_motion.measures.lens import decided_at
from attention_in_motion.measures.patching import (
    Change,
    directions_at_mean,
    heads_at_mean,
    patched,
    taken_from,
)
from attention_in_motion.models.activations import record
from attention_in_motion.odeformer.decisions import at_depth
from attention_in_motion.odeformer.inside import as_batch
from attention_in_motion.odeformer.network.cache import Cache
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.slopes import CHOSEN, SCORED
from attention_in_motion.odeformer.systems.families import log_uniform
from attention_in_motion.odeformer.systems.sigmoids import times
from attention_in_motion.odeformer.systems.trajectories import Sample
from attention_in_motion.odeformer.tables import Row

RATES = (0.05, 0.5)  # e^(0.5 · 9) = 90, within the bound of training
AT = 1  # the decoder has read <EOS> and mul
PLUS_LAYER, MINUS_LAYER = 6, 8  # of the post: where + stands, and where − has replaced it
GROUP = 4  # heads that are taken away together


def exponentials(rng: np.random.Generator, n: int, n_points: int) -> list[Sample]:
    """n falling exponentials e^(−k (t − 1)), then the n rising ones of the same rates.

    k is log-uniform in [0.05, 0.5].
    """
    rates, t = log_uniform(rng, *RATES, n), times(n_points)
    return [
        Sample([["mul", float(k), "x_0"]], t, np.exp(k * (t - 1))[:, None], "exponential")
        for k in (*-rates, *rates)
    ]


class LastWord(nn.Module):
    """The decoder at one word, again and again; what it has read before is kept in a cache.

    Its recorded activations have that one position: () → logits (rows, words).
    """

    def __init__(self, cache: Cache, tokens: Tensor) -> None:
        super().__init__()
        self.decoder, self.cache, self.tokens = cache.decoder, cache, tokens

    def forward(self) -> Tensor:
        logits = self.cache.step(self.tokens)
        self.cache.length -= 1  # the next step writes over this one
        return logits


class Signs:
    """A model that has read pairs of exponentials, up to the sign: first all falling ones.

    `seen` are the decoder's activations where the sign is chosen, with that one position. Raises
    ValueError for an odd number of samples, or answers whose second word is no sign.
    """

    @torch.no_grad()
    def __init__(self, model: ODEFormer, samples: Sequence[Sample]) -> None:
        if len(samples) % 2:
            raise ValueError(f"samples = {len(samples)}: must be pairs, falling and rising")
        vocabulary, batch = model.config.vocabulary, as_batch(model, samples)
        self.model, self.samples, tokens = model, list(samples), batch["tokens"]
        self.signs = [vocabulary.ids[word] for word in "+-"]
        if not torch.isin(tokens[:, AT + 1], torch.tensor(self.signs)).all():
            raise ValueError("samples: the second word of every answer must be a sign")
        cache = Cache(model, batch["points"], batch["n_points"])
        cache.step(tokens[:, 0])
        self.last = LastWord(cache, tokens[:, AT])
        found = record(self.last)
        self.seen = {name.removeprefix("decoder."): one for name, one in found.items()}
        self.partner = torch.arange(len(samples)).roll(len(samples) // 2)
        self.plain = self.gaps({})

    @property
    def n_layers(self) -> int:
        """Of the decoder."""
        return len(self.model.decoder.ffns)

    @torch.no_grad()
    def gaps(self, changes: Mapping[str, Change]) -> Tensor:
        """By pair, with changes inside the decoder where the sign is chosen: (pairs,)."""
        with patched(self.last, {f"decoder.{name}": one for name, one in changes.items()}):
            return gaps_of(self.last()[:, self.signs])

    def logits(self, hidden: Tensor) -> Tensor:
        """Of + and −, in this order: (…, width) → (…, 2)."""
        proj = self.model.decoder.proj
        return hidden @ proj.weight[self.signs].T + proj.bias[self.signs]

    def lost(self, changes: Mapping[str, Change]) -> tuple[float, float]:
        """Share of the gap that is gone, over the even pairs and over the odd ones.

        1 − (gap with the changes)/(gap): 2 if the sign is turned over.
        """
        changed = self.gaps(changes)
        left = [changed[half].mean() / self.plain[half].mean() for half in (CHOSEN, SCORED)]
        return float(1 - left[0]), float(1 - left[1])

    def mean(self, place: str) -> Tensor:
        """The mean of an activation at the sign, over the even pairs: (…, d), heads in front."""
        even = torch.cat([half[CHOSEN] for half in self.seen[place].chunk(2)])
        return even[..., 0, :].mean(0)


def gaps_of(logits: Tensor) -> Tensor:
    """Logits (2 · pairs, 2) of + and −, falling first → (pairs,)."""
    falling, rising = (logits[:, 1] - logits[:, 0]).chunk(2)
    return falling - rising


# ---------------------------------------------------------------------------------------------
# When it is decided


@torch.no_grad()
def sign_scores(signs: Signs) -> Row:
    """What the logit lens says where the sign is chosen, by layer, of falling and rising ones.

    "minus": mean probability of − among the two signs; "says": share of systems whose likeliest
    word is the sign + or −; "decided": share decided at each layer. "plus then minus" is the share
    of falling ones that prefer + at the post's layer 6 and − at its layer 8; "leads" the share that
    says the wrong sign at some layer and the right one at the end.
    """
    hidden = torch.stack(
        [signs.seen[f"layer_norm2.{i}.after"][:, 0] for i in range(signs.n_layers)]
    )
    two = signs.logits(hidden)  # (layer, systems, 2)
    proj = signs.model.decoder.proj
    words = (hidden @ proj.weight.T + proj.bias).argmax(-1)  # (layer, systems)
    minus, found = two[..., 1] > two[..., 0], {}
    early, late = (at_depth(i, signs.n_layers) for i in (PLUS_LAYER, MINUS_LAYER))
    halves = zip(("falling", "rising"), words.chunk(2, 1), two.chunk(2, 1), strict=True)
    for name, said, pair in halves:
        right = signs.signs[name == "falling"]
        wrong = signs.signs[name == "rising"]
        layers = torch.arange(signs.n_layers)[:, None]
        found[name] = {
            "minus": pair.softmax(-1)[..., 1].mean(1),
            "says": {
                w: (said == i).double().mean(1) for w, i in zip("+-", signs.signs, strict=True)
            },
            "decided": (decided_at(said) == layers).double().mean(1),
            "leads": float(((said == wrong).any(0) & (said[-1] == right)).double().mean()),
        }
    falling = minus.chunk(2, 1)[0]
    found["plus then minus"] = float((~falling[early] & falling[late]).double().mean())
    return found


# ---------------------------------------------------------------------------------------------
# What carries it


def swap(signs: Signs, place: str, heads: int | slice | None = None) -> dict[str, Change]:
    """At the sign the activation becomes the partner's; of some heads alone, if they are given."""
    where = (slice(None),) if heads is None else (slice(None), heads)
    return {place: taken_from(signs.seen[place][signs.partner], *where)}


def swaps(signs: Signs) -> Row:
    """Share of the gap that moves when a part at the sign is taken from the partner: 1 all of it.

    By decoder layer: the stream after it, the outputs of all its heads, to points ("cross") and to
    words ("self"), and each head alone, cross before self, for either half of the pairs.
    """
    every, found = slice(None), {"stream": [], "cross": [], "self": []}
    alone: list[list[tuple[float, float]]] = []
    for i in range(signs.n_layers):
        found["stream"].append(signs.lost(swap(signs, f"layer_norm2.{i}.after"))[1] / 2)
        places = {"cross": f"encoder_attn.{i}.heads", "self": f"attentions.{i}.heads"}
        for kind, place in places.items():
            found[kind].append(signs.lost(swap(signs, place, every))[1] / 2)
        heads = range(signs.model.config.decoder_heads)
        alone.append([signs.lost(swap(signs, p, h)) for p in places.values() for h in heads])
    halves = (torch.tensor(alone) / 2).unbind(-1)  # (layer, 2 · head) each
    return found | {"heads": dict(zip(("chosen", "scored"), halves, strict=True))}


def dimension_scores(signs: Signs, n_random: int, seed: int) -> Row:
    """Share of the gap lost when a part of the stream after the post's layer 8 is at its mean.

    "best": the single dimension that costs the even pairs most, "others": random ones; "direction":
    from rising to falling, "random": random directions; "alone": all but the best dimension.
    """
    place = f"layer_norm2.{at_depth(MINUS_LAYER, signs.n_layers)}.after"
    mean, width = signs.mean(place), signs.model.config.decoder_width
    rows, axes = np.random.default_rng(seed), torch.eye(width)

    def lost(directions: Tensor) -> tuple[float, float]:
        return signs.lost({place: directions_at_mean(directions, mean)})

    single = torch.tensor([lost(axis[None]) for axis in axes])  # (width, 2)
    best = int(single[:, 0].argmax())
    others = [i for i in rows.permutation(width).tolist() if i != best][:n_random]
    falling, rising = signs.seen[place][:, 0].chunk(2)
    difference = (falling - rising)[CHOSEN].mean(0, keepdim=True)
    drawn = torch.from_numpy(rows.standard_normal((n_random, 1, width))).float()
    return {
        "dimension": best,
        "best": float(single[best, 1]),
        "others": single[others, 1],
        "direction": lost(difference)[1],
        "random": [lost(one)[1] for one in drawn],
        "alone": lost(torch.cat([axes[:best], axes[best + 1 :]]))[1],
    }


@torch.no_grad()
def magnitude_heads(signs: Signs) -> dict[str, Tensor]:
    """Correlation of cross-attention at the sign with |x| over points, by half: (layer, head).

    Mean over falling and rising ones, so that a head that follows the time has 0.
    """
    x = torch.from_numpy(np.array([sample.values[:, 0] for sample in signs.samples]))[:, None]
    rows = []
    for i in range(signs.n_layers):
        weights = signs.seen[f"encoder_attn.{i}.weights"][:, :, 0].double()  # (system, head, n)
        found = maps.correlation(weights, x.expand_as(weights))
        rows.append(torch.stack(found.chunk(2)).mean(0))  # (pair, head)
    by_layer = torch.stack(rows, dim=1)  # (pair, layer, head)
    return {"chosen": by_layer[CHOSEN].mean(0), "scored": by_layer[SCORED].mean(0)}


def magnitude_costs(signs: Signs, heads: Mapping[str, Tensor], n_random: int, seed: int) -> Row:
    """Share of the gap lost without the four heads that go with |x| best, and without others."""
    count = signs.model.config.decoder_heads
    every = heads["chosen"].flatten()
    best = every.topk(min(GROUP, len(every))).indices.tolist()
    rng = np.random.default_rng(seed)
    draws = [rng.choice(len(every), len(best), False).tolist() for _ in range(n_random)]
    means = [signs.mean(f"encoder_attn.{i}.heads") for i in range(signs.n_layers)]

    def lost(flat: Sequence[int]) -> float:
        inside = {i: [h % count for h in flat if h // count == i] for i in range(len(means))}
        changes = {
            f"encoder_attn.{i}.heads": heads_at_mean(chosen, means[i])
            for i, chosen in inside.items()
            if chosen
        }
        return signs.lost(changes)[1]

    return {"heads": best, "best": lost(best), "random": [lost(one) for one in draws]}


def costs(signs: Signs, heads: Mapping[str, Tensor], n_random: int, seed: int) -> Row:
    """What moves the sign, and what carries it; only of a model that has one."""
    return {
        "swaps": swaps(signs),
        "dimension": dimension_scores(signs, n_random, seed),
        "magnitude": magnitude_costs(signs, heads, n_random, seed),
    }
