"""What the plane of t-SNE says: who lies beside whom, and what lies at its rim.

t-SNE lays points x_i (n, d) out in a plane so that near ones stay near; distances between distant
ones mean little. Source: van der Maaten and Hinton, "Visualizing Data using t-SNE" (2008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from attention_in_motion.statistics import outranks

PERPLEXITY = 30.0  # of the post, which takes 1000 steps, too


def plane(x: NDArray, seed: int = 0) -> NDArray:
    """The points x (n, d) in the plane of t-SNE: (n, 2).

    Perplexity 30, or a third of the points if that is less; 1000 steps from the first two principal
    components. Raises ValueError for fewer than 5 points or a value that is not finite.
    """
    if len(x) < 5:
        raise ValueError(f"points = {len(x)}: must be at least 5 to be laid out")
    if not np.isfinite(x).all():
        raise ValueError("points: must be finite, one is not")
    perplexity = min(PERPLEXITY, len(x) / 3)
    layout = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return layout.fit_transform(np.asarray(x, dtype=np.float32))


def neighbours(points: NDArray, k: int) -> NDArray:
    """The k nearest others of each point (n, 2): indices (n, k). Raises ValueError for k ≥ n."""
    if not 1 <= k < len(points):
        raise ValueError(f"k = {k}: must lie in 1 ... {len(points) - 1}")
    return NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)


def same_share(near: NDArray, label: NDArray) -> float:
    """Share of the neighbours, near (n, k), that have the label (n,) of their point."""
    return float((label[near] == label[:, None]).mean())


def exchanged_shares(
    near: NDArray, system: NDArray, label: NDArray, n_exchanges: int, seed: int
) -> NDArray:
    """`same_share` with labels exchanged between systems: (n_exchanges,).

    system (n,) says whose a point is, from 0; label (systems,) is one per system, so that points of
    one system stay alike: their nearness is no news.
    """
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(label) for _ in range(n_exchanges))
    return np.array([same_share(near, order[system]) for order in orders])


def rim_area(points: NDArray, marked: NDArray) -> float:
    """Area under the ROC curve of the distance from the plane's centre: marked (n,) against others.

    1 if every marked point lies farther out than every other one; 1/2 if none or all are marked.
    """
    distance = np.linalg.norm(points - points.mean(0), axis=1)
    if marked.all() or not marked.any():
        return 0.5
    return outranks(distance[marked].tolist(), distance[~marked].tolist())[0]
