"""Train an ODEFormer on the endless stream of random systems, in one resumable command:

    python -m attention_in_motion.odeformer.train CONFIG.toml [--seed N] [--steps N] [--out PATH]
                                                  [--resume | --fresh]
                                                  [--interim FILE] [--continue FILE]

CONFIG.toml has the tables [model] (ODEFormerConfig), [stream] (StreamConfig) and [training]
(TrainingConfig). A killed run started again with the same arguments goes on from its last
checkpoint, which lies beside PATH under the digest of its configuration. With --resume it must find
one, and where another configuration's lies it is not passed over in silence: the command says so
and stops, unless told --fresh, which starts at step 0 whatever there is. The result is PATH, all
weights as safetensors, and beside it a .json that says how they were made.

Where a run outlives its machine, --interim FILE writes the checkpoint's weights into FILE as
float16, and --continue FILE goes on from there: at that step of the schedule and of the data, with
a fresh optimiser that takes REWARM steps up to its rate. The record then says so.
"""

from __future__ import annotations

import math
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from attention_in_motion.odeformer import weights
from attention_in_motion.odeformer.language.tokens import KINDS
from attention_in_motion.odeformer.network.model import (
    ODEFormer,
    ODEFormerConfig,
    order_numbers,
    within,
)
from attention_in_motion.odeformer.stream import (
    StreamConfig,
    batches,
    bucket,
    collate,
    evaluation_samples,
)
from attention_in_motion.training.descent import INITIALISATION, OPTIMISERS, fit, seeded
from attention_in_motion.training.run import digest

Batch = dict[str, Tensor]

VALIDATION_SEED = 1_000_003
VALIDATION_SAMPLES = 2048
REWARM = 200  # steps
WINDOW = 100  # steps whose mean loss is recorded
LOSS_MARGIN = 1e-3  # nats per token that rounding to float16 may cost


@dataclass(frozen=True)
class TrainingConfig:
    """AdamW with linear warm-up and cosine decay to zero; `clip` bounds the gradient's norm.

    `optimiser` "muon" gives the hidden matrices to Muon, with the peak rate `matrix_lr`; the rest
    keep AdamW and `lr`. With `average` > 0 the result is the mean of the weights over that share of
    the steps, the last. `bfloat16` takes products in that precision, as a GPU always does; weights
    stay float32. `ordered_numbers` starts the number words in order (see `order_numbers`); without
    it they start as in the published model. Raises ValueError for a number that is not
    positive, an average outside [0, 1) or an unknown optimiser.
    """

    steps: int
    ordered_numbers: bool = True
    lr: float = 1e-3
    warmup: int = 500
    clip: float = 1.0
    checkpoint_every: int = 250
    report_every: int = 50
    optimiser: str = "adamw"
    matrix_lr: float = 2e-3
    average: float = 0.0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, bool | str) and name != "average" and value <= 0:
                raise ValueError(f"{name} = {value}: must be positive")
        if not 0 <= self.average < 1:
            raise ValueError(f"average = {self.average}: must lie in [0, 1)")
        if self.optimiser not in OPTIMISERS:
            allowed = ", ".join(OPTIMISERS)
            raise ValueError(f"optimiser = {self.optimiser!r}: must be one of {allowed}")


@dataclass(frozen=True)
class RunConfig:
    """All that determines a run: its weights are a function of this (and of the hardware)."""

    model: ODEFormerConfig
    stream: StreamConfig
    training: TrainingConfig
    seed: int


