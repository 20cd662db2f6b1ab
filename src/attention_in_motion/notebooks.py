"""Executing chapters: the committed outputs, and re-runs with other parameters."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient import NotebookClient

from attention_in_motion import parameters
from attention_in_motion.artifacts import ROOT

BOOK = ROOT / "book"


def chapters() -> list[Path]:
    """Every notebook of the book."""
    return sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def write_outputs(path: Path) -> None:
    """Execute a chapter in place from a clean kernel, without timing metadata."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=1200, kernel_name="python3", record_timing=False).execute(
        cwd=path.parent
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            kept = [out for out in cell.outputs if out.get("name") != "stderr"]
            cell.outputs = kept
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    nbformat.write(notebook, path)


def run(chapter: str, given: Mapping[str, str]) -> Path:
    """Re-execute a chapter with parameters given as text, into runs/<chapter>/<digest>/.

    Names and types are checked before a kernel starts; ValueError is one line.
    """
    values = {name: literal(text) for name, text in given.items()}
    parameters.validate(chapter, defaults(chapter) | values)
    key = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
    target = ROOT / "runs" / chapter / key / f"{Path(chapter).name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    source = BOOK / f"{chapter}.ipynb"
    papermill.execute_notebook(source, target, values, cwd=source.parent, progress_bar=False)
    return target


def defaults(chapter: str) -> dict[str, Any]:
    """The literals of a chapter's parameters cell."""
    if chapter not in parameters.CHAPTERS:
        parameters.validate(chapter, {})
    found = papermill.inspect_notebook(str(BOOK / f"{chapter}.ipynb"))
    return {name: literal(entry["default"]) for name, entry in found.items()}


def literal(text: str) -> Any:
    """A Python literal, true/false in any case, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def figure(chapter: str, name: str) -> bytes:
    """The PNG that a chapter's cell shows under the figure name `name`."""
    cells = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4).cells
    shown = [c for c in cells if c.metadata.get("mystnb", {}).get("figure", {}).get("name") == name]
    images = [
        out.data["image/png"] for out in shown[0].outputs if "image/png" in out.get("data", {})
    ]
    return base64.b64decode(images[0])
