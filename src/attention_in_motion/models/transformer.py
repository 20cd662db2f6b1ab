"""The posts' attention-only transformers (OLA, nLA), and one that steps in units of its window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attention_in_motion.models.attention import Attention, Linear, draw_uniform

NORM_EPSILON = 1e-5  # added to the variance in a LayerNorm, as by PyTorch and GPT-2


class MLP(nn.Module):
    """W_2 GELU(W_1 x): (seed, ..., d_model) → same."""

    def __init__(self, d_model: int, d_mlp: int, rngs: list[torch.Generator]) -> None:
        super().__init__()
        self.W_1, self.W_2 = Linear(d_model, d_mlp, True, rngs), Linear(d_mlp, d_model, True, rngs)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_2(nn.functional.gelu(self.W_1(x)))


class LayerNorm(nn.Module):
    """w (x − mean) / √(variance + 10⁻⁵) + b over the last axis: (seed, batch, time, d) → same."""

    def __init__(self, n_seeds: int, d_model: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(n_seeds, 1, 1, d_model))
        self.b = nn.Parameter(torch.zeros(n_seeds, 1, 1, d_model))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, x.shape[-1:], eps=NORM_EPSILON) * self.w + self.b


class Block(nn.Module):
    """h ← h + Attention(h), then h ← h + MLP(h) if there is one; `residual=False` drops the h +.

    With `layer_norm`, each part reads LN(h) instead of h and still adds to h (pre-LN, as GPT-2);
    with `post` as well, it reads h, and the sum is normalised: h ← LN(h + Attention(h)) (post-LN,
    as the first transformer). Raises ValueError for `post` without `layer_norm`.
    """

    def __init__(
        self,
        attention: Attention,
        mlp: MLP | None = None,
        *,
        residual: bool = True,
        layer_norm: bool = False,
        post: bool = False,
    ) -> None:
        super().__init__()
        if post and not layer_norm:
            raise ValueError("post = True: must be False without layer_norm")
        self.attention, self.mlp, self.residual, self.post = attention, mlp, residual, post
        shape = attention.W_Q.W.shape[:2]  # (seed, d_model)
        self.ln_1 = LayerNorm(*shape) if layer_norm else None
        self.ln_2 = LayerNorm(*shape) if layer_norm and mlp is not None else None
        self.resid_mid, self.resid_post = nn.Identity(), nn.Identity()

    def forward(self, h: Tensor, last: bool = False) -> Tensor:
        written = self.attention(self.before(self.ln_1, h), last)
        h = h[:, :, -1:] if last else h
        h = self.resid_mid(self.after(self.ln_1, written + (h if self.residual else 0)))
        if self.mlp is not None:
            written = self.mlp(self.before(self.ln_2, h))
            h = self.after(self.ln_2, written + (h if self.residual else 0))
        return self.resid_post(h)  # (seed, batch, time, d_model)

    def before(self, norm: LayerNorm | None, h: Tensor) -> Tensor:
        """What a part reads."""
        return h if norm is None or self.post else norm(h)

    def after(self, norm: LayerNorm | None, h: Tensor) -> Tensor:
        """What becomes of the stream once a part has written."""
        return norm(h) if norm is not None and self.post else h


class NLA(nn.Module):
    """n-layer attention-only transformer; OLA is the case n_layers = 1. Posts 1 and 2.

        h⁰ = W_E X (+ b_E) (+ P);   hˡ = hˡ⁻¹ + Σ_heads A(hˡ⁻¹) hˡ⁻¹ W_V W_O;   Y = W_U hⁿ (+ b_U)

    X (seed, batch, time, d_in) → Y (seed, batch, time, d_out): Y_t predicts X_{t+1}; with `last`,
    Y_T alone is computed (the last block's other queries are skipped). One generator in `rngs` per
    seed draws that seed's weights. `context` is the length of the learned positional embedding P
    (none when 0); `d_mlp` adds an MLP to each block, `layer_norm` a LayerNorm before each part of
    it, or with `post` after it. Errors: see Attention and Block.
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
        layer_norm: bool = False,
        post: bool = False,
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
                layer_norm=layer_norm,
                post=post,
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


CHANGE = 0.3  # the typical size of a state's change in one step, relative to the state


def size_of(windows: Tensor) -> Tensor:
    """s, the root mean square over states and components: (..., T, 2) → (..., 1, 1)."""
    return windows.square().mean(dim=(-2, -1), keepdim=True).sqrt().clamp(min=1e-12)


class ScaledStep(nn.Module):
    """Y_T = X_T + 0.3 s W_U hⁿ(X / s): the change of the state, in units of the window's size s.

    The oscillator's flow is linear, so the next state scales with the trajectory; a softmax does
    not know that. Here the model is told: it sees the window divided by its root mean square s
    and its answer is multiplied by it. X (seed, batch, T, 2) → (seed, batch, 1, 2), for the last
    position alone. With `normalised`, Y(cX) = c Y(X) exactly; without, s = 1. Chapter 3.
    """

    def __init__(self, core: NLA, *, normalised: bool) -> None:
        super().__init__()
        self.core, self.normalised = core, normalised

    def forward(self, x: Tensor, last: bool = True) -> Tensor:
        size = size_of(x) if self.normalised else torch.ones_like(x[..., :1, :1])
        return x[..., -1:, :] + CHANGE * size * self.core(x / size, last=True)
