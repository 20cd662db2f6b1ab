"""The numbers of the claims of the section on lenses: what the table's rows say for each id.

A row is what `odeformer.lenses` writes about one model. Decoder layers that the post names are
those of the same relative depth (`decisions.at_depth`).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from attention_in_motion.chapters.page import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYERS = {"x": 0, "extrema": 0, "slope": 2}  # where the post sees the heads of a feature


def words(row: dict) -> dict[str, float]:
    """What the logit lens says of one model's words: {id: score}."""
    from attention_in_motion.odeformer.decisions import at_depth

    plain, tuned = row["words"]["logit"], row["words"]["tuned"]
    repeated = {name: by_layer[0] for name, by_layer in plain["repeats"].items()}
    certainty, n = plain["certainty"], len(plain["certainty"]["all"])
    first, late, last = (certainty["all"][i] for i in (0, at_depth(7, n), -1))
    middle = at_depth(6, n)
    return {
        "P4.13": repeated["otherwise"],
        "P4.13c": (last - late) / (last - first),
        "P4.13d": certainty["no number"][-1] - certainty["mantissa"][-1],
        "P4.13e": repeated["otherwise"] - repeated["after a constant"],
        "P4.13f": tuned["agrees"]["all"][middle] - plain["agrees"]["all"][middle],
    }


def reading(row: dict, raw: dict) -> dict[str, float]:
    """What one model, trained or not, has for the claims that are read off it: {id: score}."""
    from attention_in_motion.odeformer.decisions import at_depth

    said, lens, attended = words(row), row["sign"]["lens"], row["attended"]
    at_50, at_25 = (attended["lengths"][n] for n in ("50", "25"))
    both, alone = (row["extrema"][name] for name in ("decoder", "separate"))
    ratio = row["diagonals"]["ratio"]
    return {
        "P4.13b": said["P4.13"],
        "P4.13d": said["P4.13d"],
        "P4.13e": said["P4.13e"],
        "P4.14m": lens["plus then minus"],
        "P4.14b": lens["falling"]["leads"],
        "P4.30b": row["sign"]["magnitude best"],
        "P4.16m": attended["sinks best"],
        "P4.17m": (at_25["sixty"] + at_50["sixty"]) / 2,
        "P4.17b": at_50["share"],
        "P4.17c": at_50["longer"],
        "P4.18m": attended["moves"]["time"] - attended["moves"]["value"],
        "P4.31m": attended["smooth"]["weighted"],
        "P4.31b": attended["smooth"]["weighted"] - attended["smooth"]["plain"],
        "P4.32m": row["avoids"],
        "P4.19m": row["extrema"]["encoder"][0],
        "P4.19b": alone[at_depth(6, len(alone))],
        "P4.19c": both[at_depth(5, len(both))],
        "P4.33m": hierarchy(row["layers"]),
        "P4.21m": -sum(ratio) / len(ratio),
        "P4.21b": ratio[0] - ratio[-1],
        "P4.21c": -sum(row["subtracted"]) / len(row["subtracted"]),
    }


def hierarchy(layers: dict[str, list[float]]) -> float:
    """Share of the features whose best head lies in the post's layer."""
    right = [layers[name].index(max(layers[name])) == layer for name, layer in LAYERS.items()]
    return sum(right) / len(right)


def differences(row: dict, raw: dict) -> dict[str, float]:
    """What one trained model has for the claims that compare within it: {id: difference}."""
    lens, carried = row["sign"]["lens"], row["sign"]["costs"]
    head, dimension = carried["swaps"]["heads"], carried["dimension"]
    costs, back = row["head costs"], row["subtraction costs"]
    return {
        "P4.13f": words(row)["P4.13f"],
        "P4.14c": lens["falling"]["leads"] - lens["rising"]["leads"],
        "P4.14d": best_less_mean(head),
        "P4.28m": dimension["best"] - mean(dimension["others"]),
        "P4.30m": carried["magnitude"]["best"] - mean(carried["magnitude"]["random"]),
        "P4.17e": row["point costs"]["point"] - mean(row["point costs"]["others"]),
        "P4.19d": own_less_others(costs["heads"], costs["best"]),
        "P4.21d": back["own"] - back["another"],
    }


def mean(values: list[float]) -> float:
    """Of a list."""
    return sum(values) / len(values)


def best_less_mean(heads: dict[str, list[list[float]]]) -> float:
    """Of the head that is best on the even half: its score on the odd one, less the mean of all."""
    chosen, scored = (list(chain(*heads[half])) for half in ("chosen", "scored"))
    return scored[chosen.index(max(chosen))] - mean(scored)


def own_less_others(costs: list[float], own: int) -> float:
    """The cost of one head less the mean of the other heads'."""
    return costs[own] - mean(costs[:own] + costs[own + 1 :])


def untested(row: dict) -> dict[str, float]:
    """What one trained model has for the claims without a test: {id: score}."""
    dimension, said = row["sign"]["costs"]["dimension"], words(row)
    return {
        "P4.13m": said["P4.13"],
        "P4.13c": said["P4.13c"],
        "P4.18b": row["attended"]["moves"]["smallest"],
        "P4.28b": dimension["direction"] - dimension["best"],
    }


def of_the_post(row: dict) -> dict[str, float]:
    """What the row of the released model has for the post's own claims: {id: score}."""
    found = reading(row, {})
    both = ("P4.14", "P4.16", "P4.17", "P4.18", "P4.19", "P4.21", "P4.31", "P4.32", "P4.33")
    carried = row["sign"]["costs"]
    return {name: found[f"{name}m"] for name in both} | {
        "P4.13": words(row)["P4.13"],
        "P4.28": carried["dimension"]["best"],
        "P4.30": carried["magnitude"]["best"],
    }


def arms(path: str) -> dict[str, dict]:
    """The rows of the two arms, "shipped" with the weights or in the table at `path`, in order.

    Raises ValueError, in one line, for a table that is not there or has fewer than two pairs.
    """
    from pathlib import Path

    from attention_in_motion.odeformer import sinks, tables, weights

    place = weights.SHIPPED / "arms.json" if path == "shipped" else Path(path)
    rows = tables.read(place)["rows"]
    pairs = len(sinks.arm_differences(rows))
    require(pairs >= 2, "arms", path, "a table of two pairs of seeds or more")
    return dict(sorted(rows.items(), key=lambda row: (row[1]["arm"], row[1]["seed"])))


# What figures show of the rows


def by_layer(rows: dict[str, dict], *path: str) -> NDArray:
    """The list at a path of each row: (model, layer)."""
    import numpy as np

    found = []
    for row in rows.values():
        for name in path:
            row = row[name]
        found.append(row)
    return np.array(found)
