"""Distributed alignment search: a subspace that holds ω0, so that its exchange hands ω0 on.

Two windows of different frequency are shown to a model, a base and a source. At one place in the
model the part of the base's activation that lies in a subspace is replaced by the source's, at
every position: h ← h + Q Qᵀ (h_source − h), with an orthonormal Q of k columns. If the subspace
holds ω0 and nothing else, the answer becomes K(ω0 of the source) X_T of the base. Q is learnt on
some pairs and judged on others. Source: Geiger et al. (2024), "Finding alignments between
interpretable causal variables and distributed neural representations".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attention_in_motion.measures.interventions import hybrid
from attention_in_motion.measures.trajectories import (
    AT_ONCE,
    TestSet,
    for_every_seed,
    in_parts,
    predictor,
)
from attention_in_motion.models.activations import record, replaced


@dataclass(frozen=True)
class Pairs:
    """Windows of two frequencies, n of each: what is put into, and what is taken from."""

    base: TestSet
    source: TestSet

    def rows(self, chosen: Tensor) -> Pairs:
        """The pairs that an index or a mask over (n,) chooses."""
        return Pairs(self.base.rows(chosen), self.source.rows(chosen))

    @property
    def wanted(self) -> Tensor:
        """K(ω0 of the source) X_T of the base, (n, 2)."""
        return hybrid(self.source, self.base.windows[:, -1]).next


@dataclass(frozen=True)
class Exchange:
    """What every exchange at one place needs, whatever the subspace; n pairs.

    The base's windows (n, T, 2) and the answers to them (seed, n, 2), what the source puts at the
    place (seed, n, ..., d), and ΔK X_T (n, 2), the change that is asked of the answer.
    """

    windows: Tensor
    unmoved: Tensor
    source: Tensor
    asked: Tensor

    def rows(self, chosen: Tensor) -> Exchange:
        """The pairs that an index over (n,) chooses."""
        own = self.unmoved[:, chosen], self.source[:, chosen]
        return Exchange(self.windows[chosen], *own, self.asked[chosen])

    @property
    def shape(self) -> tuple[int, int]:
        """Seeds of the ensemble, and width of the place."""
        return len(self.source), self.source.shape[-1]


@dataclass(frozen=True)
class Search:
    """How subspaces are sought: for each number of directions k = 1 … `most`, by L-BFGS.

    From `restarts` random subspaces and from the best of k − 1 directions with a random one more;
    each seed of the ensemble keeps the one with the least loss.
    """

    most: int = 6
    restarts: int = 4
    iterations: int = 40
    seed: int = 0


@torch.no_grad()
def exchange_at(model: nn.Module, place: str, pairs: Pairs) -> Exchange:
    """The exchange of these pairs at a place; AT_ONCE windows in one pass of the model."""
    base = pairs.base.windows
    parts = pairs.source.windows.split(AT_ONCE)
    seen = [record(model, for_every_seed(model, part))[place] for part in parts]
    asked = pairs.wanted - pairs.base.next
    return Exchange(base, in_parts(predictor(model), base[None]), torch.cat(seen, dim=1), asked)


def project(h: Tensor, basis: Tensor) -> Tensor:
    """Q Qᵀ h for every seed's own Q: h (seed, n, ..., d), basis (seed, d, k) → like h."""
    Q = basis[(slice(None), *(None,) * (h.dim() - 3))]  # (seed, 1, ..., d, k)
    return (h @ Q) @ Q.mT


def exchanged_answers(model: nn.Module, place: str, pairs: Exchange, basis: Tensor) -> Tensor:
    """The answers when the activation's part in span Q is the source's: (seed, n, 2)."""
    with replaced(model, place, lambda h: h + project(pairs.source - h, basis)):
        return predictor(model)(pairs.windows[None])


def missed(model: nn.Module, place: str, pairs: Exchange, basis: Tensor) -> Tensor:
    """|ΔY − ΔK X_T|, with ΔY the answer's change, so that the model's own error does not count.

    (seed, n).
    """
    change = exchanged_answers(model, place, pairs, basis) - pairs.unmoved
    return (change - pairs.asked).norm(dim=-1)


def search(model: nn.Module, place: str, pairs: Exchange, how: Search) -> list[Tensor]:
    """The subspaces of 1 … `most` directions whose exchange hands on ω0 best on these pairs.

    One (seed, d, k) for each k. Raises ValueError for more directions than the place has.
    """
    seeds, width = pairs.shape
    if not 1 <= how.most <= width:
        raise ValueError(f"most = {how.most}: must be in 1 ... {width}, the width of {place}")
    rng = torch.Generator().manual_seed(how.seed)
    found: list[Tensor] = []
    for k in range(1, how.most + 1):
        starts = [torch.randn(seeds, width, k, generator=rng) for _ in range(how.restarts)]
        if found:
            more = torch.randn(seeds, width, 1, generator=rng)
            starts.append(torch.cat([found[-1], more.to(found[-1].dtype)], dim=-1))
        tried = [descended(model, place, pairs, start, how.iterations) for start in starts]
        losses = torch.stack([loss(model, place, pairs, basis) for basis in tried])
        found.append(torch.stack(tried)[losses.argmin(dim=0), torch.arange(seeds)])
    return found


def loss(model: nn.Module, place: str, pairs: Exchange, basis: Tensor) -> Tensor:
    """Σ |ΔY − ΔK X_T|² / Σ |ΔK X_T|² over the pairs: (seed,)."""
    squares = missed(model, place, pairs, basis).square().sum(dim=1)
    return squares / pairs.asked.square().sum()


def descended(
    model: nn.Module, place: str, pairs: Exchange, start: Tensor, iterations: int
) -> Tensor:
    """A minimum of `loss` over the column spaces of matrices (seed, d, k), as orthonormal ones."""
    matrix = start.to(pairs.source.dtype).clone().requires_grad_()
    limits = {"max_iter": iterations, "tolerance_grad": 1e-10, "tolerance_change": 1e-12}
    optimiser = torch.optim.LBFGS([matrix], line_search_fn="strong_wolfe", **limits)

    def total() -> Tensor:
        optimiser.zero_grad()
        found = loss(model, place, pairs, torch.linalg.qr(matrix).Q).sum()
        found.backward()
        return found

    optimiser.step(total)
    return torch.linalg.qr(matrix.detach()).Q


@torch.no_grad()
def exchange_scores(model: nn.Module, place: str, pairs: Exchange, basis: Tensor) -> Tensor:
    """How far the answer follows when the subspace is exchanged: (seed, n).

    1 − |ΔY − ΔK X_T| / |ΔK X_T|, as in `interventions.follow_score`: 1 if it hands on ω0, 0 if
    nothing moves.
    """
    parts = torch.arange(len(pairs.asked)).split(AT_ONCE)
    found = [missed(model, place, pairs.rows(part), basis) for part in parts]
    return 1 - torch.cat(found, dim=1) / pairs.asked.norm(dim=-1)


def best_of(chosen_on: Tensor, scored: Tensor) -> Tensor:
    """Each seed's value where its own value on other pairs is largest.

    (case, seed) twice → (seed,); of equal ones the first case counts.
    """
    return scored.gather(0, chosen_on.argmax(dim=0, keepdim=True))[0]
