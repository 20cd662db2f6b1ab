"""What a one-layer model is: the affine map it makes of one state, its two paths, its rollouts."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attention_in_motion.measures.trajectories import Predictor, TestSet, predictor
from attention_in_motion.physics import oscillator
from attention_in_motion.training.run import Run


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
    """‖W_U W_O W_V W_E‖_F / ‖W_U W_E‖_F of a one-layer model: (seed,). Post 2, Fig. 2."""
    attention = model.blocks[0].attention
    direct = model.W_E.W @ model.W_U.W  # (seed, 2, 2)
    through = model.W_E.W @ attention.W_V.W @ attention.W_O.W @ model.W_U.W
    return through.norm(dim=(1, 2)) / direct.norm(dim=(1, 2))


def imbalance(model: nn.Module) -> Tensor:
    """D = W_Vᵀ W_V − W_O W_Oᵀ of a one-layer model with one head: (seed, d_head, d_head).

    With code weights, which act on rows; in the text's symbols, W_V W_Vᵀ − W_Oᵀ W_O. The loss
    depends on the product of the two matrices alone, so gradient flow conserves D, and where the
    product vanishes W_V holds its positive part and W_O its negative one. Chapter 2 proves both.
    """
    attention = model.blocks[0].attention
    return attention.W_V.W.mT @ attention.W_V.W - attention.W_O.W @ attention.W_O.W.mT


def signs(matrices: Tensor, above: Tensor) -> Tensor:
    """Numbers of eigenvalues > above and < −above of symmetric (seed, d, d): (seed, 2)."""
    values = torch.linalg.eigvalsh(matrices)  # (seed, d)
    counts = [(side * values > above[:, None]).sum(-1) for side in (1, -1)]
    return torch.stack(counts, dim=-1)


def ranks(model: nn.Module, above: Tensor) -> Tensor:
    """Numbers of squared singular values > above (seed,) of W_V and of W_O: (seed, 2)."""
    attention = model.blocks[0].attention
    values = [torch.linalg.svdvals(W) ** 2 for W in (attention.W_V.W, attention.W_O.W)]
    return torch.stack([(v > above[:, None]).sum(-1) for v in values], dim=-1)


def gradients(run: Run, n: int, at: nn.Module | None = None) -> dict[str, Tensor]:
    """∂loss/∂W of a one-layer run's model on its first n batches, per attention matrix.

    At the weights of the model `at`, for example one saved along a training, instead of the
    untrained ones. {W_Q, W_K, W_V, W_O: (batch, seed, entries)}.
    """
    model, batches, names = run.model(), run.batches(), ("W_Q", "W_K", "W_V", "W_O")
    if at is not None:
        model.load_state_dict(at.state_dict())
    weights = [getattr(model.blocks[0].attention, name).W for name in names]
    found = {name: [] for name in names}
    for k in range(n):
        each = torch.autograd.grad(run.loss(model, batches(k)).sum(), weights)
        for name, gradient in zip(names, each, strict=True):
            found[name].append(gradient.flatten(1))
    return {name: torch.stack(parts) for name, parts in found.items()}


def signal_and_noise(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """|mean| and rms distance from it, over batches: (batch, seed, entries) → (seed,) each."""
    mean = vectors.mean(dim=0)
    noise = (vectors - mean).square().sum(-1).mean(dim=0).sqrt()
    return mean.norm(dim=-1), noise


def without_attention(model: nn.Module) -> nn.Module:
    """A copy of the model whose attention writes nothing (W_O = 0)."""
    cut = copy.deepcopy(model)
    for block in cut.blocks:
        block.attention.W_O.W.zero_()
    return cut


@torch.no_grad()
def affine_defect(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """max |f(x + y) − f(x) − f(y) + f(0)| / mean |f(x)|, zero for an affine map f: (seed,).

    Inputs (seed, n, T, 2); norms over components, maximum and mean over n and T. Post 2.
    """
    at_x = model(x)
    gap = model(x + y) - at_x - model(y) + model(torch.zeros_like(x))
    return gap.norm(dim=-1).amax(dim=(1, 2)) / at_x.norm(dim=-1).mean(dim=(1, 2))


def futures(starts: Tensor, omega0: float, gamma: float, dt: float, steps: int) -> TestSet:
    """The exact motions of one oscillator from `starts` (n, 2), in float64, seen for one state.

    ω0, γ [1/time] and Δt [time] are the same for all; states (n, steps + 1, 2). Raises ValueError
    unless 0 ≤ γ < ω0.
    """
    oscillator.require_underdamped(omega0, gamma)
    times = oscillator.uniform_times(steps + 1, dt, torch.float64)
    states = oscillator.trajectory(starts.double(), omega0, gamma, times)
    each = torch.ones(len(starts), dtype=torch.float64)
    return TestSet(states, omega0 * each, gamma * each, context=1, dt=dt)


def on_doubles(model: nn.Module) -> Predictor:
    """The float32 model as a predictor of float64 states (seed, n, T, 2) → (seed, n, 2).

    The model computes as it was trained; errors are then measured against a truth that is exact.
    """
    predict = predictor(model)
    return lambda windows: predict(windows.float()).double()


def growth_exponent(errors: Tensor) -> Tensor:
    """Least-squares slope of log e_n on log n, n = 1 … steps: (..., steps) → (...).

    1 for an error that grows as the number of rollout steps, 0 for one that does not grow.
    """
    log_n = torch.arange(1, errors.shape[-1] + 1, dtype=torch.float64).log()
    centred = log_n - log_n.mean()
    return errors.double().log() @ centred / (centred @ centred)


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
