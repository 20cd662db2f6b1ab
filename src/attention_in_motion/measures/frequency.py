"""Which ω0 a model believes in, and where it may have it from. Windows (n, T, 2) → ω̂ (n,)."""

from __future__ import annotations

import torch
from torch import Tensor

from attention_in_motion.measures.trajectories import TestSet
from attention_in_motion.models.linear import in_context_map
from attention_in_motion.physics import oscillator


def believed_omega0(
    last: Tensor, predicted: Tensor, gamma: Tensor, dt: float, limits: tuple[float, float]
) -> Tensor:
    """argmin_ω |K(ω, γ, Δt) last − predicted|: (..., 2), (..., 2), (...) → (...).

    A grid over `limits` [1/time], zoomed in three times; the oscillator whose step the model takes.
    No answer leaves the limits: one that equals a limit means that they are too narrow.
    Above π/Δt a frequency looks like a lower one, so the upper limit should not be higher.
    """
    low, high = (torch.full_like(last[..., 0], end) for end in limits)  # (...)
    fractions = torch.linspace(0, 1, 81, dtype=last.dtype)
    for zoom in range(4):
        omega0 = low[..., None] + (high - low)[..., None] * fractions  # (..., 81)
        flow = oscillator.propagator(omega0, gamma[..., None], dt)  # (..., 81, 2, 2)
        miss = (flow * last[..., None, None, :]).sum(-1) - predicted[..., None, :]
        best = omega0.gather(-1, miss.square().sum(-1).argmin(-1, keepdim=True))[..., 0]
        width = (limits[1] - limits[0]) / 80 / 40**zoom
        low, high = (best - width).clamp(min=limits[0]), (best + width).clamp(max=limits[1])
    return best


def at_an_end(found: Tensor, limits: tuple[float, float]) -> float:
    """Share of answers of a search over `limits` that lie at one of its ends, or zoomed past it.

    Those are no answers: the best frequency may lie outside.
    """
    return ((found <= limits[0]) | (found >= limits[1])).double().mean().item()


def moment_ratio(windows: Tensor) -> Tensor:
    """√(⟨p²⟩ / ⟨x²⟩): needs no order, exact only over whole periods without damping."""
    x2, p2 = windows.square().mean(dim=-2).unbind(-1)
    return (p2 / x2).sqrt()


def slope(windows: Tensor) -> Tensor:
    """√(−slope of p² on x²): needs no order, exact without damping (p² = 2E − ω0² x²)."""
    x2, p2 = windows.square().unbind(-1)
    x2, p2 = x2 - x2.mean(-1, keepdim=True), p2 - p2.mean(-1, keepdim=True)
    return (-(x2 * p2).sum(-1) / x2.square().sum(-1)).clamp(min=0).sqrt()


def neighbour(windows: Tensor, gamma: Tensor, dt: float, limits: tuple[float, float]) -> Tensor:
    """The ω0 that best carries the nearest other state to the last one in one step.

    Needs no order: along the orbit, the nearest of the other states is mostly the one a step
    before.
    """
    last, others = windows[:, -1], windows[:, :-1]
    nearest = (others - last[:, None]).square().sum(-1).argmin(-1)  # (n,)
    near = others[torch.arange(len(others)), nearest]
    return believed_omega0(near, last, gamma, dt, limits)


def least_squares(windows: Tensor, dt: float) -> Tensor:
    """ω0 of the in-context least-squares K̂; exact, but needs the order of the states."""
    return oscillator.identify(in_context_map(windows), dt)[0]


def sensitivity(test: TestSet) -> Tensor:
    """|∂ K(ω0) X_T / ∂ω0|, how much the next state depends on ω0: (n,). Central difference."""
    step = 1e-5
    above, below = (
        oscillator.propagator(test.omega0 + shift, test.gamma, test.dt) for shift in (step, -step)
    )
    last = test.windows[:, -1, None, :]
    return (((above - below) / (2 * step)) * last).sum(-1).norm(dim=-1)


def partial_r2(outcome: Tensor, explaining: Tensor, given: Tensor, weight: Tensor) -> float:
    """Share of the outcome's variance left by a cubic in `given` that `explaining` accounts for.

    (n,) each; every row is multiplied by `weight`. Both regressions are fitted on the even rows and
    scored on the odd ones.
    """
    base = torch.stack([given**k for k in range(4)], dim=1)  # (n, 4)
    whole = torch.cat([base, explaining[:, None]], dim=1)
    rows, target = weight[:, None], weight * outcome
    left = [held_out_residue(rows * design, target) for design in (base, whole)]
    return float(1 - left[1] / left[0])


def held_out_residue(design: Tensor, outcome: Tensor) -> Tensor:
    """Squared error on odd rows of the least squares fitted on even rows."""
    weights = torch.linalg.lstsq(design[::2], outcome[::2, None]).solution
    return (design[1::2] @ weights - outcome[1::2, None]).square().sum()


def explained_by(off: Tensor, miss: Tensor, omega0: Tensor, weight: Tensor, rows: Tensor) -> Tensor:
    """`partial_r2` of each seed's error on an estimator's, given ω0, on some rows: (seed,).

    off (seed, n); miss, ω0, weight (n,); rows: a mask over (n,).
    """
    chosen = miss[rows], omega0[rows], weight[rows]
    return torch.tensor([partial_r2(one[rows], *chosen) for one in off])


def relative_error(found: Tensor, omega0: Tensor, weight: Tensor) -> Tensor:
    """√(Σ (w (ω̂ − ω0) / ω0)² / Σ w²): ω̂ (..., n), ω0 and weights (n,) → (...)."""
    weighted = weight * (found - omega0) / omega0
    return (weighted.square().sum(-1) / weight.square().sum()).sqrt()


def following(
    before: Tensor, after: Tensor, cue_before: Tensor, cue_after: Tensor, weight: Tensor
) -> Tensor:
    """Slope through zero of log(after / before) on log(cue after / cue before): (seed,).

    Beliefs (seed, n), cues and weights (n,): 1 if the belief moves as the cue does, 0 if not.
    """
    pushed = weight * (cue_after / cue_before).log()
    followed = weight * (after / before).log()
    return (followed * pushed).sum(-1) / pushed.square().sum()


def with_other_moments(windows: Tensor) -> Tensor:
    """The same orbit seen elsewhere: of the first T − 1 states the half richest in p², twice.

    Every state stays on its orbit, the slope of p² on x² too up to damping, but ⟨p²⟩ / ⟨x²⟩ rises.
    The last state is kept. (n, T, 2) → (n, T, 2).
    """
    cloud, last = windows[:, :-1], windows[:, -1:]
    x2, p2 = cloud.square().unbind(-1)
    share = p2 / (p2 + x2 * p2.mean(-1, keepdim=True) / x2.mean(-1, keepdim=True))
    order = share.argsort(dim=-1, descending=True)  # (n, T − 1)
    half = order[:, : (cloud.shape[1] + 1) // 2]
    chosen = torch.cat([half, half], dim=1)[:, : cloud.shape[1]]
    return torch.cat([cloud.gather(1, chosen[..., None].expand(-1, -1, 2)), last], dim=1)
