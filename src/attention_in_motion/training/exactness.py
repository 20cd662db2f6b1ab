"""Which attention layers can be uniform motion exactly: by proof, by hand, and by training.

A cell is one architecture. What excludes it is a proof, what shows that it can is weights written
by hand; training says what is found. Without bounds many cells come as close as they like
(attention can be made hard, positions far apart), so the weights are bounded: |P1 − P0| ≤ |W_E| /
MIN_EPSILON, every logit gap at x = 0 within ±max_gap, every weight within ±MAX_WEIGHT. A cell may
have a bound of its own, ε ≥ `min_epsilon`, for the law of the error. Adam, then L-BFGS, minimise
the error at the Gauss nodes of [−1, 1]² and the excesses over the bounds, in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from attention_in_motion.models.activations import record
from attention_in_motion.models.motion import (
    MotionAttention,
    gated_layers,
    residual_layer,
    residual_layers,
    two_head_layer,
)
from attention_in_motion.models.transformer import NLA
from attention_in_motion.physics.uniform_motion import next_position, normalised_mse, quadrature
from attention_in_motion.training.descent import initialisers, one_thread
from attention_in_motion.training.run import Run

MIN_EPSILON = 1 / 3  # smallest input scale over distance of the positions
MAX_GAP = 10.0  # largest logit gap at x = 0
MAX_WEIGHT = 10.0  # without it, d ≥ 2 hides a large |P1 − P0| / |W_E| in the output's direction
NODES = 12  # Gauss–Legendre nodes per axis


# How we know of a cell: what weights written by hand are, or the proof that there are none.
EXACTLY, TO_ROUNDING = "exact by hand", "to rounding by hand"
AVERAGE, BLIND, SATURATION, BOUNDED = "average", "blind spot", "saturation", "LayerNorm"

PROOFS = {  # in words, with the verdict that each gives
    EXACTLY: "exact: weights written by hand",
    TO_ROUNDING: "to rounding: weights written by hand",
    AVERAGE: "never: proof A (an average)",
    BLIND: "never: proof B (a blind spot)",
    SATURATION: "never: proof S (saturation)",
    BOUNDED: "never: proof N (LayerNorm)",
}


class Cell(NamedTuple):
    """One architecture; `min_epsilon` > 0 stands for the map's bounds on distance and weights.

    With `layer_norm` alone it is pre-LN, with `post` post-LN.
    """

    residual: bool
    heads: int
    d: int
    positions: bool
    layers: int = 1
    d_mlp: int = 0
    layer_norm: bool = False
    post: bool = False
    min_epsilon: float = 0.0

    def __str__(self) -> str:
        residual = "residual, " if self.residual else ""
        heads = f"{self.heads} head{'s' if self.heads > 1 else ''}, d = {self.d}"
        depth = f", {self.layers} layers" if self.layers > 1 else ""
        mlp = f", MLP {self.d_mlp}" if self.d_mlp else ""
        norm = ", post-LN" if self.post else ", pre-LN" if self.layer_norm else ""
        least = f", ε ≥ {self.min_epsilon:g}" if self.min_epsilon else ""
        positions = ", positions" if self.positions else ""
        return f"{residual}{heads}{positions}{depth}{mlp}{norm}{least}"

    @property
    def why(self) -> str:
        """How we know whether it can be exact: by weights written by hand, or which proof it meets.

        A residual is enough without LayerNorm, so are two heads and a position channel beside the
        content, and, to rounding, a gate: one layer that multiplies each token by its own number
        and one that averages. The proofs stand on the page, under the names used here.
        """
        if self.layer_norm:
            return BOUNDED
        if self.residual or (self.heads > 1 and self.d > 1 and self.positions):
            return EXACTLY
        if self.heads > 1:
            return BLIND
        if self.d_mlp:
            return TO_ROUNDING if self.layers > 1 else SATURATION
        return AVERAGE

    @property
    def possible(self) -> bool:
        """Whether weights written by hand are exact, or exact to rounding."""
        return self.why in (EXACTLY, TO_ROUNDING)

    def by_hand(self) -> nn.Module:
        """Its weights written by hand. Raises ValueError where a proof says that there are none."""
        if not self.possible:
            raise ValueError(f"cell = {self}: cannot be exact ({self.why})")
        if not self.residual and self.heads == 1:
            return gated_layers(self.layers, self.d_mlp)
        if not self.residual:
            return two_head_layer(self.d, self.heads)
        if self.layers == 1 and self.d_mlp == 0:
            return residual_layer(d_model=self.d, n_heads=self.heads, positions=self.positions)
        return residual_layers(self.layers, self.d_mlp, self.d, 2 * self.positions)

    def model(self, rngs: list[torch.Generator]) -> nn.Module:
        """Its untrained ensemble in float64; positions and queries start small, so do the gaps."""
        model = self.architecture(rngs).double()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name.endswith(("P", "W_Q.W", "W_Q.b")):
                    weight.mul_(0.1)
        return model

    def architecture(self, rngs: list[torch.Generator]) -> nn.Module:
        """With W_E from and W_U to one dimension."""
        if self.layers == 1 and self.d_mlp == 0 and not self.layer_norm:
            shape = {"d_model": self.d, "n_heads": self.heads, "projections": "both"}
            options = {"positions": self.positions, "residual": self.residual}
            return MotionAttention(rngs, **shape, **options)
        shape = {"n_layers": self.layers, "n_heads": self.heads, "d_mlp": self.d_mlp}
        widths = {"d_model": self.d, "d_head": self.d, "d_in": 1, "d_out": 1}
        options = {"context": 2 if self.positions else 0, "residual": self.residual}
        options |= {"layer_norm": self.layer_norm, "post": self.post}
        return NLA(rngs, causal=False, attention_bias=True, **shape, **widths, **options)


ONE_LAYER = [Cell(*c) for c in product((False, True), (1, 2, 4), (1, 2, 4), (False, True))]
DEEPER = [  # positions only where there is no other way to tell the tokens apart
    Cell(residual, 1, 2, not residual, layers, d_mlp)
    for residual, layers, d_mlp in product((False, True), (1, 2, 3), (0, 8))
    if layers > 1 or d_mlp
]
CELLS = tuple(ONE_LAYER + DEEPER)
NORMED = tuple(  # with LayerNorm, and the same without
    Cell(True, 1, 4, True, layers, d_mlp, layer_norm)
    for layer_norm, layers, d_mlp in product((True, False), (1, 2), (0, 8))
)
UNPLACED = tuple(cell._replace(positions=False) for cell in NORMED)  # the same without positions
SEALED = tuple(  # with LayerNorm and no stream around it: post-LN, or no residual
    Cell(residual, 1, 4, True, layers, d_mlp, True, post)
    for residual, post in ((True, True), (False, False), (False, True))
    for layers, d_mlp in product((1, 2), (0, 8))
)
EPSILONS = tuple(2.0**-k for k in range(1, 6))  # bounds of the law of the error
LAW = tuple(  # pre-LN, and one head without residual, under each of them
    cell._replace(min_epsilon=epsilon)
    for cell in (Cell(True, 1, 4, False, layer_norm=True), Cell(False, 1, 1, True))
    for epsilon in EPSILONS
)
OTHERS = {"sealed": SEALED, "law": LAW}


def which(meets: Callable[[Cell], bool], cells: tuple[Cell, ...] = CELLS) -> Tensor:
    """The cells that meet a condition, as a mask over the map: (cell,) of booleans."""
    return torch.tensor([bool(meets(cell)) for cell in cells])


def error_by_hand(cell: Cell) -> float:
    """`Objective` of the cell's weights written by hand: their normalised MSE, if within bounds."""
    return Objective(cell.by_hand())().item()