def read_config(path: Path, seed: int | None, steps: int | None) -> RunConfig:
    """The run described by a TOML file; `seed` and `steps` override it when given.

    Raises ValueError naming the table for an unknown or missing entry.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    training = tables.get("training", {}) | ({} if steps is None else {"steps": steps})
    model = build(ODEFormerConfig, "model", tables.get("model", {}))
    shared = {"max_dimension": model.max_dimension, "precision": model.precision}
    return RunConfig(
        model=model,
        stream=build(StreamConfig, "stream", shared | tables.get("stream", {})),
        training=build(TrainingConfig, "training", training),
        seed=tables.get("seed", 0) if seed is None else seed,
    )


def build(config: type, table: str, entries: dict[str, Any]) -> Any:
    """`config(**entries)`. Raises ValueError naming the table for an unknown or missing entry."""
    try:
        return config(**entries)
    except TypeError as error:
        raise ValueError(f"[{table}]: {str(error).split('() ')[-1]}") from None


def forward_flops(config: ODEFormerConfig, n_points: Tensor, n_tokens: Tensor) -> float:
    """Matrix-product FLOP of one forward pass over unpadded lengths (batch,), 2 per multiply-add.

    Training costs three times as much. n_tokens counts decoder inputs.
    """
    points, tokens = n_points.double(), n_tokens.double()  # (batch,) each
    width, decoder_width = config.encoder_width, config.decoder_width
    words = 3 * (1 + config.max_dimension) * config.embedding_width
    cross = 2 * config.decoder_layers * width * decoder_width  # keys and values of every layer
    per_point = words * (words + width) + 12 * config.encoder_layers * width**2 + cross
    n_words = len(config.vocabulary.words)
    per_token = 14 * config.decoder_layers * decoder_width**2 + n_words * decoder_width
    encoder_pairs = 2 * config.encoder_layers * width * points**2
    decoder_pairs = 2 * config.decoder_layers * decoder_width * tokens * (tokens + points)
    multiplies = per_point * points + per_token * tokens + encoder_pairs + decoder_pairs
    return 2 * float(multiplies.sum())


class Progress:
    """Prints a line every `every` steps: loss, rates since the last line, time left.

    Tokens are positions through the network, points and target tokens, without padding.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config, self.start, self.first_step = config, time.monotonic(), None
        self.reset()

    def at(self, step: int, batch: Batch) -> None:
        """Called before each step, with its batch; the first call tells where a run begins."""
        self.step, self.batch = step, batch
        self.first_step = step if self.first_step is None else self.first_step

    def reset(self) -> None:
        """Begin to count anew."""
        self.since, self.losses = time.monotonic(), []
        self.samples = self.tokens = 0
        self.flops = 0.0

    def update(self, loss: Tensor) -> None:
        """Count the step's batch and its loss; prints the line when it is due."""
        n_points, n_tokens = self.batch["n_points"], self.batch["n_tokens"] - 1  # (batch,) each
        self.losses.append(loss.detach())
        self.samples += len(n_points)
        self.tokens += int(n_points.sum() + n_tokens.sum())
        self.flops += 3 * forward_flops(self.config.model, n_points, n_tokens)
        if (self.step + 1) % self.config.training.report_every == 0:
            print(self.line(self.step + 1), file=sys.stderr, flush=True)
            self.reset()

    def line(self, done: int) -> str:
        """Loss and rates since the last line, and the time left, after `done` steps."""
        seconds, steps = time.monotonic() - self.since, self.config.training.steps
        left = (steps - done) * seconds / len(self.losses) / 60
        return (
            f"step {done}/{steps}  loss {torch.stack(self.losses).mean():.4f}  "
            f"{self.samples / seconds:.0f} samples/s  {self.tokens / seconds:.0f} tokens/s  "
            f"{self.flops / seconds / 1e9:.1f} GFLOP/s  {left:.0f} min left"
        )


def checkpoint_of(config: RunConfig, out: Path) -> Path:
    """Where a run keeps what it needs to go on: beside its result, under its digest."""
    return out.with_suffix(f".{digest(config)}.checkpoint")


def check_checkpoint(config: RunConfig, out: Path, resume: bool | None) -> None:
    """Raises ValueError where a run that seems to be resumed would start at step 0.

    It seems so if `resume` is True, and where the checkpoint of another configuration lies beside
    `out`. If `resume` is False a checkpoint of this one is removed instead.
    """
    own = checkpoint_of(config, out)
    if resume is False:
        own.unlink(missing_ok=True)
    elif not own.exists():
        others = sorted(path.name for path in out.parent.glob(f"{out.stem}.*.checkpoint"))
        if resume or others:
            beside = f", only {', '.join(others)}" if others else ""
            raise ValueError(f"no checkpoint {own}{beside}: to start at step 0 add --fresh")


def untrained(config: RunConfig) -> ODEFormer:
    """The model as the run finds it at step 0."""
    model = ODEFormer(config.model, seeded(config.seed, INITIALISATION))
    if config.training.ordered_numbers:
        order_numbers(model)
    return model


