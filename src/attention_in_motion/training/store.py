"""Trained things: where they live, how they are named, checked, loaded or trained.

A run is keyed by a digest of its full configuration. Shipped runs lie in `data/` with a row in
`data/manifest.json`; everything else is trained on demand into `runs/weights/`.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from attention_in_motion.paths import DATA, weights_folder
from attention_in_motion.training.descent import fit, one_thread, save_atomically
from attention_in_motion.training.run import RECIPE, Run, digest

MANIFEST = DATA / "manifest.json"
N_SAMPLE = 4  # stored input–output pairs per seed


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Trained:
    """A finished run: its configuration, weights, thinned losses and where it came from."""

    run: Run
    tensors: dict[str, Tensor]
    provenance: dict[str, Any] = field(repr=False)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names start with `prefix`, without it."""
        return {k.removeprefix(prefix): t for k, t in self.tensors.items() if k.startswith(prefix)}

    @cached_property
    def model(self) -> nn.Module:
        """The trained ensemble, ready to evaluate."""
        return self.at(None)

    def at(self, step: int | None) -> nn.Module:
        """The ensemble after `step` training steps (a snapshot), or at the end (None)."""
        model = self.run.model()
        model.load_state_dict(self.part("weights." if step is None else f"snapshot.{step}."))
        return model.requires_grad_(False)

    @property
    def n_parameters(self) -> int:
        """Parameters of one member of the ensemble."""
        return sum(p[0].numel() for p in self.model.parameters())

    @property
    def minutes(self) -> float:
        """Minutes of training per seed, one core."""
        return self.provenance["seconds"] / 60 / len(self.run.seeds)

    @property
    def losses(self) -> tuple[Tensor, Tensor]:
        """Steps (n,) and losses (n, seed) at those steps."""
        return self.tensors["loss_steps"], self.tensors["losses"]


def load_or_train(run: Run, name: str, *, retrain: bool = False, device: str = "cpu") -> Trained:
    """The finished run: shipped if its key is in the manifest, else kept from before, else trained.

    `retrain` trains, whatever is shipped or kept. Training shows a progress bar, checkpoints as it
    goes, resumes after an interruption, and writes atomically under a lock. Raises
    FileNotFoundError or ValueError, naming the file, when a shipped or kept file is missing,
    altered or truncated.
    """
    key = digest(run)
    row = next((row for row in manifest() if row["key"] == key), None)
    if row is not None and not retrain:
        return read(DATA / row["file"], run, row["sha256"])
    path = weights_folder() / f"{name}-{key}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if retrain or not path.exists():
            checkpoint = path.with_suffix(".checkpoint")
            write(train(run, name, checkpoint=checkpoint, device=device), path)
    return read(path, run)


def load_all(
    runs: Mapping[str, Run], chapter: str, *, retrain: bool = False, device: str = "cpu"
) -> dict[str, Trained]:
    """`load_or_train` for every run of a page: {name: run} → {name: trained}.

    A run's file is named after the page's number and the run: 03-8la-32-16-open.
    """
    files = {name: f"{chapter[:2]}-{slug(name)}" for name in runs}
    options = {"retrain": retrain, "device": device}
    return {name: load_or_train(run, files[name], **options) for name, run in runs.items()}


def slug(name: str) -> str:
    """A run's name as part of a file's: '8LA 32/16 open' → '8la-32-16-open'."""
    return re.sub(r"[ /]+", "-", name.lower().replace(",", ""))


def train(
    run: Run, name: str = "training", *, checkpoint: Path | None = None, device: str = "cpu"
) -> Trained:
    """Train `run` now and keep nothing on disk but the checkpoint, if one is named."""
    start = time.monotonic()
    model = run.model()
    options = {key: getattr(run, key) for key in ("steps", "lr", "weight_decay", "schedule")}
    places = {"checkpoint": checkpoint, "device": device, "label": name}
    with one_thread():
        losses, snapshots = fit(
            model, run.loss, run.batches(), snapshots=run.snapshots, **options, **places
        )
        run.refine(model)
    kept = thinned(len(losses))
    tensors = {"loss_steps": kept, "losses": losses[kept], **sample(run, model.cpu())}
    tensors |= {f"weights.{k}": t.detach() for k, t in model.state_dict().items()}
    for step, state in snapshots.items():
        tensors |= {f"snapshot.{step}.{k}": t for k, t in state.items()}
    provenance = {
        "name": name,
        "key": digest(run),
        "experiment": type(run).__name__,
        "recipe": RECIPE,
        "config": asdict(run),
        "device": device,
        "dtype": str(losses.dtype).removeprefix("torch."),
        "threads": 1,
        "torch": torch.__version__,
        "seconds": round(time.monotonic() - start, 1),
        "final_loss": [float(f"{v:.4g}") for v in losses[-100:].mean(dim=0)],
    }
    return Trained(run, tensors, provenance)


def sample(run: Run, model: nn.Module) -> dict[str, Tensor]:
    """A few held-out inputs and the model's outputs, to recognise the weights by."""
    drawn = run.draw(torch.Generator().manual_seed(0), 1)[0][0, :N_SAMPLE, :-1]
    inputs = drawn.expand(len(run.seeds), *drawn.shape).contiguous()
    with torch.no_grad():
        return {"sample.input": inputs, "sample.output": model(inputs)}


def write(trained: Trained, path: Path) -> None:
    """Write a finished run atomically, its provenance in the file's own header."""
    tensors = {name: tensor.contiguous() for name, tensor in trained.tensors.items()}
    metadata = {"provenance": json.dumps(trained.provenance)}
    save_atomically(lambda partial: save_file(tensors, partial, metadata=metadata), path)


def thinned(steps: int) -> Tensor:
    """The first 20 steps, about 400 log-spaced ones, and the last: indices into the losses."""
    spaced = torch.logspace(0, torch.log10(torch.tensor(float(steps))).item(), 400).long() - 1
    return torch.cat([torch.arange(min(20, steps)), spaced, torch.tensor([steps - 1])]).unique()


def read(path: Path, run: Run, expected: str | None = None) -> Trained:
    """Read a finished run; refuse a file that is missing, altered, truncated or another run's."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: shipped weights are missing; restore the file")
    if expected is not None and sha256(path) != expected:
        raise ValueError(f"{path}: SHA-256 differs from the manifest's; restore the file")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            provenance = json.loads((file.metadata() or {}).get("provenance", "{}"))
    except SafetensorError as error:
        raise ValueError(f"{path}: not a readable weights file ({error}); delete it") from None
    if provenance.get("key") != digest(run):
        raise ValueError(f"{path}: holds run {provenance.get('key')}, wanted {digest(run)}")
    return Trained(run, tensors, provenance)


def manifest() -> list[dict[str, Any]]:
    """The rows of data/manifest.json, one per shipped run."""
    return json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else []