def grid() -> tuple[Tensor, Tensor]:
    """Tokens (n + 1, 2, 1) at the Gauss nodes of [−1, 1]² and at rest; their weights (n,)."""
    x0, x1, weights = (torch.from_numpy(part) for part in quadrature(NODES, "uniform"))
    tokens = torch.stack([x0, x1], dim=-1).unsqueeze(-1)  # (n, 2, 1)
    return torch.cat([tokens, torch.zeros_like(tokens[:1])]), weights


class Objective(nn.Module):
    """Normalised MSE of a cell on U[−1, 1]² plus its squared excesses over the bounds: (seed,).

    `min_epsilon` > 0 replaces the bounds on the distance and the weights: 1 / ε (`constant`) and
    every weight over MAX_WEIGHT are at most 1 / min_epsilon.
    """

    def __init__(self, cell: nn.Module, max_gap: float = MAX_GAP, min_epsilon: float = 0.0) -> None:
        super().__init__()
        self.recorded = nn.Sequential(cell, nn.Identity())  # names the output for `record`
        self.cell, self.max_gap, self.min_epsilon = cell, max_gap, min_epsilon
        self.tokens, self.weights = grid()
        self.target = next_position(self.tokens)[:-1, 0, 0]  # (n,)

    def forward(self) -> Tensor:
        seen = record(self.recorded, self.tokens.expand(len(self.cell.W_E.W), -1, -1, -1))
        error = seen["1"][:, :-1, -1, 0] - self.target  # (seed, n)
        nmse = error**2 @ self.weights / (self.target**2 @ self.weights)  # (seed,)
        weights = torch.cat([p.flatten(1) for p in self.cell.parameters()], dim=1)
        excess = [gaps_at_rest(seen).abs() - self.max_gap]
        if self.min_epsilon:
            excess += [constant(self.cell) - 1 / self.min_epsilon]
            excess += [weights.abs() - MAX_WEIGHT / self.min_epsilon]
        else:
            excess += [distance(self.cell) - 1 / MIN_EPSILON, weights.abs() - MAX_WEIGHT]
        return nmse + (torch.cat(excess, dim=1).relu() ** 2).sum(dim=1)


