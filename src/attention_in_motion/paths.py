"""Where things lie: the one place that knows the folders of the checkout."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
DATA = ROOT / "data"
RUNS = ROOT / "runs"


def require_checkout() -> None:
    """Raise FileNotFoundError, in one line, when the package is installed without its checkout."""
    if not (BOOK / "_toc.yml").exists():
        raise FileNotFoundError(f"{BOOK}: no book here; install from a checkout (pip install -e .)")


def weights_folder() -> Path:
    """Where runs that are not shipped are kept; AIM_WEIGHTS overrides runs/weights."""
    return Path(os.environ.get("AIM_WEIGHTS", RUNS / "weights"))