def write_interim(config: RunConfig, out: Path, target: Path, command: str) -> None:
    """The weights in the checkpoint beside `out`, as float16, with the steps that they have had.

    Raises FileNotFoundError if there is no checkpoint.
    """
    state = torch.load(checkpoint_of(config, out), weights_only=True)
    model = ODEFormer(config.model, torch.Generator())
    model.load_state_dict(state["model"])
    record = {"config": asdict(config), "digest": digest(config), "stored": "float16"}
    record |= {
        "command": command,
        "seed": config.seed,
        "steps_done": state["step"],
        "losses": window_means(state["losses"]),
    }
    weights.save(model.half(), record, target)


def read_interim(config: RunConfig, path: Path) -> tuple[ODEFormer, int, list[float | None]]:
    """What `write_interim` wrote: the model, its steps, their losses.

    Raises ValueError if it is of another configuration.
    """
    record = weights.record_of(path)
    if record.get("digest") != digest(config):
        raise ValueError(f"--continue {path}: its weights are of another configuration")
    return weights.load(path).train(), record["steps_done"], record["losses"]


def window_means(losses: Tensor) -> list[float | None]:
    """The mean of every WINDOW steps of losses (steps, 1); None where none was taken."""
    means = [float(window.nanmean()) for window in losses[:, 0].split(WINDOW)]
    return [None if math.isnan(mean) else round(mean, 5) for mean in means]


