"""Training by gradient descent. Knows no model and no physics.

A model is anything with parameters, a loss is `loss(model, batch) -> (seed,)`, a batch source is
`batches(step) -> batch`. Seeds share nothing: the losses are summed over seeds, and every update
(AdamW, clipping) acts on each seed's slice alone, so an ensemble is its members run one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from os import environ
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from attention_in_motion.paths import reason, save_atomically
from attention_in_motion.training import archive

INITIALISATION = 0  # the random stream of a seed that draws weights


DATA = 1  # the first of its streams that draw data, one stream a chunk


SCHEDULES = ("constant", "cosine", "one_cycle")
OPTIMISERS = ("adamw", "muon", "sgd")


def seeded(seed: int, stream: int) -> torch.Generator:
    """The generator of one random stream of one seed; streams are statistically independent."""
    entropy = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(entropy) >> 1)


def initialisers(seeds: Iterable[int]) -> list[torch.Generator]:
    """One generator per seed for drawing initial weights."""
    return [seeded(seed, INITIALISATION) for seed in seeds]


class Batches:
    """An endless batch source with random access: the same step gives the same batch, always.

    `draw(rng, n)` returns a tuple of tensors with leading axis n, one entry per step; a chunk of
    steps is drawn at once per seed. `batches(step)` stacks the seeds: tensors (seed, ...).
    """

    def __init__(
        self,
        draw: Callable[[torch.Generator, int], tuple[Tensor, ...]],
        seeds: Iterable[int],
        chunk: int = 50,
    ) -> None:
        self.draw, self.seeds, self.chunk = draw, list(seeds), chunk
        self.held: tuple[int, list[Tensor]] | None = None

    def __call__(self, step: int) -> list[Tensor]:
        index, offset = divmod(step, self.chunk)
        if self.held is None or self.held[0] != index:
            per_seed = [self.draw(seeded(s, DATA + index), self.chunk) for s in self.seeds]
            self.held = index, [torch.stack(parts, dim=1) for parts in zip(*per_seed, strict=True)]
        return [part[offset] for part in self.held[1]]


def schedule_factor(schedule: str, step: int, steps: int, warmup: int) -> float:
    """Learning rate at `step` as a fraction of its peak.

    Linear warm-up over `warmup` steps, then `constant`, or `cosine` to zero; `one_cycle` is a
    cosine rise over the first 30% of the steps followed by a cosine fall to zero.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule = {schedule!r}: must be one of {', '.join(SCHEDULES)}")
    if schedule == "one_cycle":
        peak = 0.3 * steps
        phase = step / peak - 1 if step < peak else (step - peak) / (steps - peak)
        return (1 + math.cos(math.pi * phase)) / 2
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "cosine":
        return (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1))) / 2
    return 1.0


