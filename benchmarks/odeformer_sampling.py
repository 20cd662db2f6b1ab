"""Sampling equations: ours beside the official package, with the same weights.

    .venv-official/bin/python benchmarks/odeformer_sampling.py [--tokens N] [--repeats N]
        [--weights FILE.safetensors]

50 samples for one 100-point 2-D trajectory: one thread, float32, random weights at the released
sizes, temperature 1. Rows:
no early end: <EOS> is impossible, every sample has N tokens;
mixed ends: every token is an <EOS> with probability about 2/N, so that samples end all the time;
as trained: only with --weights, a file that training wrote: temperature 0.1, at which samples begin
alike and ours computes an equal beginning once.
The official side is the encoder, the copies of its output, and `generate`, without the greedy pass
that the package runs besides. "kept" is what keys and values take, at most; both sides need twice
as much while they extend it. Last, `ask` with 10 samples over one whole forward pass for every
token that these samples have, which is what they would cost without a cache. The sides take turns
and each ratio is one of medians of CPU time. Without the official package only our own numbers are
printed.
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

from attention_in_motion.odeformer.network import decode
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.recognise import ask
from attention_in_motion.odeformer.weights import load

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "official"))

N_POINTS, N_SAMPLES = 100, 50


def oscillation() -> tuple[np.ndarray, np.ndarray]:
    """Times (100,) and a slightly damped rotation (100, 2), in the scaled convention."""
    times = np.linspace(1, 10, N_POINTS)
    decay = np.exp(-0.05 * (times - 1))[:, None]
    angles = 1.3 * (times - 1)
    return times, decay * np.stack([np.cos(angles) + np.sin(angles), np.cos(angles)], axis=1)


class Watched(decode.Cache):
    """A cache that remembers how much it kept at most, in bytes."""

    most = 0

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        logits = super().step(tokens)
        read = sum(part.nbytes for pair in self.encoded for part in pair)
        Watched.most = max(Watched.most, self.written.nbytes + read)
        return logits


class Ours:
    def __init__(self, model: ODEFormer) -> None:
        self.model = model
        times, values = oscillation()
        ids = torch.from_numpy(model.config.vocabulary.encode_points(times, values))
        self.inputs = ids[None], torch.tensor([N_POINTS])

    def sample(self, temperature: float, max_tokens: int, seed: int) -> list[int]:
        """Lengths, with the final <EOS>, of the samples."""
        Watched.most = 0
        generator = torch.Generator().manual_seed(seed)
        options = N_SAMPLES, temperature, generator, max_tokens
        [decoded] = decode.sample(self.model, *self.inputs, *options)
        return [min(1 + len(one.tokens), max_tokens) for one in decoded]

    def kept(self) -> int:
        return Watched.most


class Official:
    def __init__(self, model: ODEFormer) -> None:
        from conftest import build_peer

        self.peer, self.eos = build_peer(model.config), model.config.vocabulary.eos
        self.decoder = self.peer.modules["decoder"]
        if model.decoder.proj.weight is not model.decoder.embeddings.weight:
            self.decoder.proj.weight = torch.nn.Parameter(self.decoder.proj.weight.clone())
        self.peer.modules.load_state_dict(model.state_dict())

    def sample(self, temperature: float, max_tokens: int, seed: int) -> list[int]:
        with torch.no_grad():
            memory = self.peer.encode([oscillation()]).repeat(N_SAMPLES, 1, 1)
            _, lengths, _ = self.decoder.generate(
                memory,
                torch.full((N_SAMPLES,), N_POINTS),
                max_len=max_tokens + 1,
                sample_temperature=temperature,
                seed=seed,
            )
        return (lengths - 1).tolist()

    def kept(self) -> int:
        pairs = [pair for pair in self.decoder.cache.values() if isinstance(pair, tuple)]
        return sum(part.nbytes for pair in pairs for part in pair)


def seconds(action: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


def compare(label: str, sides: dict, temperature: float, max_tokens: int, repeats: int) -> None:
    """One row: median seconds per 50 samples of each side, lengths, bytes kept, and the ratio."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    lengths: dict[str, list[int]] = {name: [] for name in sides}
    for seed in range(repeats):
        for name, side in sides.items():
            spent, found = seconds(lambda s=side, i=seed: s.sample(temperature, max_tokens, i))
            taken[name].append(spent)
            lengths[name] += found
    for name, side in sides.items():
        low, middle, high = np.percentile(lengths[name], [10, 50, 90])
        print(
            f"{label:14s} {name:9s} {median(taken[name]):7.2f} s  "
            f"tokens {low:.0f}, {middle:.0f}, {high:.0f} (deciles 1, 5, 9)  "
            f"kept {side.kept() / 2**20:.0f} MiB"
        )
    if len(sides) == 2:
        print(f"{label:14s} ratio {median(taken['official']) / median(taken['ours']):.2f}")