def train(
    config: RunConfig, out: Path, command: str, device: torch.device, interim: Path | None = None
) -> None:
    """Train from the checkpoint beside `out`, from `interim` or from scratch; write the result."""
    plan, first_step, earlier = config.training, 0, []
    if interim is None:
        model = untrained(config)
    else:
        model, first_step, earlier = read_interim(config, interim)
    source, progress = batches(config.stream, config.seed), Progress(config)
    dtype = torch.bfloat16 if plan.bfloat16 or device.type == "cuda" else torch.float32

    def at_step(step: int) -> Batch:
        batch = source(step)
        progress.at(step, batch)  # on the CPU: to count there costs a GPU no wait
        return batch

    def loss(model: ODEFormer, batch: Batch) -> Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype == torch.bfloat16):
            value = model.loss(**batch)
        progress.update(value)
        return value[None]  # (seed,) with one seed

    losses, _ = fit(
        model,
        loss,
        at_step,
        steps=plan.steps,
        lr=plan.lr,
        schedule="cosine",
        warmup=plan.warmup,
        clip=plan.clip,
        optimiser=plan.optimiser,
        matrix_lr=plan.matrix_lr,
        matrix_dtype=dtype,
        average=plan.average,
        first_step=first_step,
        rewarm=REWARM if first_step else 0,
        checkpoint=checkpoint_of(config, out),
        checkpoint_every=plan.checkpoint_every,
        device=str(device),
        label="ODEFormer",
    )
    seconds = time.monotonic() - progress.start
    means = window_means(losses)
    means[: first_step // WINDOW] = earlier[: first_step // WINDOW]
    record = {
        "config": asdict(config),
        "command": command,
        "seed": config.seed,
        "steps": plan.steps,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "dtype": "bfloat16 autocast" if dtype == torch.bfloat16 else "float32",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "seconds_since_last_start": round(seconds, 1),
        "last_start_at_step": progress.first_step,
        "validation": validate(model, validation_batches(config.stream), device),
        "losses": means,
    }
    if interim is not None:
        made = {"weights": interim.name, "stored": "float16", "rewarm": REWARM}
        record["continued"] = {"at_step": first_step, **made}
    weights.save(model, record, out)
    checkpoint_of(config, out).unlink(missing_ok=True)


def validation_batches(config: StreamConfig) -> Iterator[Batch]:
    """The same batches for every run: systems that no training stream shows."""
    samples = evaluation_samples(config, VALIDATION_SEED, VALIDATION_SAMPLES)
    for batch in bucket(samples, np.random.default_rng(VALIDATION_SEED), config.batch_size):
        arrays = collate(config.vocabulary, batch)
        yield {name: torch.from_numpy(ids).long() for name, ids in arrays.items()}


def validate(model: ODEFormer, stream: Iterable[Batch], device: torch.device) -> dict[str, float]:
    """Teacher-forced loss in nats per token, and the share of right tokens overall and by kind."""
    nats, right, kind, _ = teacher_forced(model, stream, device)  # (tokens,) each
    by_kind = {name: right[kind == i] for i, name in enumerate(KINDS) if (kind == i).any()}
    accuracies = {"all": right, **by_kind}
    return {"loss": float(nats.mean())} | {k: float(v.mean()) for k, v in accuracies.items()}


@torch.no_grad()
def teacher_forced(model: ODEFormer, stream: Iterable[Batch], device: torch.device) -> Tensor:
    """Every target token: its nats, whether it is the likeliest, its kind (as an index in KINDS)
    and the number of its sample in the stream: (4, tokens)."""
    kinds = torch.from_numpy(model.config.vocabulary.kinds)  # (n_words,)
    rows, n_samples = [], 0
    for batch in stream:
        batch = {name: part.to(device) for name, part in batch.items()}
        logits = model(**batch)[:, :-1]  # (batch, length − 1, n_words)
        real = within(batch["n_tokens"] - 1, logits.shape[1])  # (batch, length − 1)
        scores, target = logits[real].log_softmax(-1).cpu(), batch["tokens"][:, 1:][real].cpu()
        nats = -scores.gather(1, target[:, None])[:, 0]  # (tokens,)
        sample = real.nonzero()[:, 0].cpu() + n_samples  # (tokens,)
        rows.append(torch.stack([nats, scores.argmax(1) == target, kinds[target], sample]))
        n_samples += len(logits)
    return torch.cat(rows, dim=1)  # (4, tokens)


# ---------------------------------------------------------------------------------------------
# The commands

FILE = click.Path(path_type=Path)


@click.command(help="Train the model that CONFIG describes; resumable.")
@click.argument("config", type=FILE)
@click.option("--seed", type=int, help="overrides the file's")
@click.option("--steps", type=int, help="overrides the file's")
@click.option("--out", type=FILE, help="default: runs/odeformer/<digest>.safetensors")
@click.option(
    *("--resume/--fresh", "resume"),
    default=None,
    help="stop if there is no checkpoint / start at step 0, whatever there is",
)
@click.option("--interim", type=FILE, help="write the checkpoint's weights here; train nothing")
@click.option("--continue", "begun", type=FILE, help="begin from what --interim wrote")
def main(
    config: Path,
    seed: int | None,
    steps: int | None,
    out: Path | None,
    resume: bool | None,
    interim: Path | None,
    begun: Path | None,
) -> None:
    """python -m attention_in_motion.odeformer.train; see the module's text."""
    given = {"--seed": seed, "--steps": steps, "--out": out, "--continue": begun}
    options = [f"{name} {value}" for name, value in given.items() if value is not None]
    options += [f"--interim {interim}"] if interim else []
    options += {None: [], True: ["--resume"], False: ["--fresh"]}[resume]
    command = " ".join(["python -m attention_in_motion.odeformer.train", str(config), *options])
    try:
        run = read_config(config, seed, steps)
        out = out or Path("runs/odeformer") / f"{digest(run)}.safetensors"
        if interim is not None:
            return write_interim(run, out, interim, command)
        check_checkpoint(run, out, resume)
        if begun is not None:
            read_interim(run, begun)  # refused before anything is trained
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train(run, out, command, device, begun)


def ship(path: Path) -> Path:
    """Write a trained model into data/odeformer/ as float16, with its record.

    The record says what rounding changed. Raises ValueError if it costs more than 0.001 nats a
    token on held-out systems.
    """
    record, model = weights.record_of(path), weights.load(path).half().float()
    batches = validation_batches(StreamConfig(**record["config"]["stream"]))
    rounded = validate(model, batches, torch.device("cpu"))
    cost = rounded["loss"] - record["validation"]["loss"]
    if cost > LOSS_MARGIN:
        raise ValueError(f"{path}: as float16 it loses {cost:.2g} nats, allowed are {LOSS_MARGIN}")
    out = weights.SHIPPED / path.name
    as_stored = {"stored": "float16", "validation_as_stored": rounded}
    weights.save(model.half(), record | as_stored, out)
    return out


@click.command(help="Put the model at PATH, a .safetensors with its .json, into data/odeformer/.")
@click.argument("path", type=FILE)
def ship_command(path: Path) -> None:
    """python -m attention_in_motion.odeformer.weights; see `ship`."""
    try:
        click.echo(ship(path))
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None


if __name__ == "__main__":
    main()
