"""Does a model hold a quantity, and does it use it? What chapter 3's second page measures.

Probes of the residual stream by place and position; moving the stream from one frequency to
another; and the four criteria of Kantamneni, Liu and Tegmark (2024), "How do transformers do
physics?", for calling a numerical method *used*: its intermediates are (1) encoded, (2) the better
the smaller the error, (3) explain the stream, and (4) move the answer when they are moved. Unlike
there, every probe is scored on trajectories it was not fitted on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from attention_in_motion import oscillator
from attention_in_motion.probes import follow_score, held_out_r2, moved, r2, ridge
from attention_in_motion.record import record
from attention_in_motion.solver import size_of
from attention_in_motion.variable_omega import TestSet, for_every_seed

Features = Callable[[TestSet], Tensor]  # test set → (n, k)
POWERS = 5  # how many powers of exp(AΔt) or AΔt count as a method's intermediates


# What is encoded, and where.


@torch.no_grad()
def streams(model: nn.Module, test: TestSet) -> dict[str, Tensor]:
    """The residual stream and the heads' outputs by place: (seed, n, T', d), T' ≤ T the last ones.

    A model that answers for the last position alone has T' = 1 in its last block.
    """
    seen = record(model, for_every_seed(model, test.windows))
    kept = {name: h for name, h in seen.items() if name.endswith(("heads", "pre", "mid", "post"))}
    return {n: h.transpose(2, 3).flatten(3) if n.endswith("heads") else h for n, h in kept.items()}


def encoding(stream: Tensor, target: Tensor, fitted: Tensor) -> Tensor:
    """R² of a linear probe for each column of `target` at each position: (seed, T', k).

    stream (seed, n, T', d), target (n, k); fitted on the rows where `fitted` (n,), scored on the
    others.
    """
    probes = [[held_out_r2(h, target, fitted) for h in one.unbind(1)] for one in stream]
    return torch.stack([torch.stack(rows) for rows in probes])


def of_windows(test: TestSet, target: Tensor, fitted: Tensor) -> Tensor:
    """The same probe on the raw window, all its states side by side: (k,)."""
    return held_out_r2(test.windows.flatten(1), target, fitted)


def every_other(n: int) -> Tensor:
    """The rows to fit on when probes are split by trajectory: (n,), True, False, True, …"""
    return torch.arange(n) % 2 == 0


def inner_half(omega0: Tensor) -> Tensor:
    """The rows to fit on when probes are split by range: the middle half of the ω0 (n,)."""
    low, high = omega0.quantile(0.25), omega0.quantile(0.75)
    return (omega0 > low) & (omega0 < high)


# The intermediates of a method.


def powers(matrix: Tensor) -> Tensor:
    """Entries of M, M², …, M⁵ that vary between trajectories: (n, 2, 2) → (n, k)."""
    products = [torch.linalg.matrix_power(matrix, j).flatten(1) for j in range(1, POWERS + 1)]
    entries = torch.cat(products, dim=1)  # (n, 4 · POWERS)
    return entries[:, entries.std(0) > 1e-9]


def exponential(test: TestSet) -> Tensor:
    """The entries of K = exp(AΔt): (n, 4)."""
    return oscillator.propagator(test.omega0, test.gamma, test.dt).flatten(1)


def exponential_powers(test: TestSet) -> Tensor:
    """Matrix exponential: K¹ … K⁵, (n, 20)."""
    return powers(exponential(test).unflatten(1, (2, 2)))


def scaled_dynamics(test: TestSet) -> Tensor:
    """AΔt, (n, 2, 2)."""
    dt = torch.as_tensor(test.dt, dtype=test.omega0.dtype).expand(len(test.omega0))
    return oscillator.dynamics_matrix(test.omega0, test.gamma) * dt[:, None, None]


def taylor_powers(test: TestSet) -> Tensor:
    """Taylor, and every Runge–Kutta method: (AΔt)¹ … (AΔt)⁵, the entries that vary."""
    return powers(scaled_dynamics(test))


def multistep(test: TestSet) -> Tensor:
    """Linear multistep methods: the entries of AΔt that vary."""
    entries = scaled_dynamics(test).flatten(1)
    return entries[:, entries.std(0) > 1e-9]


METHODS: dict[str, Features] = {
    "matrix exponential": exponential_powers,
    "Taylor": taylor_powers,
    "linear multistep": multistep,
}


def beyond(target: Tensor, explaining: Tensor) -> Tensor:
    """What the best linear combination of `explaining` (n, k) leaves of `target` (n, m)."""
    return target - ridge(explaining, target, alpha=1e-12)(explaining)


# What explains the stream, and what moves the answer.


def explained(stream: Tensor, features: Tensor, fitted: Tensor) -> Tensor:
    """Share of the stream's variance that a linear map of `features` (n, k) explains: (seed,).

    stream (seed, n, T', d); fitted on the rows where `fitted`, scored on the others, all positions
    and hidden units together.
    """
    shares = []
    for h in stream.flatten(2):  # (n, T' d)
        found = ridge(features[fitted], h[fitted], alpha=1e-9)(features[~fitted])
        shares.append(r2(h[~fitted], found))
    return torch.tensor(shares)


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
        with moved(model, place, lambda h, shift=shift: h + shift.unflatten(2, h.shape[2:])):
            change = model(windows)[:, :, -1] - unmoved
        scores.append(follow_score(start.next + change, start.next, goal.next))
    return scores[0], scores[1]


@torch.no_grad()
def ceiling(model: nn.Module, start: TestSet, goal: TestSet) -> Tensor:
    """The score of a perfect move: the model shown the windows of `goal` instead: (seed, n)."""
    first, second = (model(for_every_seed(model, test.windows))[:, :, -1] for test in (start, goal))
    return follow_score(start.next + second - first, start.next, goal.next)