def clip_per_seed(parameters: list[nn.Parameter], n_seeds: int, limit: float) -> None:
    """Scale each seed's gradient to norm ≤ limit; a model without seed axis has n_seeds = 1."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if n_seeds == 1:  # a few products for all together: what a GPU waits for is their number
        norm = torch.stack(torch._foreach_norm(grads)).norm().clamp(min=1e-12)  # ()
        torch._foreach_mul_(grads, (limit / norm).clamp(max=1.0))
        return
    norms = torch.stack([g.reshape(n_seeds, -1).norm(dim=1) for g in grads]).norm(dim=0)  # (seed,)
    factor = (limit / norms.clamp(min=1e-12)).clamp(max=1.0)
    for g in grads:
        g.view(n_seeds, -1).mul_(factor[:, None])


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block torch computes on one thread; afterwards on as many as before.

    Ensembles of small models gain nothing from a second thread, and on a busy machine two threads
    that wait for each other make them tens of times slower.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


NEWTON_SCHULZ = (3.4445, -4.775, 2.0315)  # K. Jordan's quintic: steep at 0, within 0.3 of 1 at 1


def orthogonal(matrices: Tensor, iterations: int = 5, dtype: torch.dtype | None = None) -> Tensor:
    """About U Vᵀ of each matrix U S Vᵀ, singular values within [0.7, 1.2]: (n, rows, columns).

    X ← a X + (b A + c A²) X with A = X Xᵀ, from X = M/|M|, in `dtype` (default: the matrices').
    bfloat16, in which `torch.optim.Muon` computes this, is a hundred times slower on a processor
    without it, and twice as fast on one with it.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(dtype or matrices.dtype)
    a, b, c = NEWTON_SCHULZ
    for _ in range(iterations):
        square = x @ x.mT  # (n, rows, rows)
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """W ← W − 0.2 √max(rows, columns) · lr · orthogonal(momentum of the gradient), for matrices.

    The momentum is Nesterov's, μ = 0.95. The factor gives an update the usual size of AdamW's, so
    the two rates compare; `dtype` is that of the products in `orthogonal`.
    Source: K. Jordan, "Muon" (2024); the factor of J. Liu et al. (2025).
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self.dtype = dtype

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for weight in group["params"]:
                alike.setdefault(weight.shape, []).append(weight)
            for shape, weights in alike.items():
                directions = torch.stack(self.directions(weights, group["momentum"]))
                updates = orthogonal(directions, dtype=self.dtype).unbind()  # one product a shape
                rate = 0.2 * max(shape) ** 0.5 * group["lr"]
                torch._foreach_add_(weights, updates, alpha=-rate)

    def directions(self, weights: list[nn.Parameter], momentum: float) -> tuple[Tensor, ...]:
        """Nesterov's: the gradients, moved towards their running means, which move first."""
        gradients = [weight.grad for weight in weights]
        means = [self.state[w].setdefault("mean", torch.zeros_like(w)) for w in weights]
        torch._foreach_lerp_(means, gradients, 1 - momentum)
        return torch._foreach_lerp(gradients, means, momentum)


class Together:
    """Several optimisers over disjoint parameters, used as one."""

    def __init__(self, *optimisers: torch.optim.Optimizer) -> None:
        self.optimisers = optimisers

    @property
    def param_groups(self) -> list[dict]:
        return [group for one in self.optimisers for group in one.param_groups]

    def zero_grad(self) -> None:
        for one in self.optimisers:
            one.zero_grad()

    def step(self) -> None:
        for one in self.optimisers:
            one.step()

    def state_dict(self) -> list[dict]:
        return [one.state_dict() for one in self.optimisers]

    def load_state_dict(self, states: list[dict]) -> None:
        for one, state in zip(self.optimisers, states, strict=True):
            one.load_state_dict(state)


def hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The weights of Linear layers, but for one tied to an Embedding."""
    tied = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Linear)]
    return [weight for weight in weights if id(weight) not in tied]


def build_optimiser(
    model: nn.Module,
    kind: str,
    lr: float,
    matrix_lr: float,
    weight_decay: float,
    matrix_dtype: torch.dtype | None = None,
) -> torch.optim.Optimizer | Together:
    """AdamW for all parameters, or what `kind` names. Raises ValueError for a kind unknown.

    "muon": Muon with `matrix_lr` for the hidden matrices, without weight decay, AdamW for the rest.
    "sgd": plain gradient descent, W ← W − lr · gradient, without momentum.
    """
    if kind not in OPTIMISERS:
        raise ValueError(f"optimiser = {kind!r}: must be one of {', '.join(OPTIMISERS)}")
    if kind == "sgd":
        return torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay)
    adamw = partial(torch.optim.AdamW, lr=lr, weight_decay=weight_decay, fused=True)
    if kind == "adamw":
        return adamw(model.parameters())
    hidden = hidden_matrices(model)
    others = [p for p in model.parameters() if all(p is not weight for weight in hidden)]
    return Together(Muon(hidden, matrix_lr, dtype=matrix_dtype), adamw(others))


def fit(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Tensor],
    batches: Callable[[int], Any],
    *,
    steps: int,
    lr: float = 1e-3,
    schedule: str = "constant",
    warmup: int = 0,
    weight_decay: float = 0.0,
    clip: float | None = None,
    optimiser: str = "adamw",
    matrix_lr: float = 2e-3,
    matrix_dtype: torch.dtype | None = None,
    average: float = 0.0,
    first_step: int = 0,
    rewarm: int = 0,
    snapshots: Iterable[int] = (),
    checkpoint: Path | None = None,
    checkpoint_every: int = 1000,
    device: str = "cpu",
    label: str = "training",
) -> tuple[Tensor, dict[int, dict[str, Tensor]]]:
    """Minimise Σ_seed loss with AdamW (β = 0.9, 0.999) for `steps` steps, in place, on `device`.

    `optimiser` may name another (see `build_optimiser`). With `average` > 0
    the model ends with the mean of its weights after each of that share of the steps, the last.
    Returns the losses (steps, seed), each before its update, and {step: state dict} after the
    steps named in `snapshots` (0 is the initial state). A run that begins at `first_step`, from
    weights without their optimiser's state, takes `rewarm` steps up to its rate; the losses before
    it are NaN. With `checkpoint`, an interrupted run
    continues bit for bit from its last saved step; whoever has kept the result removes the file.
    """
    model.to(device)
    descent = build_optimiser(model, optimiser, lr, matrix_lr, weight_decay, matrix_dtype)
    peaks = [group["lr"] for group in descent.param_groups]
    state = resume(checkpoint, model, descent) or {
        "step": first_step,
        "losses": None,
        "snapshots": {},
    }
    first_averaged = steps - round(average * steps)
    wanted = set(snapshots)
    if 0 in wanted and state["step"] == 0:
        state["snapshots"][0] = copy_of(model)
    shown = False if "AIM_BARS" in environ else None  # None: where a terminal sees it
    bar = tqdm(total=steps, initial=state["step"], desc=label, disable=shown)
    for step in range(state["step"], steps):
        for group, peak in zip(descent.param_groups, peaks, strict=True):
            again = min((step - first_step + 1) / rewarm, 1.0) if rewarm else 1.0
            group["lr"] = peak * again * schedule_factor(schedule, step, steps, warmup)
        batch = to_device(batches(step), device)
        per_seed = descend(model, descent, loss, batch, clip)  # (seed,)
        if state["losses"] is None:  # one block: a tensor kept per step would fragment the heap
            state["losses"] = per_seed.new_full((steps, len(per_seed)), torch.nan)
        state["losses"][step], state["step"] = per_seed, step + 1
        if step >= first_averaged:
            state["mean"] = running_mean(state.get("mean"), model, step - first_averaged)
        if step + 1 in wanted:
            state["snapshots"][step + 1] = copy_of(model)
        bar.update()
        if step % 100 == 0:
            bar.set_postfix(loss=f"{per_seed.median():.2e}", refresh=False)
        if checkpoint is not None and (step + 1) % checkpoint_every == 0:
            suspend(checkpoint, model, descent, state)
    bar.close()
    if "mean" in state:
        model.load_state_dict(state["mean"])
    return state["losses"].cpu(), state["snapshots"]


def descend(
    model: nn.Module, optimiser: torch.optim.Optimizer, loss: Callable, batch: Any, clip: Any
) -> Tensor:
    """One optimiser step on one batch; the losses (seed,) before it."""
    per_seed = loss(model, batch)  # (seed,)
    optimiser.zero_grad()
    per_seed.sum().backward()
    if clip is not None:
        clip_per_seed(list(model.parameters()), len(per_seed), clip)
    optimiser.step()
    return per_seed.detach()


def suspend(
    checkpoint: Path, model: nn.Module, optimiser: torch.optim.Optimizer, state: dict
) -> None:
    """Write everything that `resume` needs, atomically."""
    whole = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), **state}
    save_atomically(lambda path: torch.save(whole, path), checkpoint)


def resume(
    checkpoint: Path | None, model: nn.Module, optimiser: torch.optim.Optimizer
) -> dict | None:
    """Restore model and optimiser from a checkpoint and return its state; None if there is none.

    Raises ValueError in one line, naming the file, for one that is damaged or of another training;
    nothing in it is executed.
    """
    if checkpoint is None or not checkpoint.exists():
        return None
    try:
        archive.check(checkpoint)
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state.pop("model"))
        optimiser.load_state_dict(state.pop("optimiser"))
    except Exception as error:  # whatever a damaged file brings about
        raise ValueError(
            f"{checkpoint}: cannot go on from it ({reason(error)}); delete it"
        ) from None
    return state


def to_device(batch: Any, device: str) -> Any:
    """A batch (tensor, or list or dict of tensors) on `device`."""
    if isinstance(batch, dict):
        return {name: part.to(device) for name, part in batch.items()}
    return batch.to(device) if isinstance(batch, Tensor) else [part.to(device) for part in batch]


def running_mean(mean: dict[str, Tensor] | None, model: nn.Module, n: int) -> dict[str, Tensor]:
    """The mean of the model's weights and of n earlier ones, whose mean is `mean`; in place."""
    if mean is None:
        return {name: t.detach().clone() for name, t in model.state_dict().items()}
    for name, t in model.state_dict().items():
        mean[name].lerp_(t, 1 / (n + 1))
    return mean


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    """A detached CPU copy of the model's weights by name."""
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}
