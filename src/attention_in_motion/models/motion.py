"""Post 3's layer over two tokens, and layers written down by hand that are exact, or nearly.

Post 3, "Physics 1 – Attention can't exactly simulate uniform linear motion".
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from attention_in_motion.models.attention import Linear, draw_uniform

PROJECTIONS = ("both", "up", "none")


class MotionAttention(nn.Module):
    """Post 3's model: one attention layer that reads two tokens and predicts the next position.

        h_i = W_E x_i (+ b_E) + P_i
        Δ = (W_Q h1 + b_Q) · W_K (h1 − h0) / √d_model                 the logit gap, per head
        y = Σ_heads W_V (h0 + σ(Δ)(h1 − h0)) + b_V (+ h1);  Y = W_U y (+ b_U)

    A softmax over two tokens is the sigmoid of their logit gap. It leaves no trace of a key bias,
    so there is none; W_V stands for the product of value and output matrices, which is all that
    enters. `projections` "up" has no W_U, "none" has neither W_E nor W_U. Tokens
    (seed, batch, 2, d_in) → (seed, batch, 1, d_in); the gaps (seed, batch, head) are recorded.
    Raises ValueError for an unknown `projections` or widths that differ where one is missing.
    """

    def __init__(
        self,
        rngs: list[torch.Generator],
        *,
        d_in: int = 1,
        d_model: int = 1,
        n_heads: int = 1,
        projections: str = "none",
        positions: bool = True,
        biases: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if projections not in PROJECTIONS:
            allowed = ", ".join(PROJECTIONS)
            raise ValueError(f"projections = {projections!r}: must be one of {allowed}")
        if projections != "both" and d_in != d_model:
            raise ValueError(f"d_model = {d_model}: must be d_in = {d_in} without both projections")
        self.n_heads, self.residual, self.scale = n_heads, residual, d_model**0.5
        self.W_E = Linear(d_in, d_model, True, rngs) if projections != "none" else None
        self.P = draw_uniform((1, 2, d_model), d_model**-0.5, rngs) if positions else None
        self.W_Q = Linear(d_model, n_heads * d_model, biases, rngs)
        self.W_K = Linear(d_model, n_heads * d_model, False, rngs)
        self.W_V = Linear(n_heads * d_model, d_model, biases, rngs)
        self.W_U = Linear(d_model, d_in, True, rngs) if projections == "both" else None
        self.gaps = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = x if self.W_E is None else self.W_E(x)  # (seed, batch, 2, d_model)
        h = h if self.P is None else h + self.P
        h0, h1 = h.unbind(-2)  # (seed, batch, d_model) each
        products = self.W_Q(h1) * self.W_K(h1 - h0) / self.scale  # (seed, batch, head × d_model)
        gaps = self.gaps(products.unflatten(-1, (self.n_heads, -1)).sum(-1))  # (seed, batch, head)
        mixed = h0.unsqueeze(2) + gaps.sigmoid().unsqueeze(-1) * (h1 - h0).unsqueeze(2)
        y = self.W_V(mixed.flatten(2))  # (seed, batch, d_model)
        y = y + h1 if self.residual else y
        y = y if self.W_U is None else self.W_U(y)  # (seed, batch, d_in)
        return y.unsqueeze(2)


def written(weights: dict[str, list], **shape: object) -> MotionAttention:
    """A layer with the given weights and zeros elsewhere, keys as in its state dict."""
    model = MotionAttention([torch.Generator()], **shape).double().requires_grad_(False)
    state = {name: torch.zeros_like(weight) for name, weight in model.state_dict().items()}
    for name, values in weights.items():
        state[name] = torch.tensor(values, dtype=torch.float64).reshape(state[name].shape)
    model.load_state_dict(state)
    return model


def residual_layer() -> MotionAttention:
    """Exact: a residual and uniform attention, 3 (x1 − ⅔ (x0 + x1) / 2) = 2 x1 − x0."""
    weights = {"W_E.W": [1.0], "W_V.W": [-2 / 3], "W_U.W": [3.0]}
    return written(weights, projections="both", positions=False, residual=True)


def two_head_layer() -> MotionAttention:
    """Exact: two heads that read the position from a channel of its own (d_model = 2).

    The heads put ¾ and ¼ on the last token, whatever x is, and carry values 3.5 and −2.5.
    """
    gap = float(np.log(3.0) * np.sqrt(2.0))
    weights = {
        "W_E.W": [1.0, 0.0],
        "P": [[0.0, 0.0], [0.0, 1.0]],
        "W_Q.b": [0.0, gap, 0.0, -gap],
        "W_K.W": [[0.0] * 4, [0.0, 1.0, 0.0, 1.0]],
        "W_V.W": [[3.5, 0.0], [0.0, 0.0], [-2.5, 0.0], [0.0, 0.0]],
        "W_U.W": [1.0, 0.0],
    }
    return written(weights, d_model=2, n_heads=2, projections="both")


def hard_attention_layer(gap: float, epsilon: float) -> MotionAttention:
    """Exact as gap → ∞: a uniform head of value 4 and one of value −3 that turns to x0.

    4 (h0 + h1)/2 − 3 h0 = 2 h1 − h0 at any P = 1/ε; the error is −3 σ(Δ)(h1 − h0) with
    Δ = −gap (1 + ε (x1 − x0)).
    """
    distance = 1 / epsilon
    weights = {
        "P": [0.0, distance],
        "W_Q.b": [0.0, -gap / distance],
        "W_K.W": [0.0, 1.0],
        "W_V.W": [4.0, -3.0],
        "W_V.b": [-2 * distance],
    }
    return written(weights, n_heads=2)


def first_order_layer(D: float, distance: float) -> MotionAttention:
    """One head without residual, correct to first order: error O(1 / P), P = distance, any D."""
    R, gain = (float(value) for value in first_order_family(torch.tensor(D, dtype=torch.float64)))
    query = R / distance**2
    weights = {
        "P": [0.0, distance],
        "W_Q.W": [query],
        "W_Q.b": [D / distance - query * distance],
        "W_K.W": [1.0],
        "W_V.W": [gain],
        "W_V.b": [-gain * distance / (1 + np.exp(-D))],
    }
    return written(weights)


def first_order_family(D: Tensor) -> tuple[Tensor, Tensor]:
    """R and a·s with (C0, C1) a s = (−1, 2), one solution for every gap at rest D.

    With g(D) = σ + D σ':  R = −(2 − g) / σ' and a s = −1 / (1 − g), g ≠ 1.
    """
    weight = torch.sigmoid(torch.as_tensor(D))
    slope = weight * (1 - weight)
    g = weight + D * slope
    return -(2 - g) / slope, -1 / (1 - g)
