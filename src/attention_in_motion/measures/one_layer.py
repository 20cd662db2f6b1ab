"""What a one-layer model is: the affine map it makes of one state, and its two paths."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def one_step_map(model: nn.Module) -> tuple[Tensor, Tensor]:
    """The affine map x ↦ M x + c that a one-layer model *is* at context 1, where softmax = 1.

    M = (W_E (I + W_V W_O) W_U)ᵀ (seed, 2, 2) and c (seed, 2); only without attention biases, MLP
    and positions. Post 2, "OLA is a linear model"; chapter 2 proves it.
    """
    attention = model.blocks[0].attention
    eye = torch.eye(model.W_E.W.shape[-1], dtype=model.W_E.W.dtype)
    through = (eye + attention.W_V.W @ attention.W_O.W) @ model.W_U.W  # (seed, d_model, 2)
    matrix = (model.W_E.W @ through).mT
    if model.W_E.b is None:
        return matrix, torch.zeros_like(matrix[..., 0])
    return matrix, (model.W_E.b @ through + model.W_U.b).squeeze(-2)


def attention_share(model: nn.Module) -> Tensor:
    """‖W_U W_O W_V W_E‖_F / ‖W_U W_E‖_F of a one-layer model: (seed,). Post 2, "W_O is zero"."""
    attention = model.blocks[0].attention
    direct = model.W_E.W @ model.W_U.W  # (seed, 2, 2)
    through = model.W_E.W @ attention.W_V.W @ attention.W_O.W @ model.W_U.W
    return through.norm(dim=(1, 2)) / direct.norm(dim=(1, 2))


def without_attention(model: nn.Module) -> nn.Module:
    """A copy of the model whose attention writes nothing (W_O = 0)."""
    cut = copy.deepcopy(model)
    for block in cut.blocks:
        block.attention.W_O.W.zero_()
    return cut
