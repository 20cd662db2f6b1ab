"""Where things lie, said once."""

from __future__ import annotations

import os
from pathlib import Path

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
