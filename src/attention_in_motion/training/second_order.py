"""Second-order least squares for small models: where AdamW stalls, Levenberg–Marquardt goes on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from tqdm import tqdm

from attention_in_motion.training.descent import one_thread


class LevenbergMarquardt:
    """Second-order least squares for small models: θ ← θ − (JᵀJ/n + λ d I)⁻¹ Jᵀr/n, in float64.

    θ are the parameters of one seed of an ensemble, r the n residuals of a batch, J = ∂r/∂θ and d
    the mean diagonal entry of JᵀJ/n. λ falls after a step and rises after a step refused.
    """

    def __init__(self, model: nn.Module, index: int, damping: float = 1e-6) -> None:
        self.model, self.index, self.damping = model, index, damping
        weights = {name: p.detach()[index : index + 1] for name, p in model.named_parameters()}
        self.shapes = {name: weight.shape for name, weight in weights.items()}
        self.theta = torch.cat([weight.flatten() for weight in weights.values()]).double()

    def weights(self, theta: Tensor) -> dict[str, Tensor]:
        """The parameters by name, cut out of θ."""
        parts = theta.split([shape.numel() for shape in self.shapes.values()])
        return {k: p.view(s) for (k, s), p in zip(self.shapes.items(), parts, strict=True)}

    def predict(self, theta: Tensor, windows: Tensor) -> Tensor:
        """(n, T, 2) → (n, 2) with the parameters θ."""
        weights = self.weights(theta)
        return torch.func.functional_call(self.model, weights, (windows[None],))[0, :, -1]

    def jacobian(self, windows: Tensor) -> Tensor:
        """∂ prediction / ∂θ: (2 n, n_parameters), 64 windows at a time."""
        one = torch.func.jacrev(lambda theta, window: self.predict(theta, window[None])[0])
        rows = torch.func.vmap(one, in_dims=(None, 0), chunk_size=64)(self.theta, windows)
        return rows.flatten(0, 1)

    def step(self, windows: Tensor, target: Tensor, weight: Tensor | float = 1.0) -> float:
        """One step, the first of at most ten tries that lowers the mean square; returns that.

        `weight` (n, 1) multiplies the residuals of each window.
        """
        r = ((self.predict(self.theta, windows) - target) * weight).flatten()
        jacobian, before = self.jacobian(windows), r.square().mean()
        jacobian *= (weight * torch.ones_like(target)).flatten()[:, None]
        normal, gradient = jacobian.T @ jacobian / len(r), jacobian.T @ r / len(r)
        scale, eye = normal.diagonal().mean(), torch.eye(len(normal), dtype=normal.dtype)
        for _ in range(10):
            factor = torch.linalg.cholesky(normal + self.damping * scale * eye)
            theta = self.theta - torch.cholesky_solve(gradient[:, None], factor)[:, 0]
            after = ((self.predict(theta, windows) - target) * weight).square().mean()
            if after < before:
                self.theta, self.damping = theta, max(self.damping / 4, 1e-14)
                return float(after)
            self.damping *= 6
        return float(before)


@one_thread()
@torch.no_grad()
def polish(
    model: nn.Module,
    index: int,
    batches: Callable[[int], tuple[Tensor, Tensor | float]],
    iterations: int,
    every: int = 5,
) -> None:
    """Levenberg–Marquardt steps on one seed of the ensemble, in place.

    A new batch, of trajectories (n, T + 1, 2) and the weights of their residuals, comes every
    `every` steps. The step runs in float64; on one thread; the result is rounded to the ensemble's
    precision.
    """
    optimiser = LevenbergMarquardt(model, index)
    for iteration in tqdm(range(iterations), desc="Levenberg–Marquardt", disable=None):
        if iteration % every == 0:
            states, weight = batches(iteration // every)
        optimiser.step(states[:, :-1], states[:, -1], weight)
    for name, parameter in optimiser.weights(optimiser.theta).items():
        model.get_parameter(name)[index] = parameter[0]
