"""What the fault suites share: how many faults are tried, small disks, and who is still alive.

FAULTS is the share of the full counts: 1 in `make faults`, a tenth in the gate.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCALE = float(os.environ.get("FAULTS", "0.1"))
LONG = 300  # seconds that nothing here takes, however busy the machine: the bound is on hanging
full_only = pytest.mark.skipif(SCALE < 1, reason="in full counts alone: make faults")


def share(full: int, least: int = 1) -> int:
    """How many of `full` faults are tried in this run."""
    return max(least, math.ceil(SCALE * full))


def some(things: list) -> list:
    """A share of a list, spread evenly over it; all of it at full scale."""
    n = min(share(len(things)), len(things))
    return [things[i * len(things) // n] for i in range(n)]


@contextmanager
def small_disk(folder: Path, size: str = "1m") -> Iterator[Path]:
    """A disk of its own at `folder`; the test is skipped where none may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("a disk of its own needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a mounted folder read-only, for root too."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def status(pid: int) -> list[str]:
    """State and parent of a process, as /proc has them; none if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rsplit(")", 1)[1].split()[:2]


def alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and waits for its parent does not."""
    return status(pid)[:1] not in ([], ["Z"])


def below(pid: int) -> list[int]:
    """Every living process that descends from `pid`."""
    parents = {int(p.name): status(int(p.name)) for p in Path("/proc").glob("[0-9]*")}
    found = [pid]
    for one in found:
        found += [p for p, facts in parents.items() if facts[1:] == [str(one)]]
    return [p for p in found[1:] if alive(p)]


def until(condition, what: str):
    """Wait until `condition()` is true and return what it gave; LONG seconds are too many."""
    end = time.monotonic() + LONG
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.05)
    return found
