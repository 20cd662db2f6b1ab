"""The posts' models: attention-only transformers (OLA, nLA) and their linear rivals."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from attention_in_motion.attention import Attention, Linear, draw_uniform


class MLP(nn.Module):
    """W_2 GELU(W_1 x): (seed, ..., d_model) → same."""

    def __init__(self, d_model: int, d_mlp: int, rngs: list[torch.Generator]) -> None:
        super().__init__()
        self.W_1, self.W_2 = Linear(d_model, d_mlp, True, rngs), Linear(d_mlp, d_model, True, rngs)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_2(nn.functional.gelu(self.W_1(x)))


class Block(nn.Module):
    """h ← h + Attention(h), then h ← h + MLP(h) if there is one; `residual=False` drops the h +."""

    def __init__(
        self, attention: Attention, mlp: MLP | None = None, *, residual: bool = True
    ) -> None:
        super().__init__()
        self.attention, self.mlp, self.residual = attention, mlp, residual
        self.resid_mid, self.resid_post = nn.Identity(), nn.Identity()

    def forward(self, h: Tensor, last: bool = False) -> Tensor:
        written, h = self.attention(h, last), h[:, :, -1:] if last else h
        h = self.resid_mid(written + (h if self.residual else 0))
        if self.mlp is not None:
            h = self.mlp(h) + (h if self.residual else 0)
        return self.resid_post(h)  # (seed, batch, time, d_model)


class NLA(nn.Module):
    """n-layer attention-only transformer; OLA is the case n_layers = 1. Posts 1 and 2.

        h⁰ = W_E X (+ b_E) (+ P);   hˡ = hˡ⁻¹ + Σ_heads A(hˡ⁻¹) hˡ⁻¹ W_V W_O;   Y = W_U hⁿ (+ b_U)

    X (seed, batch, time, d_in) → Y (seed, batch, time, d_out): Y_t predicts X_{t+1}; with `last`,
    Y_T alone is computed (the last block's other queries are skipped). One generator in `rngs` per
    seed draws that seed's weights. `context` is the length of the learned positional embedding P
    (none when 0); `d_mlp` adds an MLP to each block. Errors: see Attention.
    """

    def __init__(
        self,
        rngs: list[torch.Generator],
        *,
        n_layers: int = 1,
        d_model: int = 2,
        d_head: int = 2,
        n_heads: int = 1,
        causal: bool = True,
        bias: bool = True,
        attention_bias: bool = False,
        residual: bool = True,
        logit_scale: str = "d_head",
        context: int = 0,
        d_mlp: int = 0,
        d_in: int = 2,
        d_out: int = 2,
    ) -> None:
        super().__init__()
        self.W_E = Linear(d_in, d_model, bias, rngs)
        self.P = draw_uniform((1, context, d_model), d_model**-0.5, rngs) if context else None
        options = {"n_heads": n_heads, "causal": causal, "logit_scale": logit_scale}
        self.blocks = nn.ModuleList(
            Block(
                Attention(d_model, d_head, rngs, bias=attention_bias, **options),
                MLP(d_model, d_mlp, rngs) if d_mlp else None,
                residual=residual,
            )
            for _ in range(n_layers)
        )
        self.W_U = Linear(d_model, d_out, bias, rngs)
        self.resid_pre = nn.Identity()

    def forward(self, x: Tensor, last: bool = False) -> Tensor:
        h = self.W_E(x)  # (seed, batch, time, d_model)
        if self.P is not None:
            h = h + self.P[:, :, : h.shape[2]]
        h = self.resid_pre(h)
        for i, block in enumerate(self.blocks, 1):
            h = block(h, last=last and i == len(self.blocks))
        return self.W_U(h)  # (seed, batch, time, d_out)


def one_step_map(model: NLA) -> tuple[Tensor, Tensor]:
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


class LinearPredictor(nn.Module):
    """X_{T+1} = Σ_t β_t X_t + c (post 2, Eq. 2): (seed, batch, time, 2) → (seed, batch, 1, 2).

    It answers for the last position alone, whether `last` is asked for or not.
    """

    def __init__(self, rngs: list[torch.Generator], context: int) -> None:
        super().__init__()
        self.beta = Linear(2 * context, 2, True, rngs)

    def forward(self, x: Tensor, last: bool = True) -> Tensor:
        return self.beta(x.flatten(-2)).unsqueeze(-2)


def solve_linear_predictor(windows: Tensor, targets: Tensor, rcond: float) -> tuple[Tensor, int]:
    """Least-squares β of Eq. 2 with its constant: windows (n, T, 2), targets (n, 2).

    Minimum-norm solution with singular values below rcond · σ_max dropped; returns the matrix
    (2T + 1, 2), constant last, and the rank kept. Evaluate with `apply_linear_predictor`.
    """
    design = with_constant(windows)
    solution = torch.linalg.lstsq(design, targets, rcond=rcond, driver="gelsd")
    return solution.solution, int(solution.rank)


def with_constant(windows: Tensor) -> Tensor:
    """Flatten windows (..., T, 2) to (..., 2T + 1) with a trailing 1."""
    flat = windows.flatten(-2)
    return torch.cat([flat, torch.ones_like(flat[..., :1])], dim=-1)


def apply_linear_predictor(beta: Tensor, windows: Tensor) -> Tensor:
    """Σ_t β_t X_t + c for windows (..., T, 2) → (..., 2)."""
    return with_constant(windows) @ beta


def in_context_least_squares(windows: Tensor) -> Tensor:
    """K̂ = argmin_K Σ_t |X_{t+1} − K X_t|² from each window alone, and its prediction K̂ X_T.

    windows (..., T, 2), T ≥ 3 → (..., 2). Exact for every oscillator, whatever its ω0 and γ: the
    ceiling for one-step prediction, known elsewhere as dynamic mode decomposition.
    """
    return (windows[..., -1:, :] @ in_context_map(windows).mT).squeeze(-2)


def in_context_map(windows: Tensor) -> Tensor:
    """The K̂ of `in_context_least_squares`: windows (..., T, 2), T ≥ 3 → (..., 2, 2)."""
    if windows.shape[-2] < 3:
        raise ValueError(f"T = {windows.shape[-2]}: in-context least squares needs T >= 3")
    return torch.linalg.lstsq(windows[..., :-1, :], windows[..., 1:, :]).solution.mT


def attention_share(model: NLA) -> Tensor:
    """‖W_U W_O W_V W_E‖_F / ‖W_U W_E‖_F of a one-layer model: (seed,). Post 2, "W_O is zero"."""
    attention = model.blocks[0].attention
    direct = model.W_E.W @ model.W_U.W  # (seed, 2, 2)
    through = model.W_E.W @ attention.W_V.W @ attention.W_O.W @ model.W_U.W
    return through.norm(dim=(1, 2)) / direct.norm(dim=(1, 2))


def without_attention(model: NLA) -> NLA:
    """A copy of the model whose attention writes nothing (W_O = 0)."""
    cut = copy.deepcopy(model)
    for block in cut.blocks:
        block.attention.W_O.W.zero_()
    return cut
