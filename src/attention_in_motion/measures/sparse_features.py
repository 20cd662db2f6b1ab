"""Sparse autoencoders of activations, what they explain, and which kinds their features tell.

An autoencoder writes an activation x (d,) as b + D h, with few positive features h (width,).
Sources: Cunningham et al., "Sparse Autoencoders Find Highly Interpretable Features" (2023), for
ReLU with an L1 penalty; Gao et al., "Scaling and evaluating sparse autoencoders" (2024), for TopK.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from attention_in_motion.measures import attention_maps as maps

CHOSEN, SCORED = slice(0, None, 2), slice(1, None, 2)  # series that choose features, and score
AS_IN_POST = {"l1": 4.07e-4, "unit": False}  # penalty on mean h; atoms of any length


@dataclass(frozen=True)
class Recipe:
    """How an autoencoder is trained. With k > 0 the k largest features live, else ReLU with L1.

    The loss is the mean squared error a coordinate, of activations scaled to variance 1, plus
    `l1` · mean h. `unit` keeps the atoms at length 1; `frozen` leaves the decoder as it was drawn.
    """

    width: int
    k: int = 0
    l1: float = 0.0
    steps: int = 2000
    batch: int = 512
    lr: float = 3e-3
    unit: bool = True
    frozen: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.k <= self.width:
            raise ValueError(f"k = {self.k}: must lie in 0 ... width = {self.width}")
        for name in ("width", "steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least 1")


class Autoencoder(nn.Module):
    """x ↦ h = ReLU(E (x − m)/s + e), all but the k largest put to 0, ↦ m + s (D h + b).

    m (d,) and s (a number) are mean and size of the activations that it was trained on. Atoms are
    the columns of D (d, width).
    """

    def __init__(self, d: int, recipe: Recipe, rng: torch.Generator) -> None:
        super().__init__()
        atoms = torch.randn((d, recipe.width), generator=rng)
        self.decoder = nn.Parameter(atoms / atoms.norm(dim=0))
        self.encoder = nn.Parameter(self.decoder.detach().T.clone())
        self.e = nn.Parameter(torch.zeros(recipe.width))
        self.b = nn.Parameter(torch.zeros(d))
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("size", torch.ones(()))
        self.k = recipe.k

    def encode(self, x: Tensor) -> Tensor:
        """Features (…, width) of activations (…, d)."""
        h = torch.relu((x - self.mean) / self.size @ self.encoder.T + self.e)
        if self.k:
            kept = h.topk(self.k, dim=-1)
            h = torch.zeros_like(h).scatter(-1, kept.indices, kept.values)
        return h

    def decode(self, h: Tensor) -> Tensor:
        """Activations (…, d) of features (…, width)."""
        return self.mean + self.size * (h @ self.decoder.T + self.b)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def trained(x: Tensor, recipe: Recipe) -> Autoencoder:
    """An autoencoder of activations x (n, d). Raises ValueError for a NaN or equal activations."""
    if not x.isfinite().all():
        raise ValueError("activations: must be finite, one is not")
    if (spread := float(x.var(0).sum().sqrt())) == 0:
        raise ValueError("activations: must differ, all are equal")
    rng, d = torch.Generator().manual_seed(recipe.seed), x.shape[1]
    found = Autoencoder(d, recipe, rng)
    found.mean.copy_(x.mean(0))
    found.size.fill_(spread / math.sqrt(d))
    learnt = [p for p in found.parameters() if not (recipe.frozen and p is found.decoder)]
    descent = torch.optim.Adam(learnt, lr=recipe.lr)
    for step in range(recipe.steps):
        for group in descent.param_groups:
            group["lr"] = recipe.lr * min(1.0, 2 * (1 - step / recipe.steps))
        one = x[torch.randint(len(x), (recipe.batch,), generator=rng)]
        h = found.encode(one)
        error = (found.decode(h) - one) / found.size
        loss = error.square().mean() + recipe.l1 * h.mean()
        descent.zero_grad()
        loss.backward()
        descent.step()
        if recipe.unit:
            with torch.no_grad():
                found.decoder /= found.decoder.norm(dim=0).clamp(min=1e-8)
    return found.requires_grad_(False)


@torch.no_grad()
def quality(autoencoder: Autoencoder, x: Tensor) -> dict[str, float]:
    """Explained variance, mean number of live features (L0) and share of dead ones, on x (n, d).

    Explained variance is 1 − Σ |x − x̂|² / Σ |x − mean|²; a dead feature is 0 on all of x.
    """
    h = autoencoder.encode(x)
    error = (x - autoencoder.decode(h)).square().sum()
    return {
        "explained": float(1 - error / (x - x.mean(0)).square().sum()),
        "l0": float((h > 0).float().sum(1).mean()),
        "dead": float((h == 0).all(0).float().mean()),
    }


def recovered_atoms(autoencoder: Autoencoder, planted: Tensor, cosine: float = 0.95) -> float:
    """Share of planted atoms (d, n) that have an atom of the decoder at that cosine or more."""
    own, theirs = (a / a.norm(dim=0) for a in (autoencoder.decoder, planted))
    return float(((own.T @ theirs).amax(0) >= cosine).float().mean())


# ---------------------------------------------------------------------------------------------
# What features tell


def areas(features: NDArray, kind: NDArray, kinds: int) -> NDArray:
    """Area under the ROC curve of every feature for every kind: (kinds, width).

    features (n, width), kind (n,) as numbers from 0. The area is the chance that a series of the
    kind has more of the feature than one of another kind, ties half. Raises ValueError for a kind
    that no series or every series has.
    """
    ranks = stats.rankdata(features, axis=0)  # (n, width)
    found = []
    for one in range(kinds):
        inside = kind == one
        n, m = int(inside.sum()), int((~inside).sum())
        if n == 0 or m == 0:
            raise ValueError(f"kind {one}: must be of some series and not of all, is of {n}")
        found.append((ranks[inside].sum(0) - n * (n + 1) / 2) / (n * m))
    return np.array(found)


def best_features(features: NDArray, kind: NDArray, kinds: int) -> tuple[NDArray, NDArray]:
    """The feature that tells each kind best on even series, its area on odd ones: (kinds,) each.

    Raises ValueError as `areas` does.
    """
    best = areas(features[CHOSEN], kind[CHOSEN], kinds).argmax(1)
    scored = areas(features[SCORED], kind[SCORED], kinds)
    return best, scored[np.arange(kinds), best]


def correlations(h: Tensor, y: Tensor, given: Tensor | None = None) -> Tensor:
    """Size of the correlation of every feature with every target, over all points: (target, width).

    h (…, width) and y (target, …), the same points; given (k, …), linearly independent, is taken
    out of both first. What never changes, or is nothing but `given`, has 0.
    """
    rows = maps.standardised(h.flatten(0, -2).T.double())  # (width, points)
    targets = maps.standardised(y.flatten(1).double())
    found = targets @ rows.T
    if given is not None:
        basis = torch.linalg.qr(maps.standardised(given.flatten(1).double()).T)[0]  # (points, k)
        along, across = targets @ basis, basis.T @ rows.T  # (target, k), (k, width)
        left = left_over(along, 1)[:, None] * left_over(across, 0)
        found = torch.where(left > 1e-6, (found - along @ across) / left.clamp(min=1e-6), 0.0)
    return found.abs()


def left_over(parts: Tensor, dim: int) -> Tensor:
    """Length of what is left of unit vectors without these orthogonal parts of them."""
    return (1 - parts.square().sum(dim)).clamp(min=0).sqrt()


def best_correlations(h: Tensor, y: Tensor, given: Tensor | None = None) -> list[float]:
    """By target, on odd systems: the correlation of the feature that even ones choose.

    h (systems, n, width), y (target, systems, n), given (k, systems, n).
    """
    one, two = (
        correlations(h[half], y[:, half], None if given is None else given[:, half])
        for half in (CHOSEN, SCORED)
    )
    return two.gather(1, one.argmax(1, keepdim=True))[:, 0].tolist()


def most_active(h: Tensor, n: int) -> list[int]:
    """The n features with the largest mean over all points of h (…, width), the largest first."""
    return h.flatten(0, -2).mean(0).topk(n).indices.tolist()


def one_family(fires: NDArray, family: NDArray, least: float) -> float:
    """Share of live features with at least the share `least` of their firing in one family.

    fires (systems, width) counts a system's points at which a feature is active, family (systems,)
    is numbered from 0. Raises ValueError if no feature is live.
    """
    by_family = np.eye(int(family.max()) + 1)[family].T @ fires  # (families, width)
    total = by_family.sum(0)
    if not (live := total > 0).any():
        raise ValueError("features: one at least must be active, all are 0 everywhere")
    return float((by_family.max(0)[live] >= least * total[live]).mean())


def one_family_exchanged(
    fires: NDArray, family: NDArray, least: float, n_exchanges: int, seed: int
) -> float:
    """`one_family` with families exchanged between systems, mean over the exchanges."""
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(family) for _ in range(n_exchanges))
    return float(np.mean([one_family(fires, order, least) for order in orders]))
