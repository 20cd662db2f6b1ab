"""Where things lie, said once, and how they come there: whole or not at all.

A folder of shipped files has a SHA256SUMS, which whoever writes there keeps up to date and whoever
reads there compares; `cd data && sha256sum --check SHA256SUMS` does the same without us.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
DATA = ROOT / "data"
SUMS = "SHA256SUMS"
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
    """What a JSON file holds. Raises ValueError in one line, naming the file, if it is damaged.

    Where a SHA256SUMS lies beside it, so is a file that has another sum there, or none.
    """
    listed = sums(path.parent)
    if listed is not None and listed.get(path.name) != sha256(path):
        advice = "restore the file, or, if you changed it, run attention-in-motion ship"
        raise ValueError(f"{path}: SHA-256 differs from the one in {SUMS}; {advice}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is no JSON ({reason(error)}); restore the file") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(folder: Path) -> dict[str, str] | None:
    """{file: SHA-256} as the folder's SHA256SUMS says; None where there is no such file."""
    path = folder / SUMS
    if not path.exists():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: found for found, _, name in (line.partition("  ") for line in lines)}


def write_sums(folder: Path, found: dict[str, str] | None = None) -> None:
    """Write a folder's SHA256SUMS: `found`, or the sums of all files that lie there."""
    if found is None:
        files = [path for path in folder.iterdir() if path.is_file() and path.name != SUMS]
        found = {path.name: sha256(path) for path in files if path.suffix != ".lock"}
    text = "".join(f"{found[name]}  {name}\n" for name in sorted(found))
    save_atomically(lambda partial: partial.write_text(text, encoding="utf-8"), folder / SUMS)


def keep_sum(path: Path) -> None:
    """Put a file's sum where its folder keeps sums, whoever else is putting another one."""
    from filelock import FileLock

    place = path.parent / SUMS
    if path == place or not place.exists():
        return
    with FileLock(f"{place}.lock"):
        write_sums(path.parent, (sums(path.parent) or {}) | {path.name: sha256(path)})


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
        keep_sum(path)
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
