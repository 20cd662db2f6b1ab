"""The causal mask: what leaks through an open one, and the effects of a two-level factorial."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from attention_in_motion.measures.trajectories import (
    Predictor,
    TestSet,
    for_every_seed,
    in_parts,
)
from attention_in_motion.models.activations import record


@torch.no_grad()
def mse_by_position(model: nn.Module, test: TestSet, positions: list[int]) -> Tensor:
    """Mean squared error at `positions`, where position t predicts state t + 1: (seed, positions).

    The last position, T − 1 as Python counts, is asked for the state after the window.
    """
    miss = model(for_every_seed(model, test.windows)) - test.states[:, 1 : test.context + 1]
    return miss[:, :, positions].square().mean(dim=(1, 3))


@torch.no_grad()
def leak(model: nn.Module, test: TestSet, positions: list[int]) -> dict[str, Tensor]:
    """The same error with what stands after position t changed, by what is done: see `futures`.

    A model that copies its answer needs the answer alone; one that learns ω0 from the future needs
    the rest of it, and is as lost among foreign states with the answer in view as without. Only
    changes of one of the two at a time tell them apart.
    """
    x, spare = for_every_seed(model, test.windows), test.states[:, -1]
    found: dict[str, list[Tensor]] = {}
    for t in positions:
        for name, window in futures(x, spare, t).items():
            miss = model(window)[:, :, t] - test.states[:, t + 1]
            found.setdefault(name, []).append(miss.square().mean(dim=(1, 2)))
    return {name: torch.stack(values, dim=1) for name, values in found.items()}


def futures(x: Tensor, spare: Tensor, t: int) -> dict[str, Tensor]:
    """Windows x (seed, n, T, 2) changed after position t; nothing is to change at the last.

    "answer removed": state t + 1 is replaced by `spare` (n, 2), a state of the same trajectory that
    is not in the window. "future exchanged": all later states are those of the next trajectory in
    the set. "exchanged, answer kept": all but state t + 1.
    """
    answer = slice(t + 1, t + 2)
    removed, exchanged = x.clone(), x.clone()
    removed[:, :, answer] = spare[:, None]
    exchanged[:, :, t + 1 :] = x.roll(1, 1)[:, :, t + 1 :]
    kept = exchanged.clone()
    kept[:, :, answer] = x[:, :, answer]
    return {
        "answer removed": removed,
        "future exchanged": exchanged,
        "exchanged, answer kept": kept,
    }


@torch.no_grad()
def mass_on_next(model: nn.Module, test: TestSet) -> Tensor:
    """Attention weight from t to t + 1, the highest of the layers: (seed,), mean over t < T."""
    seen = record(model, for_every_seed(model, test.windows))
    maps = [weights for name, weights in seen.items() if name.endswith("attention.weights")]
    means = [weights.diagonal(1, -2, -1).mean(dim=(1, 2, 3)) for weights in maps]
    return torch.stack(means).amax(dim=0)


def change_by_order(predict: Predictor, windows: Tensor, rng: torch.Generator) -> Tensor:
    """Relative change of the prediction when all states but the last are shuffled: (seed,).

    ‖Y(shuffled) − Y‖ / ‖Y‖ over the windows (n, T, 2); zero for a model that sees a set.
    """
    order = torch.randperm(windows.shape[1] - 1, generator=rng)
    shuffled = torch.cat([windows[:, order], windows[:, -1:]], dim=1)
    answer, other = in_parts(predict, windows[None]), in_parts(predict, shuffled[None])
    return (other - answer).norm(dim=(1, 2)) / answer.norm(dim=(1, 2))


def effect(outcome: Tensor, factors: tuple[int, ...]) -> Tensor:
    """Effect of a factor, or interaction of several, in a two-level factorial: (2, …, 2, seed) →
    (seed,).

    The mean over the cells in which an even number of `factors` (axes) is at its first level, minus
    that over the others; so a main effect is second level minus first.
    """
    sign = torch.ones_like(outcome)
    for axis in factors:
        sign.select(axis, 0).neg_()
    return 2 * (sign * outcome).flatten(0, -2).mean(0)


def effects(outcome: Tensor, factors: list[str]) -> dict[str, Tensor]:
    """Every main effect and interaction by name, main effects first: {name: (seed,)}.

    outcome (2, …, 2, seed), one axis per factor. An interaction is named 'a × b', that of all
    factors, if more than two, 'all of them'.
    """
    found = {}
    for size in range(1, len(factors) + 1):
        for axes in itertools.combinations(range(len(factors)), size):
            name = " × ".join(factors[axis] for axis in axes)
            whole = 2 < size == len(factors)
            found["all of them" if whole else name] = effect(outcome, axes)
    return found
