"""Shipping trained runs in data/, and retraining what is shipped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from safetensors import safe_open

from attention_in_motion.paths import DATA
from attention_in_motion.training.descent import save_atomically
from attention_in_motion.training.exactness import ExactnessMap
from attention_in_motion.training.motion import MotionRun
from attention_in_motion.training.oscillator import LinearRun, OscillatorRun, SolverRun
from attention_in_motion.training.run import Run
from attention_in_motion.training.store import (
    MANIFEST,
    load_or_train,
    manifest,
    read,
    sha256,
)

KINDS = (OscillatorRun, LinearRun, SolverRun, MotionRun, ExactnessMap)  # named by the manifest


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
    MANIFEST.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (DATA / "README.md").write_text(table(ordered), encoding="utf-8")


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
