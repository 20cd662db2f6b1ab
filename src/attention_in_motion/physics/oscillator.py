"""The damped harmonic oscillator, exactly.

x'' + 2 γ x' + ω0² x = 0 with m = 1; the state is X = (x, p) with p = x'. Nothing here steps an
integrator: every trajectory is the closed-form flow, for under-, critically and over-damped motion.

Sources: posts 1 and 2 for the task; the flow is the exponential of A = [[0, 1], [-ω0², -2γ]].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def require_underdamped(omega0: Tensor | float, gamma: Tensor | float) -> None:
    """Raise ValueError unless 0 ≤ γ < ω0 everywhere, so that ω = √(ω0² − γ²) is real."""
    omega0, gamma = torch.as_tensor(omega0), torch.as_tensor(gamma)
    if not bool((omega0 > 0).all()):
        raise ValueError(f"omega0 = {omega0.min():g}: must be > 0")
    if not bool((gamma >= 0).all()):
        raise ValueError(f"gamma = {gamma.min():g}: must be >= 0")
    if not bool((gamma < omega0).all()):
        worst = (gamma - omega0).max()
        raise ValueError(
            f"gamma = {gamma.max():g}: must be < omega0 (underdamped), exceeds it by {worst:g}"
        )


def damped_frequency(omega0: Tensor, gamma: Tensor) -> Tensor:
    """ω = √(ω0² − γ²) [1/time], the frequency at which an underdamped oscillator rings."""
    return ((omega0 - gamma) * (omega0 + gamma)).sqrt()


def dynamics_matrix(omega0: Tensor, gamma: Tensor) -> Tensor:
    """A = [[0, 1], [−ω0², −2γ]], so that dX/dt = A X. Shapes (...), (...) → (..., 2, 2)."""
    zero, one = torch.zeros_like(omega0), torch.ones_like(omega0)
    rows = torch.stack([zero, one, -(omega0**2), -2 * gamma + zero], dim=-1)  # (..., 4)
    return rows.unflatten(-1, (2, 2))


def propagator(omega0: Tensor, gamma: Tensor | float, dt: Tensor | float) -> Tensor:
    """Exact flow K(ω0, γ, Δt) = exp(A Δt), smooth through critical damping γ = ω0.

        K = c I + s (A + γ I),   c = e^(−γΔt) cos(ωΔt),   s = e^(−γΔt) sin(ωΔt) / ω

    with cosh and sinh where γ > ω0, written so that no factor overflows. ω0, γ [1/time] and Δt
    [time] broadcast to (...); the result is (..., 2, 2) in their dtype and acts on (x, p).
    """
    gamma, dt = (torch.as_tensor(value, dtype=omega0.dtype) for value in (gamma, dt))
    omega0, gamma, dt = torch.broadcast_tensors(omega0, gamma, dt)
    u = (omega0 - gamma) * (omega0 + gamma) * dt**2  # (ωΔt)², negative when over-damped
    angle = u.clamp(min=0).sqrt()  # ωΔt
    kappa = (-u).clamp(min=torch.finfo(u.dtype).tiny).sqrt()  # √(γ²−ω0²) Δt
    slow = torch.exp(-((omega0 * dt) ** 2) / (gamma * dt + kappa))  # e^(−γΔt + κ), no cancellation
    ring = torch.exp(-gamma * dt)
    c = torch.where(u >= 0, ring * angle.cos(), slow * (1 + torch.exp(-2 * kappa)) / 2)
    s_under = ring * torch.sinc(angle / math.pi)
    s_over = -slow * torch.expm1(-2 * kappa) / (2 * kappa)
    s = torch.where(u >= 0, s_under, s_over) * dt
    top = torch.stack([c + gamma * s, s], dim=-1)
    bottom = torch.stack([-(omega0**2) * s, c - gamma * s], dim=-1)
    return torch.stack([top, bottom], dim=-2)  # (..., 2, 2)


def trajectory(
    state0: Tensor, omega0: Tensor | float, gamma: Tensor | float, times: Tensor
) -> Tensor:
    """X(t) = K(ω0, γ, t) X(0): state0 (..., 2), ω0 and γ (...), times (T,) → (..., T, 2).

    Times may also differ between trajectories: (..., T).
    """
    omega0, gamma = (torch.as_tensor(v, dtype=state0.dtype) for v in (omega0, gamma))
    flow = propagator(omega0.unsqueeze(-1), gamma.unsqueeze(-1), times)  # (..., T, 2, 2)
    return (flow * state0[..., None, None, :]).sum(-1)  # (..., T, 2)


def uniform_times(n_points: int, dt: Tensor | float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Times (0, Δt, …, (n_points − 1) Δt): (n_points,), or (..., n_points) for Δt (..., 1)."""
    return torch.arange(n_points, dtype=dtype) * dt


