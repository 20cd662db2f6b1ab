"""Trained things: where they live, how they are named, checked, loaded or trained.

A run is keyed by a digest of its full configuration. Shipped runs lie in `data/` with a row in
`data/manifest.json`; everything else is trained on demand into `runs/weights/`.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from attention_in_motion.paths import (
    DATA,
    read_json,
    reason,
    save_atomically,
    sha256,
    weights_folder,
)
from attention_in_motion.training.descent import fit, one_thread
from attention_in_motion.training.exactness import ExactnessMap
from attention_in_motion.training.forecast import ForecastRun
from attention_in_motion.training.motion import MotionRun
from attention_in_motion.training.oscillator import LinearRun, OscillatorRun, SolverRun
from attention_in_motion.training.run import RECIPE, Run, digest

MANIFEST = DATA / "manifest.json"
RECIPE_FIELDS = ("steps", "lr", "weight_decay", "schedule", "optimiser")  # what `fit` is given
N_SAMPLE = 4  # stored input–output pairs per seed


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
    if not retrain and (left := list(DATA.glob(f"*-{key}.safetensors"))):
        raise ValueError(f"{MANIFEST}: has no row of {left[0].name}; restore the file")
    path = weights_folder() / f"{name}-{key}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if retrain or not path.exists():
            checkpoint = path.with_suffix(".checkpoint")
            write(train(run, name, checkpoint=checkpoint, device=device), path)
            checkpoint.unlink(missing_ok=True)  # only now: a full disk must not cost a training
        return read(path, run)  # still locked: what was trained here, not by a neighbour since


def together(parts: Sequence[Trained]) -> nn.Module:
    """One ensemble of the members of several runs of one architecture, in that order."""
    seeds = tuple(seed for one in parts for seed in one.run.seeds)
    model, weights = replace(parts[0].run, seeds=seeds).model(), [p.part("weights.") for p in parts]
    model.load_state_dict({name: torch.cat([w[name] for w in weights]) for name in weights[0]})
    return model.requires_grad_(False)


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
    options = {key: getattr(run, key) for key in RECIPE_FIELDS}
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
            key = provenance.get("key")
    except (SafetensorError, ValueError, AttributeError, RecursionError, OSError) as error:
        fault = f"not a readable weights file ({reason(error)}); delete it"
        raise ValueError(f"{path}: {fault}") from None
    if key != digest(run):
        raise ValueError(f"{path}: holds run {key}, wanted {digest(run)}")
    return Trained(run, tensors, provenance)


def opened(path: Path) -> Trained:
    """A finished run from its file alone, which says what it is. Errors: as of `read`."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file, and no name in {MANIFEST.name}")
    try:
        with safe_open(path, framework="pt") as file:
            run = run_of(json.loads((file.metadata() or {})["provenance"]))
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        fault = f"not a readable weights file ({reason(error)})"
        raise ValueError(f"{path}: {fault}") from None
    return read(path, run)


def digest_of(*models: nn.Module) -> str:
    """Twelve hex digits that tell the weights of these models from others."""
    found = hashlib.sha256()
    for model in models:
        for tensor in model.state_dict().values():
            found.update(tensor.numpy().tobytes())
    return found.hexdigest()[:12]


def manifest() -> list[dict[str, Any]]:
    """The rows of data/manifest.json, one per shipped run."""
    return read_json(MANIFEST) if MANIFEST.exists() else []


KINDS = (  # named by the manifest
    *(OscillatorRun, LinearRun, SolverRun, MotionRun, ExactnessMap, ForecastRun),
)


def run_of(row: dict[str, Any]) -> Run:
    """Rebuild the run that a manifest row or a file's provenance describes."""
    kinds = {kind.__name__: kind for kind in KINDS}
    config = {k: tuple(v) if isinstance(v, list) else v for k, v in row["config"].items()}
    return kinds[row["experiment"]](**config)


def ship(paths: Iterable[Path]) -> None:
    """Copy finished runs into data/ and write their manifest rows and data/README.md."""
    rows = {row["name"]: row for row in manifest()}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            provenance = json.loads(file.metadata()["provenance"])
        read(path, run_of(provenance))  # refuses a broken file
        target = DATA / path.name
        save_atomically(lambda partial, path=path: shutil.copyfile(path, partial), target)
        command = f"python -m attention_in_motion retrain {provenance['name']}"
        found = {"file": target.name, "sha256": sha256(target), "command": command}
        rows[provenance["name"]] = {"name": provenance["name"], **found, **provenance}
    ordered = [rows[name] for name in sorted(rows)]
    save_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", MANIFEST)
    save_text(table(ordered), DATA / "README.md")


def save_text(text: str, path: Path) -> None:
    """Write a text atomically."""
    save_atomically(lambda partial: partial.write_text(text, encoding="utf-8"), path)


def table(rows: list[dict[str, Any]]) -> str:
    """data/README.md: one line per shipped file."""
    lines = [
        "# Shipped weights\n",
        "Written by `python -m attention_in_motion ship FILE ...` from `manifest.json`. Each file",
        "is one configuration with its seeds stacked; the command retrains it and compares. The",
        "weights in `odeformer/` have their command, seed and hash in the .json beside them.\n",
        "| file | command | seeds | steps | device, threads | minutes | final loss | sha256 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        config, losses = row["config"], row["final_loss"]
        facts = [f"`{row['file']}`", f"`{row['command']}`", len(losses), config["steps"]]
        facts += [f"{row['device']}, {row['threads']}", f"{row['seconds'] / 60:.1f}"]
        facts += [f"{median(losses):.2g}", f"`{row['sha256'][:12]}…`"]
        lines.append("| " + " | ".join(map(str, facts)) + " |")
    return "\n".join(lines) + "\n"


def retrain(wanted: str | None, rotate: bool) -> int:
    """Train shipped runs again, into runs/weights/, and compare with the stored seed spread.

    `wanted` is the beginning of their names, so a chapter's number or one run's name; `rotate`
    picks one of them by today's date. Resumable. Returns 1 if one left its spread.
    """
    rows = [row for row in manifest() if row["name"].startswith(wanted or "")]
    if not rows:
        raise ValueError(f"chapter = {wanted!r}: nothing is shipped under that name")
    rows = [rows[date.today().toordinal() % len(rows)]] if rotate else rows
    verdicts = [agrees(row) for row in rows]
    return 0 if all(verdicts) else 1


def agrees(row: dict[str, Any]) -> bool:
    """Whether a retrained run's median final loss lies within the stored seeds' range."""
    again = load_or_train(run_of(row), row["name"], retrain=True).provenance["final_loss"]
    low, high = min(row["final_loss"]), max(row["final_loss"])
    inside = low <= median(again) <= high
    word = "within" if inside else "outside"
    print(f"{row['name']}: median final loss {median(again):.3g}, {word} [{low:.3g}, {high:.3g}]")
    return inside
