"""Training many seeds as one batched ensemble against a loop over single seeds of plain PyTorch.

Both train post 3's one-dimensional layer with Adam on fresh data; the loop's model is written with
torch.nn as one would write it for a single run. Prints seconds per seed and step, and the ratio,
as JSON; run it on a quiet machine: python benchmarks/batched_seeds.py
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attention_in_motion.chapters.uniform_motion import LADDER
from attention_in_motion.training.descent import fit
from attention_in_motion.training.motion import MotionRun

STEPS = 200
REPEATS = 3
N_SEEDS = 1000


class PlainLayer(nn.Module):
    """The same layer for one seed: query, key and value maps, softmax over two tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.P = nn.Parameter(2 * torch.rand(2, 1) - 1)
        self.W_Q, self.W_K, self.W_V = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = x + self.P  # (batch, 2, 1)
        logits = self.W_Q(h[:, 1:]) @ self.W_K(h).mT  # (batch, 1, 2)
        return (logits.softmax(dim=-1) @ self.W_V(h))[:, 0]  # (batch, 1)


def plain_loop(batch: int) -> None:
    """STEPS Adam steps of one seed."""
    model = PlainLayer()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(STEPS):
        x = torch.randn(batch, 2, 1)
        target = 0.2 * (2 * x[:, 1] - x[:, 0])
        loss = ((model(0.1 * x) - target) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def batched(batch: int) -> None:
    """STEPS steps of N_SEEDS seeds at once."""
    run = MotionRun(seeds=tuple(range(N_SEEDS)), batch=batch, **LADDER["P3.10"])
    fit(run.model(), run.loss, run.batches(), steps=STEPS, lr=run.lr)


def best_time(work: Callable[[int], None], batch: int) -> float:
    """The shortest of REPEATS timings, in seconds, after one run to warm up."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work(batch)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main() -> None:
    torch.manual_seed(0)
    results = {"seeds": N_SEEDS, "steps": STEPS, "threads": torch.get_num_threads()}
    for batch in (64, 256):
        loop = best_time(plain_loop, batch) / STEPS
        ensemble = best_time(batched, batch) / STEPS / N_SEEDS
        results[f"batch {batch}"] = {
            "loop_us_per_seed_step": round(1e6 * loop, 1),
            "batched_us_per_seed_step": round(1e6 * ensemble, 2),
            "ratio": round(loop / ensemble, 1),
        }
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
