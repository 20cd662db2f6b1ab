"""Post 3's layer over two tokens, and layers written down by hand that are exact, or nearly.

Post 3, "Physics 1 – Attention can't exactly simulate uniform linear motion".
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from attention_in_motion.models.attention import Linear, draw_uniform
from attention_in_motion.models.transformer import NLA, NORM_EPSILON

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


def written(model: nn.Module, weights: dict[str, list]) -> nn.Module:
    """The model with these weights and zeros elsewhere, in float64, as an ensemble of one.

    Keys as in its state dict; values smaller than a weight fill its leading corner.
    """
    state = model.double().requires_grad_(False).state_dict()
    for weight in state.values():
        weight.zero_()
    for name, values in weights.items():
        corner = torch.as_tensor(values, dtype=torch.float64)
        state[name][0][tuple(slice(n) for n in corner.shape)] = corner
    return model


def motion_layer(weights: dict[str, list], **shape: object) -> MotionAttention:
    """A `MotionAttention` written down."""
    return written(MotionAttention([torch.Generator()], **shape), weights)


def motion_layers(weights: dict[str, list], **shape: object) -> NLA:
    """An nLA over two tokens, written down."""
    shared = {"d_in": 1, "d_out": 1, "d_head": shape["d_model"], "causal": False}
    return written(NLA([torch.Generator()], attention_bias=True, **shared, **shape), weights)


def residual_layer(**shape: object) -> MotionAttention:
    """Exact: a residual and uniform attention, 3 (x1 − ⅔ (x0 + x1) / 2) = 2 x1 − x0.

    At any width, with any number of heads, with or without positions (options: MotionAttention).
    """
    weights = {"W_E.W": [[1.0]], "W_V.W": [[-2 / 3]], "W_U.W": [[3.0]]}
    shape = {"positions": False} | shape
    return motion_layer(weights, projections="both", residual=True, **shape)


def residual_layers(n_layers: int, d_mlp: int, d_model: int = 2, context: int = 0) -> NLA:
    """Exact: the layer of `residual_layer`, and after it layers and MLPs that write nothing."""
    first = "blocks.0.attention"
    weights = {"W_E.W": [[1.0]], f"{first}.W_V.W": [[-2 / 3]], f"{first}.W_O.W": [[1.0]]}
    shape = {"n_layers": n_layers, "d_mlp": d_mlp, "d_model": d_model, "context": context}
    return motion_layers(weights | {"W_U.W": [[3.0]]}, **shape)


def two_head_layer(d_model: int = 2, n_heads: int = 2) -> MotionAttention:
    """Exact: two heads that read the position from a channel of its own (d_model ≥ 2).

    The heads put ¾ and ¼ on the last token, whatever x is, and carry values 3.5 and −2.5; heads
    beyond the second carry nothing.
    """
    gap = float(np.log(3.0) * np.sqrt(d_model))
    b_Q = torch.zeros(n_heads, d_model, dtype=torch.float64)
    W_K = torch.zeros(d_model, n_heads, d_model)
    W_V = torch.zeros(n_heads, d_model, d_model)
    b_Q[0, 1], b_Q[1, 1] = gap, -gap
    W_K[1, :2, 1] = 1.0
    W_V[0, 0, 0], W_V[1, 0, 0] = 3.5, -2.5
    weights = {"W_E.W": [[1.0]], "P": [[[0.0, 0.0], [0.0, 1.0]]], "W_U.W": [[1.0]]}
    weights |= {"W_Q.b": b_Q.view(1, -1), "W_K.W": W_K.flatten(1), "W_V.W": W_V.flatten(0, 1)}
    return motion_layer(weights, d_model=d_model, n_heads=n_heads, projections="both")


GATE = 10.0  # weight of the position in a gate of `gated_layers`
GATED = {  # the first layer of `gated_layers`; channel 0 carries x, channel 1 the position ±1
    "W_E.W": [[1.0]],
    "P": [[[0.0, -1.0], [0.0, 1.0]]],
    "blocks.0.attention.W_Q.W": [[0.0, 0.0], [0.0, float(np.log(3.0) / np.sqrt(2.0))]],
    "blocks.0.attention.W_K.W": [[0.0, 0.0], [0.0, 1.0]],
    "blocks.0.attention.W_V.W": [[1.0, 0.0], [0.0, 4.0]],
    "blocks.0.attention.W_O.W": [[1.0, 0.0], [0.0, 1.0]],
    "blocks.0.mlp.W_1.W": [[1.0, -1.0, 1.0, -1.0], [GATE, GATE, -GATE, -GATE]],
    "blocks.0.mlp.W_2.W": [[3.5], [-3.5], [-2.5], [2.5]],
    "W_U.W": [[1.0]],
}


def gated_layers(n_layers: int = 2, d_mlp: int = 8) -> NLA:
    """Two or more layers with MLPs, one head, no residual: exact up to rounding.

    Layer 1 gives each token ¾ of itself and ¼ of the other, m0 and m1, beside a position channel
    ±2. Its MLP reads that channel: with z = ±10·2, GELU(z + m) − GELU(z − m) is 2m where z > 0 and
    nothing where z < 0, so it can multiply m1 by 7 and m0 by −5. The next layer averages,
    (7 m1 − 5 m0) / 2 = 2 x1 − x0, and its MLP is the identity GELU(z) − GELU(−z) = z. Layers after
    it change nothing. A shut gate leaks less than 10⁻⁷⁷ on [−1, 1]; with ReLU, nothing.
    """
    weights = dict(GATED)
    for block in (f"blocks.{layer}" for layer in range(1, n_layers)):
        weights |= {f"{block}.attention.W_{name}.W": [[1.0]] for name in "VO"}
        weights |= {f"{block}.mlp.W_1.W": [[1.0, -1.0]], f"{block}.mlp.W_2.W": [[1.0], [-1.0]]}
    shape = {"n_layers": n_layers, "d_mlp": d_mlp, "d_model": 2, "context": 2}
    return motion_layers(weights, residual=False, **shape)


def pre_ln_layer(epsilon: float) -> NLA:
    """A residual layer with LayerNorm, as near as one likes: error ε² (x0³ + x1³) / 2 + O(ε⁴).

    The stream (εx, −εx, 1, −1) has mean 0 and variance (1 + ε²x²) / 2, so its LayerNorm carries
    εx / √(1 + ε²x²), up to a factor, instead of the εx that `residual_layer` averages.
    """
    rest = float(np.sqrt(0.5 + NORM_EPSILON))  # the standard deviation at x = 0
    weights = {
        "W_E.W": [[epsilon, -epsilon]],
        "W_E.b": [[0.0, 0.0, 1.0, -1.0]],
        "blocks.0.ln_1.w": [[[1.0] * 4]],
        "blocks.0.attention.W_V.W": [[-2 / 3 * rest]],
        "blocks.0.attention.W_O.W": [[1.0]],
        "W_U.W": [[3 / epsilon]],
    }
    return motion_layers(weights, d_model=4, layer_norm=True)


def hard_attention_layer(gap: float, epsilon: float) -> MotionAttention:
    """Exact as gap → ∞: a uniform head of value 4 and one of value −3 that turns to x0.

    4 (h0 + h1)/2 − 3 h0 = 2 h1 − h0 at any P = 1/ε; the error is −3 σ(Δ)(h1 − h0) with
    Δ = −gap (1 + ε (x1 − x0)).
    """
    distance = 1 / epsilon
    weights = {
        "P": [[[0.0], [distance]]],
        "W_Q.b": [[0.0, -gap / distance]],
        "W_K.W": [[0.0, 1.0]],
        "W_V.W": [[4.0], [-3.0]],
        "W_V.b": [[-2 * distance]],
    }
    return motion_layer(weights, n_heads=2)


def first_order_layer(D: float, distance: float) -> MotionAttention:
    """One head without residual, correct to first order: error O(1 / P), P = distance, any D."""
    R, gain = (float(value) for value in first_order_family(torch.tensor(D, dtype=torch.float64)))
    query = R / distance**2
    weights = {
        "P": [[[0.0], [distance]]],
        "W_Q.W": [[query]],
        "W_Q.b": [[D / distance - query * distance]],
        "W_K.W": [[1.0]],
        "W_V.W": [[gain]],
        "W_V.b": [[-gain * distance / (1 + np.exp(-D))]],
    }
    return motion_layer(weights)


def first_order_family(D: Tensor) -> tuple[Tensor, Tensor]:
    """R and a·s with (C0, C1) a s = (−1, 2), one solution for every gap at rest D.

    With g(D) = σ + D σ':  R = −(2 − g) / σ' and a s = −1 / (1 − g), g ≠ 1.
    """
    weight = torch.sigmoid(torch.as_tensor(D))
    slope = weight * (1 - weight)
    g = weight + D * slope
    return -(2 - g) / slope, -1 / (1 - g)
