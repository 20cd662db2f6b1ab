"""Sparse features and ablations: scores of each model into one table for the page.

    python -m attention_in_motion.odeformer.features twin-0 twin-1 … --out TABLE.json

One row per model, trained or not: its autoencoders are trained, and what their features say is
scored by `dictionaries`. What an answer needs, by `ablations`, is asked of trained models alone, as
the autoencoder with a frozen decoder is. The table is written after each row and can be resumed.
"""

from __future__ import annotations

from attention_in_motion.measures.sparse_features import SCORED, quality
from attention_in_motion.odeformer import ablations, dictionaries, tables
from attention_in_motion.odeformer.dictionaries import Data, Settings
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.tables import Row


def row_of(data: Data, model: ODEFormer, trained: bool) -> Row:
    """All scores of one model; costs and the frozen decoder only of a trained one."""
    recipes = data.settings.recipes
    if not trained:
        del recipes["frozen"]
    x = dictionaries.stream(model, data.mixed)
    posts = {name: dictionaries.stream(model, s) for name, s in data.posts.items()}
    found = dictionaries.trained(x, recipes)
    row: Row = {
        name: dictionaries.feature_scores(found[name], x, posts, data) for name in ("relu", "topk")
    }
    row["coordinates"] = {"concepts": dictionaries.concept_scores(x, data)}  # no autoencoder
    stable = row["relu"]["stable"]["top"]["damped"]
    row["plane"] = dictionaries.plane_scores(found["relu"].encode(x), data, stable)
    if trained:
        row["frozen"] = {"quality": quality(found["frozen"], x[SCORED].flatten(0, 1))}
        row["costs"] = ablations.costs(model, data, found)
    return row


LITTLE = {"n_systems": 112, "width": 128, "live": 8, "steps": 60, "n_plane": 200}
LITTLE |= {"n_exchanges": 5, "grid": 4, "n_asked": 16, "n_decoded": 4}
main = tables.script("features", Settings, Data, row_of, LITTLE)


if __name__ == "__main__":
    main()