def gaps_at_rest(seen: dict[str, Tensor]) -> Tensor:
    """Every logit gap, last minus first token, of the last sample: (seed, layer × head × query)."""
    if "0.gaps" in seen:
        return seen["0.gaps"][:, -1]
    weights = [value[:, -1] for name, value in seen.items() if name.endswith("attention.weights")]
    return torch.cat([w.log().diff(dim=-1).flatten(1) for w in weights], dim=1)


def distance(cell: nn.Module) -> Tensor:
    """|P1 − P0| / |W_E| = 1 / ε (seed, 1); zero without positions."""
    scale = cell.W_E.W.flatten(1).norm(dim=1, keepdim=True)  # (seed, 1)
    if cell.P is None:
        return torch.zeros_like(scale)
    return cell.P.diff(dim=-2).flatten(1).norm(dim=1, keepdim=True) / scale


def constant(cell: nn.Module) -> Tensor:
    """1 / ε: what stands beside the content W_E x in the stream, over its size |W_E|: (seed, 1).

    For an NLA the largest |b_E + P_i| of the two tokens, which is all that keeps a LayerNorm near
    linear; for a MotionAttention `distance`, since it reads nothing but differences of tokens.
    """
    if isinstance(cell, MotionAttention):
        return distance(cell)
    rest = cell.W_E.b if cell.P is None else cell.W_E.b + cell.P[:, 0]  # (seed, 1 or 2, d)
    largest = rest.norm(dim=-1).amax(dim=1, keepdim=True)
    return largest / cell.W_E.W.flatten(1).norm(dim=1, keepdim=True)


def member(cell: Cell, ensemble: nn.Module, seed: int) -> nn.Module:
    """A copy of one seed of an ensemble, as an ensemble of one."""
    one = cell.model([torch.Generator()])
    one.load_state_dict({name: w[seed : seed + 1] for name, w in ensemble.state_dict().items()})
    return one


@one_thread()
def refine(
    cell: Cell, ensemble: nn.Module, seed: int, iterations: int, max_gap: float = MAX_GAP
) -> None:
    """Polish one seed of an ensemble in place by L-BFGS, on one thread."""
    one = member(cell, ensemble, seed)
    objective, parameters = Objective(one, max_gap, cell.min_epsilon), list(one.parameters())

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nn.utils.vector_to_parameters(torch.from_numpy(flat), parameters)
        one.zero_grad()
        loss = objective().sum()
        loss.backward()
        return loss.item(), nn.utils.parameters_to_vector([p.grad for p in parameters]).numpy()

    start = nn.utils.parameters_to_vector(parameters).detach().numpy()
    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 50, "ftol": 0, "gtol": 0}
    found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    nn.utils.vector_to_parameters(torch.from_numpy(found.x), parameters)
    for name, weight in ensemble.state_dict().items():
        weight[seed] = one.state_dict()[name][0]


