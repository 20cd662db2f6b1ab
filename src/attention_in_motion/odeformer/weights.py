"""Which weights a page uses, and how trained ones come to lie in data/odeformer/:

python -m attention_in_motion.odeformer.weights TRAINED.safetensors
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from attention_in_motion.odeformer import train
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.stream import StreamConfig
from attention_in_motion.odeformer.train import evaluate, save, validation_batches

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "data" / "odeformer"
PLACES = {
    "ours": SHIPPED / "main.safetensors",
    "short-1": SHIPPED / "short-1.safetensors",  # further seeds, of a shorter run
    "short-2": SHIPPED / "short-2.safetensors",
    "official": ROOT / "runs" / "official" / "odeformer.safetensors",
}
LOSS_MARGIN = 1e-3  # nats per token that rounding to float16 may cost


def path_of(model: str) -> Path:
    """The file of a name in PLACES, or a path. ValueError in one line if it is not there."""
    path = PLACES.get(model, Path(model))
    if not path.is_file():
        names = "'ours', 'short-1', 'short-2', 'official' (after convert-official)"
        wanted = f"{names} or the path of a .safetensors file"
        raise ValueError(f"model = {model!r}: no file {path}; must be {wanted}")
    return path


def load(model: str) -> ODEFormer:
    """The model of a name in PLACES, or of a path; in eval mode, float32.

    Raises ValueError when there is no such file, or it is not what the record beside it says.
    """
    return train.load(path_of(model))


def record_of(path: Path) -> dict[str, Any]:
    """The record beside the weights at `path`: configuration, command, hash, validation."""
    return json.loads(path.with_suffix(".json").read_text())


def evaluation(model: str) -> dict[str, Any]:
    """What `odeformer.evaluation` wrote about the model, beside its weights.

    Raises ValueError, with the command to run, if it is not there or is about other weights.
    """
    path = path_of(model)
    found = path.with_suffix(".evaluation.json")
    result = json.loads(found.read_text()) if found.is_file() else {}
    if result.get("sha256") != record_of(path)["sha256"]:
        command = f"python -m attention_in_motion.odeformer.evaluation {path} --out {found}"
        raise ValueError(f"model = {model!r}: these weights are not evaluated yet; run {command}")
    return result


def ship(path: Path) -> Path:
    """Write a trained model into data/odeformer/ as float16, with its record.

    The record says what rounding changed. Raises ValueError if it costs more than 0.001 nats a
    token on held-out systems.
    """
    record, model = record_of(path), train.load(path).half().float()
    batches = validation_batches(StreamConfig(**record["config"]["stream"]))
    rounded = evaluate(model, batches, torch.device("cpu"))
    cost = rounded["loss"] - record["validation"]["loss"]
    if cost > LOSS_MARGIN:
        raise ValueError(f"{path}: as float16 it loses {cost:.2g} nats, allowed are {LOSS_MARGIN}")
    out = SHIPPED / path.name
    save(model.half(), record | {"stored": "float16", "validation_as_stored": rounded}, out)
    return out


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m attention_in_motion.odeformer.weights")
    parser.add_argument("trained", type=Path, help="a .safetensors with its .json beside it")
    options = parser.parse_args(arguments)
    try:
        print(ship(options.trained))
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
