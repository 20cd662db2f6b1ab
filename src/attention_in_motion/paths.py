"""Where things lie, said once, and how they come there: whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
DATA = ROOT / "data"
RUNS = ROOT / "runs"  # re-runs and weights that are not shipped


def require_checkout() -> None:
    """Raise FileNotFoundError in one line where the package is installed without its checkout."""
    if not (ROOT / "_toc.yml").is_file():
        advice = "clone the repository and install it with pip install -e ."
        raise FileNotFoundError(f"{ROOT}: holds no book, only the installed package; {advice}")


def weights_folder() -> Path:
    """Where runs that are not shipped are kept; AIM_WEIGHTS overrides runs/weights.

    Raises FileNotFoundError without a checkout, rather than fill the Python installation.
    """
    if "AIM_WEIGHTS" in os.environ:
        return Path(os.environ["AIM_WEIGHTS"])
    require_checkout()
    return RUNS / "weights"


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises ValueError in one line, naming the file, if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is no JSON ({reason(error)}); restore the file") from None


def save_atomically(write: Callable[[Path], Any], path: Path) -> None:
    """Let `write` fill a neighbour of `path`, then rename it into place.

    Raises OSError in one line, naming `path`, where the disk is full or the folder read-only, in
    whatever words `write` complains; what lay there before is left as it was.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        os.replace(partial, path)
    except Exception as error:
        of_the_disk = isinstance(error, OSError) or "os error" in str(error)  # Rust's words
        if of_the_disk or no_room(path.parent):
            raise OSError(f"{path}: cannot be written: {reason(error)}") from None
        raise
    finally:
        if partial.exists():
            partial.unlink()


def no_room(folder: Path) -> bool:
    """Whether nothing more can be written into a folder."""
    probe = folder / f".{os.getpid()}.probe"
    try:
        probe.write_bytes(bytes(2**16))
        return False
    except OSError:
        return True
    finally:
        if probe.exists():
            probe.unlink()


def reason(error: Exception) -> str:
    """An error's own words, in one line: 'No space left on device'."""
    words = error.strerror if isinstance(error, OSError) else None
    return words or " ".join(str(error).split())[:200]