class Cells(nn.Module):
    """All cells, one ensemble each: tokens (seed, n, 2, 1) → (cell, seed, n, 1, 1)."""

    def __init__(self, seeds: tuple[int, ...], kinds: tuple[Cell, ...] = CELLS) -> None:
        super().__init__()
        self.seeds, self.kinds = seeds, kinds
        self.cells = nn.ModuleList(cell.model(initialisers(seeds)) for cell in kinds)
        self.objectives = [  # a list: nothing to save
            Objective(cell, min_epsilon=kind.min_epsilon)
            for cell, kind in zip(self.cells, kinds, strict=True)
        ]

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.stack([cell(tokens)[:, :, -1:] for cell in self.cells])

    def best(self, cell: Cell) -> nn.Module:
        """A copy of the best seed of one cell, as an ensemble of one, without gradients.

        Raises ValueError for a cell that is not on the map.
        """
        if cell not in self.kinds:
            raise ValueError(f"cell = {cell}: is not on the map")
        number = self.kinds.index(cell)
        seed = int(self.objectives[number]().argmin())
        return member(cell, self.cells[number], seed).requires_grad_(False)

    def ensemble(self, cell: Cell) -> nn.Module:
        """All seeds of one cell."""
        return self.cells[self.kinds.index(cell)]

    def refine(self, iterations: int, every_seed: bool = False) -> None:
        """L-BFGS on the best seed of every cell, or on every one."""
        for cell, ensemble, objective in zip(self.kinds, self.cells, self.objectives, strict=True):
            best = int(objective().argmin())
            for seed in range(len(self.seeds)) if every_seed else (best,):
                refine(cell, ensemble, seed, iterations)


@dataclass(frozen=True)
class ExactnessMap(Run):
    """Every `exactness` cell under bounded weights: Adam on all seeds, L-BFGS on the best.

    With `layer_norm` the cells are those of NORMED instead, or of UNPLACED if `positions` is false,
    and L-BFGS refines every seed. So it does with `others`, which names the cells: "sealed" or
    "law".
    """

    seeds: tuple[int, ...] = tuple(range(4))
    steps: int = 800
    lr: float = 1e-2
    weight_decay: float = 0.0
    schedule: str = "cosine"
    iterations: int = 1000
    snapshots: tuple[int, ...] = ()
    layer_norm: bool = False
    positions: bool = True
    others: str = ""

    def __post_init__(self) -> None:
        if self.others and self.others not in OTHERS:
            allowed = ", ".join(OTHERS)
            raise ValueError(f"others = {self.others!r}: must be one of {allowed}, or empty")

    def model(self) -> Cells:
        """All cells, untrained, in float64."""
        if self.others:
            return Cells(self.seeds, OTHERS[self.others])
        with_norm = NORMED if self.positions else UNPLACED
        return Cells(self.seeds, with_norm if self.layer_norm else CELLS)

    def draw(self, rng: torch.Generator, n: int) -> tuple[Tensor, ...]:
        """n batches of 1000 tokens x0, x1 ~ U[−1, 1] and x2: (n, 1000, 3, 1), float64."""
        x = 2 * torch.rand((n, 1000, 2, 1), generator=rng, dtype=torch.float64) - 1
        return (torch.cat([x, next_position(x)], dim=2),)

    def batches(self) -> Callable[[int], Tensor]:
        """Nothing to draw: every step sees the same Gauss nodes."""
        return lambda step: torch.zeros(())

    def loss(self, model: Cells, batch: Tensor) -> Tensor:
        """Normalised MSE plus squared excesses over the bounds: (cell × seed,)."""
        return torch.cat([objective() for objective in model.objectives])

    @torch.no_grad()
    def normalised_mse(self, model: Cells, rng: torch.Generator) -> Tensor:
        """Mean squared error over that of predicting zero, on 1000 fresh points: (cell, seed)."""
        drawn = self.draw(rng, 1)[0]  # (1, 1000, 3, 1)
        outputs = model(drawn[:, :, :2].expand(len(self.seeds), -1, -1, -1))[:, :, :, 0]
        return torch.stack([normalised_mse(y, drawn[:, :, 2]) for y in outputs])

    def refine(self, model: Cells) -> None:
        """The second stage of training, after the gradient descent on all seeds."""
        model.refine(self.iterations, every_seed=self.layer_norm or bool(self.others))