def energy(state: Tensor, omega0: Tensor | float) -> Tensor:
    """E = ½ (p² + ω0² x²) [energy at m = 1]; state (..., 2) → (...). Post 1 writes ω for ω0."""
    x, p = state.unbind(-1)
    return (p**2 + torch.as_tensor(omega0, dtype=x.dtype) ** 2 * x**2) / 2


def sample_box(shape: tuple[int, ...], low: float, high: float, rng: torch.Generator) -> Tensor:
    """x0, p0 ~ U[low, high] (the box of post 2's code is [0, 1])."""
    return low + (high - low) * torch.rand(*shape, 2, generator=rng)


def sample_normal(shape: tuple[int, ...], std: float, rng: torch.Generator) -> Tensor:
    """x0, p0 ~ N(0, std²) (post 1's first code has std = 1)."""
    return std * torch.randn(*shape, 2, generator=rng)


def sample_energy(
    shape: tuple[int, ...], e_min: float, e_max: float, omega0: float, rng: torch.Generator
) -> Tensor:
    """E ~ U[e_min, e_max] and a uniform phase (the energy ranges in the text of post 1)."""
    if not 0 <= e_min <= e_max:
        raise ValueError(f"e_min = {e_min:g}: must satisfy 0 <= e_min <= e_max = {e_max:g}")
    radius = (2 * (e_min + (e_max - e_min) * torch.rand(*shape, generator=rng))).sqrt()
    phase = 2 * math.pi * torch.rand(*shape, generator=rng)
    return torch.stack([radius * phase.cos() / omega0, radius * phase.sin()], dim=-1)


def phase_point(state: Tensor, omega0: Tensor, gamma: Tensor) -> Tensor:
    """z = x + i (p + γ x) / ω, complex; |z(t)| = |z(0)| e^(−γt) never crosses zero. Underdamped."""
    require_underdamped(omega0, gamma)
    x, p = state.unbind(-1)
    return torch.complex(x, (p + gamma * x) / damped_frequency(omega0, gamma))


def phase_space_error(
    predicted: Tensor, true: Tensor, omega0: Tensor | float, gamma: Tensor | float
) -> tuple[Tensor, Tensor, Tensor]:
    """e_n = |z_pred − z_true| / |z_true| with its amplitude and phase parts.

    States (..., 2) with ω0, γ broadcastable to (...); returns e (...), log |z_pred / z_true| and
    the phase lead −arg(z_pred / z_true) [rad] (z turns clockwise). Replaces the posts'
    (x_pred − x_true) / x_true, which diverges whenever x crosses zero.
    """
    omega0, gamma = (torch.as_tensor(v, dtype=true.dtype) for v in (omega0, gamma))
    ratio = phase_point(predicted, omega0, gamma) / phase_point(true, omega0, gamma)
    return (ratio - 1).abs(), ratio.abs().log(), -ratio.angle()


def identify(matrix: Tensor, dt: float) -> tuple[Tensor, Tensor]:
    """Recover (ω0, γ) from a one-step matrix K (..., 2, 2) of an underdamped oscillator.

    γ = −log det K / 2Δt (Abel) and cos ωΔt = tr K / (2 √det K), then ω0 = √(ω² + γ²).
    Exact for K = exp(A Δt) with ωΔt < π; for a learned K, the oscillator it implements.
    """
    det = matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]
    trace = matrix[..., 0, 0] + matrix[..., 1, 1]
    gamma = -det.log() / (2 * dt)
    omega = torch.acos(trace / (2 * det.sqrt())) / dt
    return (omega**2 + gamma**2).sqrt(), gamma


def integrator_maps(omega0: Tensor, gamma: Tensor, dt: float) -> dict[str, Tensor]:
    """One-step matrices (2, 2) of four textbook integrators of the same equation.

    With D = A Δt: Euler I + D; midpoint I + D + D²/2; RK4 Σ_{k≤4} D^k / k!; symplectic Euler
    kicks p first, then moves x with the new p.
    """
    d = dynamics_matrix(omega0, gamma) * dt  # (2, 2)
    eye = torch.eye(2, dtype=d.dtype)
    drift, kick = torch.eye(2, dtype=d.dtype), torch.eye(2, dtype=d.dtype)
    drift[0, 1], kick[1] = d[0, 1], eye[1] + d[1]
    powers = [eye, d, d @ d / 2, d @ d @ d / 6, d @ d @ d @ d / 24]
    return {
        "Euler": sum(powers[:2]),
        "symplectic Euler": drift @ kick,
        "midpoint": sum(powers[:3]),
        "RK4": sum(powers),
    }
