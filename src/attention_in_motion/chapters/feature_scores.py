"""The numbers of the claims of the section on sparse features: what the table's rows say by id.

A row is what `odeformer.features` writes about one model: "relu" is the post's autoencoder, "topk"
the other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_in_motion.chapters import twins

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

AUTOENCODERS = {"relu": "the post's", "topk": "TopK"}
CONCEPTS = ("t", "x", "x′", "x″")
BEYOND = "x′ beyond t and x"


def table_of(p: twins.Scored) -> dict:
    """The scores of all models: "shipped", features.json with the weights, or a table's path.

    Raises ValueError as `twins.table_of` does.
    """
    from attention_in_motion.odeformer import weights

    return twins.checked(p.table, weights.SHIPPED / "features.json")


def reading(row: dict, raw: dict) -> dict[str, float]:
    """What one model, trained or not, has for the claims with a null: {id: score}."""
    return {
        "P4.10b": row["topk"]["concepts"]["own"][BEYOND],
        "P4.11m": row["relu"]["stable"]["share"],
        "P4.25m": beyond_chance(row["topk"]["families"]),
        "P4.26m": row["plane"]["rim"],
    }


def differences(row: dict, raw: dict) -> dict[str, float]:
    """What one trained model has for the claims that compare within it: {id: difference}."""
    parts, dictionaries = row["costs"]["parts"], row["costs"]["dictionaries"]
    lost = {name: part["mean"]["all"] for name, part in parts.items()}
    network = lost["encoder feed-forward"]
    return {
        "P4.25b": dictionaries["topk"]["recovered"] - dictionaries["frozen"]["recovered"],
        "P4.27m": lost["encoder attention"] - network,
        "P4.27b": lost["decoder feed-forward"] - network,
    }


def untested(row: dict) -> dict[str, float]:
    """What one trained model has for the claims without a test: {id: score}."""
    stable, own = row["relu"]["stable"], row["relu"]["concepts"]["own"]
    return {
        "P4.10m": max(own[name] for name in CONCEPTS),
        "P4.10c": beyond_chance(row["plane"]),
        "P4.11b": sum(stable["firing"]) / len(stable["firing"]),
        "P4.12m": kept(row, "stream"),
        "P4.12b": kept(row, "feed-forward"),
        "P4.12c": kept(row, "reconstructed"),
    }


def of_the_post(row: dict) -> dict[str, float]:
    """What the row of the released model has for the post's own claims: {id: score}."""
    found = reading(row, {}) | differences(row, {}) | untested(row)
    bare = ("P4.10", "P4.11", "P4.12", "P4.25", "P4.26", "P4.27")
    return {name: found[f"{name}m"] for name in bare}


def beyond_chance(shares: dict[str, float]) -> float:
    """The share less the same one with families exchanged between systems."""
    return shares["own"] - shares["exchanged"]


def kept(row: dict, without: str) -> float:
    """R² of greedy answers without a part over that of whole ones; 0 where whole ones have none."""
    costs = row["costs"]
    return costs["r2 without"][without] / costs["r2"] if costs["r2"] else 0.0


# What figures show of the rows


def beside(table: dict, what: str, *path: str) -> dict[str, Tensor]:
    """What lies at a path of both autoencoders, trained and untrained: {strip: by model}."""
    groups = {"": twins.seeds(table), ", untrained": twins.untrained(table)}
    return {
        f"{what}, {title}{name}": twins.over_models(rows, kind, *path)
        for name, rows in groups.items()
        for kind, title in AUTOENCODERS.items()
    }


def concepts(rows: dict[str, dict], kind: str, of: str = "own") -> NDArray:
    """The best feature's correlations with t, x, x′, x″ and x′ beyond: (model, concept)."""
    import numpy as np

    return np.array([[*row[kind]["concepts"][of].values()] for row in rows.values()])


def quality(rows: dict[str, dict], kind: str) -> list[float]:
    """Explained variance, features that fire at a point, share of dead ones; means over models."""
    measures = ("explained", "l0", "dead")
    return [float(twins.over_models(rows, kind, "quality", name).mean()) for name in measures]
