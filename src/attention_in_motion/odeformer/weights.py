"""The files of trained models: what they hold, and which of them a page means.

A model is a .safetensors of all its weights and beside it a .json, the record of how they were
made. Trained ones come to lie in data/odeformer/, as float16, by

    python -m attention_in_motion.odeformer.weights TRAINED.safetensors
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.paths import DATA, RUNS, read_json, save_atomically, sha256

SHIPPED = DATA / "odeformer"
PLACES = {
    "ours": SHIPPED / "ours.safetensors",  # the released geometry, narrow
    **{f"twin-{k}": SHIPPED / f"twin-{k}.safetensors" for k in range(6)},  # seeds, a shorter run
    "official": RUNS / "official" / "odeformer.safetensors",  # after convert-official
}
REPLICATES = [name for name in PLACES if name.startswith("twin-")]
TIED = {"decoder.proj.weight": "decoder.embeddings.weight"}  # one tensor, stored once


def path_of(model: str | Path) -> Path:
    """The file of a name in PLACES, or a path. Raises ValueError in one line if it is not there."""
    path = PLACES.get(str(model), Path(model))
    if not path.is_file():
        wanted = f"{', '.join(map(repr, PLACES))} or the path of a .safetensors file"
        raise ValueError(f"model = {str(model)!r}: no file {path}; must be {wanted}")
    return path


def load(model: str | Path) -> ODEFormer:
    """The model of a name in PLACES, or of a path; in eval mode, float32.

    Raises ValueError when there is no such file, or it is not what the record beside it says.
    """
    path = path_of(model)
    record = record_of(path)
    if sha256(path) != record["sha256"]:
        found = sha256(path)[:12]
        raise ValueError(f"{path.name} has sha256 {found}…: its record says otherwise")
    tensors = load_file(path)
    tensors |= {name: tensors[original] for name, original in TIED.items()}
    loaded = ODEFormer(ODEFormerConfig(**record["config"]["model"]), torch.Generator())
    loaded.load_state_dict(tensors)
    return loaded.eval()


def record_of(model: str | Path) -> dict[str, Any]:
    """The record beside the weights of a name in PLACES, or at a path.

    It holds their configuration and SHA-256; for a trained model also command, seed, steps, device,
    validation and losses. Raises ValueError if there are no such weights, FileNotFoundError if they
    have no record.
    """
    return read_json(path_of(model).with_suffix(".json"))


def evaluation_of(model: str | Path) -> dict[str, Any]:
    """What `odeformer.evaluation` wrote about the model, beside its weights.

    Raises ValueError, with the command to run, if it is not there or is about other weights.
    """
    path = path_of(model)
    found = path.with_suffix(".evaluation.json")
    result = read_json(found) if found.is_file() else {}
    if result.get("sha256") != record_of(path)["sha256"]:
        command = f"python -m attention_in_motion.odeformer.evaluation {path} --out {found}"
        raise ValueError(f"model = {model!r}: these weights are not evaluated yet; run {command}")
    return result


def save(model: ODEFormer, record: dict[str, Any], path: Path) -> None:
    """Write the weights (tied ones once) to `path` and the record, with their SHA-256, to .json."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    stored = {name: tensor for name, tensor in tensors.items() if name not in TIED}
    save_atomically(lambda partial: save_file(stored, partial), path)
    write_json(record | {"sha256": sha256(path)}, path.with_suffix(".json"))


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write a record atomically, one value a line."""
    text = json.dumps(values, indent=1) + "\n"
    save_atomically(lambda partial: partial.write_text(text, encoding="utf-8"), path)


if __name__ == "__main__":
    from attention_in_motion.odeformer.train import ship_command

    ship_command()
