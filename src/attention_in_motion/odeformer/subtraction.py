"""What the encoder's attention takes away: OV diagonals, what is written, and what that is worth.

A layer adds Σ_h Σ_j A^h_ij W_O^h W_V^h x_j to the stream of point i, and a norm follows. Products
near −λ I would subtract λ times the attention-weighted mean of the stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from attention_in_motion.measures import attention_maps as maps
from attention_in_motion.measures import ov_circuits as ov
from attention_in_motion.measures.patching import Change, patched
from attention_in_motion.odeformer.inside import as_batch, encoder_activations, nats
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.slopes import LAGS, stream_places
from attention_in_motion.odeformer.systems.trajectories import Sample
from attention_in_motion.odeformer.tables import Row


def layer_products(model: ODEFormer) -> list[Tensor]:
    """W_O^h W_V^h of every encoder layer: (head, width, width) each."""
    return [
        ov.products(a.v_lin.weight.detach().double(), a.out_lin.weight.detach().double(), a.n_heads)
        for a in model.encoder.attentions
    ]


def diagonals(model: ODEFormer, seed: int) -> Row:
    """By encoder layer: the diagonal over the spread of the other entries, of all heads together.

    "shuffled": the same rows in another order; "heads": head by head; "negative": share of
    eigenvalues with a negative real part.
    """
    products, generator = layer_products(model), torch.Generator().manual_seed(seed)
    whole = [per_head.sum(0) for per_head in products]
    return {
        "ratio": [float(ov.diagonal_ratio(M)) for M in whole],
        "shuffled": [float(ov.diagonal_ratio(ov.rows_shuffled(M, generator))) for M in whole],
        "heads": torch.stack([ov.diagonal_ratio(per_head) for per_head in products]),
        "negative": [float(ov.eigenvalue_share(M)) for M in whole],
    }


def parts(model: ODEFormer, seen: Mapping[str, Tensor]) -> Tensor:
    """⟨written, attended mean⟩/|attended mean|² by system and encoder layer: (system, layer).

    seen are the encoder's activations; −λ for products −λ I.
    """
    places, rows = stream_places(model), []
    for i in range(len(model.encoder.attentions)):
        x = seen[places[i]]
        written = seen[f"layer_norm1.{i}.before"] - x
        rows.append(ov.written_along(written, ov.attended_mean(seen[f"attentions.{i}.weights"], x)))
    return torch.stack(rows, 1)


def stencils(model: ODEFormer, seen: Mapping[str, Tensor], times: Tensor) -> Row:
    """What a layer adds to a point from one so many points away.

    Σ_h (mean of the diagonal of W_O^h W_V^h) · attention_h(lag), times (n,) even: {"lags", "by
    layer": (layer, lag)}.
    """
    lags = torch.arange(-LAGS, LAGS + 1)
    edges = (torch.arange(-LAGS, LAGS + 2) - 0.5) * (times[1] - times[0])
    found = []
    for i, per_head in enumerate(layer_products(model)):
        lagged = maps.by_lag(seen[f"attentions.{i}.weights"].double(), times, edges)
        found.append(maps.stencil(lagged, per_head.diagonal(dim1=-2, dim2=-1).mean(-1)))
    return {"lags": lags, "by layer": torch.stack(found)}


def put_back(model: ODEFormer, part: Tensor, by: int = 0) -> dict[str, Change]:
    """Changes that put back what every encoder layer subtracts: part (system, layer) of its mean.

    With `by` the mean is that of the system so many places on. The changes of the attention and the
    stream keep what passes, and change nothing.
    """
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Change:
        def change(h: Tensor) -> Tensor:
            kept[name] = h
            return h

        return change

    changes: dict[str, Change] = {}
    for i, place in enumerate(stream_places(model)[:-1]):
        weights = f"encoder.attentions.{i}.weights"
        changes |= {f"encoder.{place}": keep(place), weights: keep(weights)}

        def attention(name: str = weights) -> Tensor:
            return kept[name].roll(by, 0)

        def stream(name: str = place) -> Tensor:
            return kept[name].roll(by, 0)

        changes[f"encoder.layer_norm1.{i}.before"] = ov.put_back(attention, stream, part[:, i])
    return changes


@torch.no_grad()
def costs(model: ODEFormer, samples: Sequence[Sample]) -> Row:
    """Nats a token lost when what is subtracted is put back, and when another system's is."""
    part = parts(model, encoder_activations(model, samples))
    batch = as_batch(model, samples)
    plain = nats(model, batch)

    def cost(changes: Mapping[str, Change]) -> float:
        with patched(model, changes):
            return float((nats(model, batch) - plain).mean())

    return {
        "nats": float(plain.mean()),
        "own": cost(put_back(model, part)),
        "another": cost(put_back(model, part, by=1)),
        "nothing": cost(put_back(model, torch.zeros_like(part))),
    }
