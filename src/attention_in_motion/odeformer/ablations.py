"""What the answer needs: parts of encoder and decoder at their mean, at zero, reconstructed.

A part is the attention, the feed-forward network or the stream of a layer. The stream itself is
replaced, so that no path keeps what was there; attention is, with all its heads. Means are those of
even systems, over their points or words; odd systems are asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from attention_in_motion.measures.patching import Change, all_at_mean, heads_at_mean
from attention_in_motion.measures.sparse_features import CHOSEN, Autoencoder
from attention_in_motion.models.activations import record
from attention_in_motion.odeformer.dictionaries import PLACE, Data
from attention_in_motion.odeformer.inside import Trial, as_batch
from attention_in_motion.odeformer.network.model import ODEFormer, within
from attention_in_motion.odeformer.systems.trajectories import Sample
from attention_in_motion.odeformer.tables import Row

PARTS = {  # name: the recorded activations, a {} for the layer
    "encoder attention": "encoder.attentions.{}.heads",
    "encoder feed-forward": "encoder.ffns.{}.output",
    "encoder stream": "encoder.layer_norm2.{}.after",
    "decoder attention to words": "decoder.attentions.{}.heads",
    "decoder attention to points": "decoder.encoder_attn.{}.heads",
    "decoder feed-forward": "decoder.ffns.{}.output",
    "decoder stream": "decoder.layer_norm2.{}.after",
}


def places(model: ODEFormer, part: str) -> list[str]:
    """The activations of a part, layer by layer."""
    side = model.encoder if part.startswith("encoder") else model.decoder
    return [PARTS[part].format(i) for i in range(len(side.ffns))]


@torch.no_grad()
def means(model: ODEFormer, samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Of every part of every layer over points or words: {place: (d,) or (head, d_head)}.

    Words of padding do not count.
    """
    batch = as_batch(model, samples)
    tokens, n_tokens = batch["tokens"][:, :-1], batch["n_tokens"] - 1
    seen = record(model, batch["points"], batch["n_points"], tokens, n_tokens)
    real = {
        "encoder": within(batch["n_points"], batch["points"].shape[1]),
        "decoder": within(n_tokens, tokens.shape[1]),
    }
    wanted = [place for part in PARTS for place in places(model, part)]
    return {place: real_mean(seen[place], real[place.split(".")[0]]) for place in wanted}


def real_mean(h: Tensor, real: Tensor) -> Tensor:
    """The mean of h (batch, n, d) or (batch, head, n, d) where real (batch, n): (d,), (head, d)."""
    shape = (len(h), *(1,) * (h.ndim - 3), h.shape[-2], 1)
    weights = real.reshape(shape).to(h.dtype)
    return (h * weights).sum((0, -2)) / weights.sum()


def at(value: Tensor) -> Change:
    """An activation at one value everywhere: (d,), or of all heads (head, d_head)."""
    return all_at_mean(value) if value.ndim == 1 else heads_at_mean(range(len(value)), value)


def reconstructed(autoencoder: Autoencoder) -> Change:
    """The stream x becomes what the autoencoder writes of it, x̂."""
    return autoencoder


def error_alone(autoencoder: Autoencoder) -> Change:
    """The stream x becomes its mean and what the autoencoder misses: m + x − x̂."""
    return lambda x: autoencoder.mean + x - autoencoder(x)


def part_costs(model: ODEFormer, trial: Trial, mean: Mapping[str, Tensor]) -> Row:
    """Nats a token lost without each part: {part: {"mean" or "zero": {"layers", "all"}}}."""
    found: Row = {}
    for part in PARTS:
        where = places(model, part)
        values = {"mean": mean, "zero": {p: torch.zeros_like(mean[p]) for p in where}}
        found[part] = {}
        for kind, value in values.items():
            changes = {place: at(value[place]) for place in where}
            layers = [trial.cost({place: change}) for place, change in changes.items()]
            found[part][kind] = {"layers": layers, "all": trial.cost(changes)}
    return found


def dictionary_costs(
    trial: Trial, mean: Mapping[str, Tensor], dictionaries: Mapping[str, Autoencoder]
) -> Row:
    """Nats a token lost at the place of the autoencoders, and what they recover of them.

    {"mean", "zero", name: {"reconstructed", "error", "recovered"}}; recovered is
    (mean − reconstructed)/mean, 1 for a perfect autoencoder and 0 for one as good as the mean.
    """
    place = f"encoder.{PLACE}"
    lost = trial.cost({place: at(mean[place])})
    found: Row = {"mean": lost, "zero": trial.cost({place: at(0 * mean[place])})}
    for name, autoencoder in dictionaries.items():
        cost = trial.cost({place: reconstructed(autoencoder)})
        error = trial.cost({place: error_alone(autoencoder)})
        recovered = (lost - cost) / lost if lost else 0.0
        found[name] = {"reconstructed": cost, "error": error, "recovered": recovered}
    return found


def costs(model: ODEFormer, data: Data, dictionaries: Mapping[str, Autoencoder]) -> Row:
    """All that odd systems lose, in nats, and in R² of greedy answers what the claims ask for."""
    even = data.mixed[CHOSEN]
    mean = means(model, even[:: max(1, len(even) // data.settings.n_asked)])
    trial = Trial(model, data.asked, data.settings.n_decoded)
    stream, network = f"encoder.{PLACE}", PARTS["encoder feed-forward"].format(0)
    changes: dict[str, dict[str, Change]] = {
        "stream": {stream: at(mean[stream])},
        "feed-forward": {network: at(mean[network])},
        "reconstructed": {stream: reconstructed(dictionaries["relu"])},
    }
    return {
        "nats": float(trial.plain.mean()),
        "parts": part_costs(model, trial, mean),
        "dictionaries": dictionary_costs(trial, mean, dictionaries),
        "r2": trial.r2,
        "r2 without": {name: trial.r2_with(one) for name, one in changes.items()},
    }
