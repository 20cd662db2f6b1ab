"""Training throughput of our ODEFormer beside the official classes, on the same systems.

    .venv-official/bin/python benchmarks/odeformer_training.py [--steps N]

One thread, float32, the model of configs/odeformer/main.toml, Adam with clipping. Three rows:
equal shapes: 64 systems, 50 points, 24 target tokens, no padding;
equal batches: the stream's own length buckets, tokenised beforehand;
end to end: from trajectories and equations to updated weights, that is tokenising, padding and the
step, the official classes on their own kind of batch (sorted by number of points alone).
Tokens are points and targets, padding not counted. The two sides take turns and each ratio is one
of medians of CPU time. Without the official package only our own numbers are printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
import torch

from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.stream import bucket, collate, evaluation_samples
from attention_in_motion.odeformer.train import RunConfig, forward_flops, read_config

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "official"))

Batch = dict[str, torch.Tensor]


def update(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], 1.0)
    optimiser.step()


class Ours:
    def __init__(self, config: RunConfig) -> None:
        self.model = ODEFormer(config.model, torch.Generator().manual_seed(0))
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)
        self.vocabulary = config.model.vocabulary

    def on_ids(self, batch: Batch) -> None:
        update(self.optimiser, self.model.loss(**batch))

    def on_samples(self, samples: list) -> None:
        self.on_ids(tensors(collate(self.vocabulary, samples)))


class Official:
    """The official modules; Adam, since the official optimiser does not start on this Python."""

    def __init__(self, config: RunConfig) -> None:
        from conftest import build_peer

        self.peer = build_peer(config.model)
        self.modules, self.vocabulary = self.peer.modules.train(), config.model.vocabulary
        self.optimiser = torch.optim.Adam(self.modules.parameters(), lr=1e-4)

    def on_ids(self, batch: Batch) -> None:
        embedder = self.modules["embedder"]
        words = embedder.embed(batch["points"].transpose(0, 1))
        self.step(embedder.compress(words).transpose(0, 1), batch)

    def on_samples(self, samples: list) -> None:
        pairs = [list(zip(s.times[:, None], s.values, strict=True)) for s in samples]
        points, n_points = self.modules["embedder"](pairs)  # (n_points, batch, width)
        ids = [torch.from_numpy(self.vocabulary.encode_system(s.system)[1:-1]) for s in samples]
        tokens, n_tokens = self.peer.env.batch_equations(ids)  # (length, batch)
        batch = {"n_points": n_points, "tokens": tokens.T, "n_tokens": n_tokens}
        self.step(points.transpose(0, 1), batch)

    def step(self, points: torch.Tensor, batch: Batch) -> None:
        memory = self.peer.encode_embedded(points, batch["n_points"])  # (batch, n_points, width)
        loss = self.peer.loss(batch["tokens"], batch["n_tokens"], memory, batch["n_points"])
        update(self.optimiser, loss)


def tensors(arrays: dict[str, np.ndarray]) -> Batch:
    return {name: torch.from_numpy(ids).long() for name, ids in arrays.items()}


def equal_shapes(config: RunConfig) -> Batch:
    """64 systems of 50 points and 24 target tokens: random ids, no padding."""
    generator, vocabulary = torch.Generator().manual_seed(1), config.model.vocabulary
    columns = 3 * (1 + config.model.max_dimension)
    shapes = {"points": (64, 50, columns), "tokens": (64, 25)}
    ids = {
        name: torch.randint(300, len(vocabulary.float_words), shape, generator=generator)
        for name, shape in shapes.items()
    }
    return ids | {"n_points": torch.full((64,), 50), "n_tokens": torch.full((64,), 25)}


def seconds(action: Callable, argument: object) -> float:
    start = time.process_time()
    action(argument)
    return time.process_time() - start


def report(label: str, rates: dict[str, list[float]], unit: str) -> None:
    middle = {name: median(values) for name, values in rates.items()}
    text = "  ".join(f"{name} {rate:,.0f} {unit}" for name, rate in middle.items())
    ratio = f"  ratio {middle['ours'] / middle['official']:.2f}" if len(middle) == 2 else ""
    print(f"{label:14s} {text}{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30, help="timed steps per row and side")
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    config = read_config(ROOT / "configs" / "odeformer" / "main.toml", None, None)
    sides = {"ours": Ours(config)}
    if find_spec("odeformer"):
        sides["official"] = Official(config)

    shaped = equal_shapes(config)
    rates = {name: [] for name in sides}
    for _ in range(steps):
        for name, side in sides.items():
            rates[name].append(64 / seconds(side.on_ids, shaped))
    report("equal shapes", rates, "systems/s")
    flops = 3 * forward_flops(config.model, shaped["n_points"], shaped["n_tokens"] - 1)
    print(f"{'':14s} ours {median(rates['ours']) * flops / 64 / 1e9:.1f} GFLOP/s")

    size = config.stream.batch_size
    samples = evaluation_samples(config.stream, seed=2, n=steps * size)
    buckets = bucket(samples, np.random.default_rng(3), size)
    rates = {name: [] for name in sides}
    for rows in buckets:
        batch = tensors(collate(config.model.vocabulary, rows))
        for name, side in sides.items():
            rates[name].append(useful(batch) / seconds(side.on_ids, batch))
    report("equal batches", rates, "tokens/s")

    queue = sorted(samples, key=lambda sample: len(sample.times))
    starts = np.random.default_rng(4).permutation(len(buckets)) * size
    by_points = [queue[start : start + size] for start in starts]
    batches = {"ours": buckets, "official": by_points}
    rates = {name: [] for name in sides}
    for i in range(steps):
        for name, side in sides.items():
            batch = tensors(collate(config.model.vocabulary, batches[name][i]))
            rates[name].append(useful(batch) / seconds(side.on_samples, batches[name][i]))
    report("end to end", rates, "tokens/s")


def useful(batch: Batch) -> int:
    return int(batch["n_points"].sum() + batch["n_tokens"].sum()) - len(batch["n_tokens"])


if __name__ == "__main__":
    main()
