"""Which inputs move which outputs: the exact Jacobian of a sequence model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def saliency(predict: Callable[[Tensor], Tensor], window: Tensor) -> Tensor:
    """J_ij = ∂Y_i / ∂X_j, by reverse-mode differentiation (post 2, Fig. 2).

    `predict` maps an ensemble's input (seed, 1, T, 2) to its outputs of the same shape; `window`
    (seed, T, 2) is one trajectory per seed. Returns (seed, T, T, 2, 2): output position, input
    position, output component, input component.
    """

    def summed(x: Tensor) -> Tensor:
        # seeds do not interact, so summing over them leaves each seed's own Jacobian
        return predict(x[:, None])[:, 0].sum(dim=0)  # (T, 2)

    jacobian = torch.func.jacrev(summed)(window)  # (T, 2, seed, T, 2)
    return jacobian.permute(2, 0, 3, 1, 4)


def off_diagonal_share(jacobian: Tensor) -> Tensor:
    """Σ_{i≠j} ‖J_ij‖_F / Σ_ij ‖J_ij‖_F, zero for a model that looks at the last state only.

    Shape (seed, T, T, 2, 2) → (seed,).
    """
    size = jacobian.flatten(-2).norm(dim=-1)  # (seed, T, T)
    diagonal = size.diagonal(dim1=-2, dim2=-1).sum(-1)
    return 1 - diagonal / size.sum(dim=(-2, -1))