@torch.no_grad()
def random_model() -> ODEFormer:
    """The released sizes; output rows are not tied, else untrained models repeat what they read."""
    model = ODEFormer(ODEFormerConfig(), torch.Generator().manual_seed(0)).eval()
    model.decoder.proj.weight = torch.nn.Parameter(model.decoder.embeddings.weight.flip(0))
    return model


@torch.no_grad()
def set_end_probability(sides: dict, probability: float) -> None:
    """Move the bias of <EOS> until the first token is an <EOS> with this probability."""
    ours = sides["ours"]
    eos, bias = ours.model.config.vocabulary.eos, ours.model.decoder.proj.bias
    tokens, one = torch.tensor([[eos]]), torch.tensor([1])
    logits = ours.model(*ours.inputs, tokens, one)[0, 0]  # (n_words,)
    rest = torch.cat([logits[:eos], logits[eos + 1 :]]).logsumexp(0)
    odds = max(probability / (1 - probability), 1e-30)
    bias[eos] += rest + np.log(odds) - logits[eos]
    if "official" in sides:
        sides["official"].decoder.proj.bias[eos] = bias[eos]


def time_ask(ours: Ours, temperature: float, repeats: int) -> None:
    """`ask` with 10 samples over one whole forward pass per token of theirs."""
    model, (times, values) = ours.model, oscillation()
    options = 10, temperature, torch.Generator().manual_seed(0)
    [decoded] = decode.sample(model, *ours.inputs, *options)
    n_tokens = sum(1 + len(one.tokens) for one in decoded)
    half = torch.full((1, max(n_tokens // 20, 1)), model.config.vocabulary.eos)
    with torch.no_grad():
        passes = [
            seconds(lambda: model(*ours.inputs, half, torch.tensor([half.shape[1]])))[0]
            for _ in range(5)
        ]
    fits = [seconds(lambda: ask(model, times, values, 10, temperature)) for _ in range(repeats)]
    spent, without = median(t for t, _ in fits), median(passes) * n_tokens
    print(
        f"{'ask':14s} ours      {spent:7.2f} s  {n_tokens} tokens, "
        f"{len(fits[0][1].candidates)} candidates; over one forward pass per token "
        f"({without:.2f} s): {spent / without:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=60, help="the longest a sample gets")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs per row and side")
    parser.add_argument("--weights", type=Path, help="a trained model, for the row `as trained`")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.Tensor.byte = torch.Tensor.bool  # torch refuses the byte mask of the official `generate`
    decode.Cache = Watched
    makers = {"ours": Ours} | ({"official": Official} if find_spec("odeformer") else {})

    model = random_model()
    sides = {name: make(model) for name, make in makers.items()}
    set_end_probability(sides, 0.0)
    compare("no early end", sides, 1.0, options.tokens, options.repeats)
    set_end_probability(sides, 2 / options.tokens)
    compare("mixed ends", sides, 1.0, options.tokens, options.repeats)
    if options.weights:
        model = load(options.weights)
        sides = {name: make(model) for name, make in makers.items()}
        compare("as trained", sides, 0.1, 200, options.repeats)
    time_ask(sides["ours"], 0.1 if options.weights else 1.0, options.repeats)


if __name__ == "__main__":
    main()
