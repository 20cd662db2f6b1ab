"""Moving a model's state by what a probe found, and whether the answer follows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from attention_in_motion.measures.criteria import Features, exponential
from attention_in_motion.measures.probes import ridge
from attention_in_motion.measures.trajectories import AT_ONCE, TestSet, in_parts, predictor
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


def hybrid(past: TestSet, last: Tensor) -> TestSet:
    """The windows of `past` with another last state (n, 2), and where their own ω0 takes that.

    A model that finds ω0 in the past and then applies K(ω0) to the last state follows; one that
    uses both together need not.
    """
    flow = oscillator.propagator(past.omega0, past.gamma, past.dt)  # (n, 2, 2)
    after = (flow * last[:, None, :]).sum(-1)
    states = torch.cat([past.windows[:, :-1], last[:, None], after[:, None]], dim=1)
    return replace(past, states=states)


def with_last_state(test: TestSet, size: Tensor | float = 1.0) -> Tensor:
    """What a code of the frequency may be linear in: K's entries, X_T / size, and their products.

    (n, 14).
    """
    k, x = exponential(test), test.windows[:, -1] / size  # (n, 4), (n, 2)
    return torch.cat([k, x, (k[:, :, None] * x[:, None]).flatten(1)], dim=1)


def with_scaled_state(test: TestSet) -> Tensor:
    """The same for a model that sees the window divided by its own size: (n, 14)."""
    return with_last_state(test, size_of(test.windows)[:, 0])


def distant_pairs(low: float, high: float, n: int, seed: int) -> Tensor:
    """ω_a, ω_b and an independent ω_c over [low, high], float64: (3, n).

    a and b are at least a quarter of the range apart, counted around the range's end.
    """
    rng = torch.Generator().manual_seed(seed)
    draw = torch.rand(3, n, generator=rng, dtype=torch.float64)
    far = (draw[0] + 0.25 + 0.5 * draw[1]) % 1
    return low + (high - low) * torch.stack([draw[0], far, draw[2]])


def best_place(scores: dict[str, Tensor], places: list[str]) -> str:
    """The place with the highest median score over its seeds and the even half of the pairs."""
    return max(places, key=lambda place: scores[place][:, ::2].median().item())


def held_out(scores: Tensor) -> Tensor:
    """The odd half of the pairs, which chose no place: (seed, n) → (seed, n / 2)."""
    return scores[:, 1::2]


def share_following(scores: Tensor) -> Tensor:
    """The share of pairs that follow, per seed: (seed, n) → (seed,)."""
    return (scores >= FOLLOWED).double().mean(dim=1)


def fitted_move(
    start: TestSet, goal: TestSet, seen: TestSet, stream: Tensor, features: Features
) -> Tensor:
    """What changes in the stream when the ω0 of `start` becomes that of `goal`: (seed, n, T' d).

    By a ridge regression of `stream` (seed, n, T', d), that of the windows of `seen` at one place,
    on their `features`; nothing else changes, at every position.
    """
    before, after = features(start), features(replace(start, omega0=goal.omega0))
    maps = [ridge(features(seen), h.flatten(1), alpha=1e-9) for h in stream]
    return torch.stack([m(after) - m(before) for m in maps])


def answers(model: nn.Module, test: TestSet) -> Tensor:
    """The model's answer at the last position: (seed, n, 2)."""
    return in_parts(predictor(model), test.windows[None])


@torch.no_grad()
def moved_answers(model: nn.Module, place: str, test: TestSet, move: Tensor) -> Tensor:
    """The same with `move` (seed, n, T' d) added to the stream at `place`.

    The last block computes the last position alone; its other positions, moved or not, reach no
    answer.
    """
    found, predict = [], predictor(model)
    parts = zip(test.windows.split(AT_ONCE), move.split(AT_ONCE, dim=1), strict=True)
    for windows, part in parts:
        with replaced(model, place, lambda h, part=part: h + newest(part, h)):
            found.append(predict(windows[None]))
    return torch.cat(found, dim=1)


def newest(move: Tensor, h: Tensor) -> Tensor:
    """A move (seed, n, T' d) at as many of its last positions as h (seed, n, ≤ T', d) has."""
    return move.unflatten(2, (-1, h.shape[3]))[:, :, -h.shape[2] :]


def score_of(
    model: nn.Module, place: str, start: TestSet, goal: TestSet, move: Tensor, unmoved: Tensor
) -> Tensor:
    """How far the answer follows when the stream at `place` is moved by `move`: (seed, n).

    1 − |ΔY − ΔK X_T| / |ΔK X_T|, with ΔY the change of the answer from `unmoved` (seed, n, 2) and
    ΔK = K_b − K_a; so 0 if nothing moves, however wrong the model is. `start` and `goal` end in the
    same states.
    """
    change = moved_answers(model, place, start, move) - unmoved
    return follow_score(start.next + change, start.next, goal.next)


def follow_scores(
    model: nn.Module,
    place: str,
    start: TestSet,
    goal: TestSet,
    seen: TestSet,
    stream: Tensor,
    features: Features,
) -> Tensor:
    """The scores (seed, n) of the move at `place` that a map fitted on `seen` says.

    `stream` is the model's stream there on `seen`. With the frequencies of `seen` shuffled this is
    a control: a move of the same kind and size that knows nothing.
    """
    move = fitted_move(start, goal, seen, stream, features)
    return score_of(model, place, start, goal, move, answers(model, start))


def follow_everywhere(
    model: nn.Module,
    stream: dict[str, Tensor],
    ends: list[TestSet],
    seen: TestSet,
    features: Features,
) -> dict[str, Tensor]:
    """The scores of the fitted move at every place of `stream`: {place: (seed, n)}.

    `ends` are the windows moved from and to; `seen` those the maps are fitted on, and `stream` the
    model's stream on them, {place: (seed, n, T', d)}.
    """
    unmoved, scores = answers(model, ends[0]), {}
    for place, h in stream.items():
        move = fitted_move(*ends, seen, h, features)
        scores[place] = score_of(model, place, *ends, move, unmoved)
    return scores


def hybrid_scores(model: nn.Module, own: TestSet, past: TestSet) -> Tensor:
    """How far answers go from the motion of the last states to that of the past: (seed, n).

    The last states are those of the windows of `own`: 1 if the answer is K_past X_T, 0 if it is as
    far from it as K_own X_T.
    """
    mixed = hybrid(past, own.windows[:, -1])
    return follow_score(answers(model, mixed), own.next, mixed.next)


def told_apart(own: TestSet, past: TestSet, least: float) -> Tensor:
    """Whether the two answers to a hybrid window, K_own X_T and K_past X_T, can be told apart.

    They can if they lie at least `least` of the window's size apart: (n,).
    """
    mixed = hybrid(past, own.windows[:, -1])
    return (own.next - mixed.next).norm(dim=-1) >= least * size_of(mixed.windows)[:, 0, 0]


def ceiling(model: nn.Module, start: TestSet, goal: TestSet) -> Tensor:
    """The score of a perfect move: the model shown the windows of `goal` instead: (seed, n)."""
    first, second = answers(model, start), answers(model, goal)
    return follow_score(start.next + second - first, start.next, goal.next)
