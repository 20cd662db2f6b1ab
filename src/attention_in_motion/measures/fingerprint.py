"""Which algorithm does a predictor use? Its Jacobian beside those of known estimators.

On windows without noise every exact method gives the same answer; what tells them apart is how the
answer moves when single states of the window are wrong, that is their Jacobians. A predictor maps
windows (..., n, T, 2) to next states (..., n, 2), each window by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attention_in_motion.measures.trajectories import Predictor
from attention_in_motion.physics import oscillator

Misfit = Callable[[Tensor, Tensor], Tensor]  # windows (n, T, 2), ω0 (n,) → squared error (n,)


def jacobian(predict: Predictor, windows: Tensor) -> Tensor:
    """∂ answer / ∂ window, (..., n, T, 2) → (..., n, 2, T, 2)."""
    windows = windows.clone().requires_grad_()
    answers = predict(windows)  # (..., n, 2)
    rows = [
        torch.autograd.grad(one.sum(), windows, retain_graph=True)[0] for one in answers.unbind(-1)
    ]
    return torch.stack(rows, dim=-3)


def likeness(a: Tensor, b: Tensor) -> Tensor:
    """Mean over windows of the cosine of two Jacobians before the last state: (...).

    The last state is left out: to take or not to take it as it is makes up nearly all of most
    Jacobians, so that with it two methods look alike, or unlike, by that alone.
    """
    past = (before_the_last(one) for one in (a, b))
    return torch.cosine_similarity(*past, dim=-1).mean(dim=-1)


def before_the_last(jacobians: Tensor) -> Tensor:
    """Jacobians without the last state's block, as vectors: (..., 2, T, 2) → (..., 4 (T − 1))."""
    return jacobians[..., :-1, :].flatten(-3)


def between_seeds(jacobians: Tensor) -> Tensor:
    """Each seed's mean likeness to the others: Jacobians (seed, n, 2, T, 2) → (seed,)."""
    alike = likeness(jacobians[:, None], jacobians[None])  # (seed, seed)
    return (alike.sum(dim=1) - alike.diagonal()) / (len(jacobians) - 1)


def between_windows(jacobians: Tensor) -> Tensor:
    """Mean cosine between a method's Jacobians at two different windows: (..., n, 2, T, 2) → (...).

    Before the last state, as `likeness`. 1 for a linear rule, whose Jacobian is one and the same.
    """
    unit = torch.nn.functional.normalize(before_the_last(jacobians), dim=-1)
    n = unit.shape[-2]
    return (unit.sum(dim=-2).square().sum(dim=-1) - n) / (n * (n - 1))


def weight(jacobians: Tensor) -> Tensor:
    """How much each position of the window counts: (..., n, 2, T, 2) → (..., T).

    The norm of the Jacobian's 2 × 2 block there, averaged over windows.
    """
    return jacobians.square().sum(dim=(-3, -1)).sqrt().mean(dim=-2)


def next_by_next(gamma: float, dt: float) -> tuple[Misfit, Predictor]:
    """Σ_t |X_{t+1} − K(ω0) X_t|², least squares on steps for a known form of K, and K(ω̂0) X_T."""

    def misfit(windows: Tensor, omega0: Tensor) -> Tensor:
        flow = oscillator.propagator(omega0, gamma, dt)  # (n, 2, 2)
        stepped = windows[..., :-1, :] @ flow.mT  # (n, T − 1, 2)
        return (windows[..., 1:, :] - stepped).square().sum(dim=(-2, -1))

    def answer(windows: Tensor, omega0: Tensor) -> Tensor:
        return (oscillator.propagator(omega0, gamma, dt) * windows[..., -1, None, :]).sum(-1)

    return misfit, answer


def whole_orbit(gamma: float, dt: float) -> tuple[Misfit, Predictor]:
    """min_X Σ_t |X_t − K(ω0)^t X|², the orbit nearest to the whole window t = 1…T, and its next.

    For Gaussian noise this is the likelihood's maximum, and for little of it the Bayes answer.
    """

    def start(windows: Tensor, omega0: Tensor) -> tuple[Tensor, Tensor]:
        times = torch.arange(1, windows.shape[-2] + 1, dtype=windows.dtype) * dt  # (T,)
        flow = oscillator.propagator(omega0[..., None], gamma, times).flatten(-3, -2)  # (n, 2T, 2)
        flat = windows.flatten(-2)[..., None]  # (n, 2T, 1)
        state = torch.linalg.solve(flow.mT @ flow, flow.mT @ flat)  # (n, 2, 1)
        return state, flat - flow @ state

    def misfit(windows: Tensor, omega0: Tensor) -> Tensor:
        return start(windows, omega0)[1].square().sum(dim=(-2, -1))

    def answer(windows: Tensor, omega0: Tensor) -> Tensor:
        until = (windows.shape[-2] + 1) * dt
        return (oscillator.propagator(omega0, gamma, until) @ start(windows, omega0)[0])[..., 0]

    return misfit, answer


def posterior_mean(gamma: float, dt: float, noise: float, omega0: Tensor) -> Predictor:
    """E[X_{T+1} | window] for Gaussian noise of deviation `noise`, ω0 uniform on the grid (G,).

    The start has a flat prior and is integrated out: the weight of ω0 is
    |FᵀF|^(−1/2) exp(−min_X |w − F X|²/2σ²), with F X the orbit from X and w the window, and its
    answer that of the nearest orbit. The grid must be finer than the posterior is wide.
    """
    misfit, answer = whole_orbit(gamma, dt)

    def predict(windows: Tensor) -> Tensor:
        each = windows[..., None, :, :]  # (n, 1, T, 2)
        times = torch.arange(1, windows.shape[-2] + 1, dtype=windows.dtype) * dt  # (T,)
        flow = oscillator.propagator(omega0[:, None], gamma, times).flatten(-3, -2)  # (G, 2T, 2)
        volume = torch.linalg.det(flow.mT @ flow).log() / 2  # (G,)
        belief = (-misfit(each, omega0) / (2 * noise**2) - volume).softmax(-1)  # (n, G)
        return (belief[..., None] * answer(each, omega0)).sum(-2)

    return predict


def estimator(method: tuple[Misfit, Predictor], omega0: Tensor, steps: int = 1) -> Predictor:
    """The predictor that minimises a misfit over ω0, by Newton's steps from ω0 (n,).

    Where that is the minimum already, as on windows without noise, one step changes nothing and
    gives the predictor its derivative.
    """
    misfit, answer = method

    def predict(windows: Tensor) -> Tensor:
        found = omega0.expand(windows.shape[:-2])  # a window, an ω0
        for _ in range(steps):
            found = newton(misfit, windows, found)
        return answer(windows, found)

    return predict


def newton(misfit: Misfit, windows: Tensor, omega0: Tensor) -> Tensor:
    """ω0 − m′/m″ for each window; its derivative by the windows is that of the minimum."""
    at = omega0.detach().requires_grad_()
    (slope,) = torch.autograd.grad(misfit(windows, at).sum(), at, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), at, retain_graph=True)
    return at.detach() - slope / curvature.detach()
