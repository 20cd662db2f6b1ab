"""Moving a model's state by what a probe found, and whether the answer follows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from attention_in_motion.measures.criteria import Features, exponential
from attention_in_motion.measures.probes import ridge, streams
from attention_in_motion.measures.trajectories import TestSet, for_every_seed
from attention_in_motion.models.activations import replaced
from attention_in_motion.models.transformer import size_of
from attention_in_motion.physics import oscillator

FOLLOWED = 0.95  # the least score of an answer that counts as having followed its move


def follow_score(answer: Tensor, before: Tensor, wanted: Tensor) -> Tensor:
    """1 − |answer − wanted| / |before − wanted|: (..., 2) → (...); 1 if followed, 0 if unmoved."""
    return 1 - (answer - wanted).norm(dim=-1) / (before - wanted).norm(dim=-1)


def ending_in(last: Tensor, omega0: Tensor, like: TestSet) -> TestSet:
    """Windows, and one state more, that pass through `last` (n, 2) at the end of the window.

    ω0 (n,); damping, time step and length as in `like`.
    """
    steps = torch.arange(1 - like.context, 2, dtype=last.dtype)
    times = torch.as_tensor(like.dt, dtype=last.dtype)[..., None] * steps  # (T + 1,) or (n, T + 1)
    states = oscillator.trajectory(last, omega0, like.gamma, times)
    return replace(like, states=states, omega0=omega0)


def with_last_state(test: TestSet, size: Tensor | float = 1.0) -> Tensor:
    """What a code of the frequency may be linear in: K's entries, X_T / size, and their products.

    (n, 14).
    """
    k, x = exponential(test), test.windows[:, -1] / size  # (n, 4), (n, 2)
    return torch.cat([k, x, (k[:, :, None] * x[:, None]).flatten(1)], dim=1)


def with_scaled_state(test: TestSet) -> Tensor:
    """The same for a model that sees the window divided by its own size: (n, 14)."""
    return with_last_state(test, size_of(test.windows)[:, 0])


FOLLOWED = 0.95  # from this score on an answer counts as having followed


def distant_pairs(low: float, high: float, n: int, seed: int) -> Tensor:
    """ω_a, ω_b and an independent ω_c over [low, high], float64: (3, n).

    a and b are at least a quarter of the range apart, counted around the range's end.
    """
    rng = torch.Generator().manual_seed(seed)
    draw = torch.rand(3, n, generator=rng, dtype=torch.float64)
    far = (draw[0] + 0.25 + 0.5 * draw[1]) % 1
    return low + (high - low) * torch.stack([draw[0], far, draw[2]])


def follow_everywhere(
    model: nn.Module,
    places: list[str],
    ends: list[TestSet],
    seen: TestSet,
    features: Features,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """`follow_scores` at every place: scores of the moves and of random ones, {place: (seed, n)}.

    `ends` are the windows moved from and to; `seen` are those the maps are fitted on.
    """
    stream, moves, strays = streams(model, seen), {}, {}
    for place in places:
        scores = follow_scores(model, place, *ends, seen, stream[place], features)
        moves[place], strays[place] = scores
    return moves, strays


def best_place(scores: dict[str, Tensor], places: list[str]) -> str:
    """The place with the highest median score over its seeds and the even half of the pairs."""
    return max(places, key=lambda place: scores[place][:, ::2].median().item())


def held_out(scores: Tensor) -> Tensor:
    """The odd half of the pairs, which chose no place: (seed, n) → (seed, n / 2)."""
    return scores[:, 1::2]


def share_following(scores: Tensor) -> Tensor:
    """The share of pairs that follow, per seed: (seed, n) → (seed,)."""
    return (scores >= FOLLOWED).double().mean(dim=1)


@torch.no_grad()
def follow_scores(
    model: nn.Module,
    place: str,
    start: TestSet,
    goal: TestSet,
    seen: TestSet,
    stream: Tensor,
    features: Features,
) -> tuple[Tensor, Tensor]:
    """How far the answer follows when the stream at `place` is moved from one ω0 to another.

    `start` and `goal` end in the same states. The move is what a ridge regression of `stream`
    (seed, n, T', d), that of the windows of `seen` at this place, on their `features` says changes
    when the ω0 of `start` becomes that of `goal` and nothing else does, at every position. Returns
    the scores (seed, n) of that move and of one equally long in a random direction:
    1 − |ΔY − ΔK X_T| / |ΔK X_T|, with ΔY the change of the answer and ΔK = K_b − K_a; so 0 if
    nothing moves, however wrong the model is.
    """
    before, after = features(start), features(replace(start, omega0=goal.omega0))
    maps = [ridge(features(seen), h.flatten(1), alpha=1e-9) for h in stream]
    move = torch.stack([m(after) - m(before) for m in maps])  # (seed, n, T' d)
    stray = torch.randn(move.shape, generator=torch.Generator().manual_seed(0), dtype=move.dtype)
    stray = stray * move.norm(dim=-1, keepdim=True) / stray.norm(dim=-1, keepdim=True)
    windows, scores = for_every_seed(model, start.windows), []
    unmoved = model(windows)[:, :, -1]  # (seed, n, 2)
    for shift in (move, stray):
        with replaced(model, place, lambda h, shift=shift: h + shift.unflatten(2, h.shape[2:])):
            change = model(windows)[:, :, -1] - unmoved
        scores.append(follow_score(start.next + change, start.next, goal.next))
    return scores[0], scores[1]


@torch.no_grad()
def ceiling(model: nn.Module, start: TestSet, goal: TestSet) -> Tensor:
    """The score of a perfect move: the model shown the windows of `goal` instead: (seed, n)."""
    first, second = (model(for_every_seed(model, test.windows))[:, :, -1] for test in (start, goal))
    return follow_score(start.next + second - first, start.next, goal.next)
