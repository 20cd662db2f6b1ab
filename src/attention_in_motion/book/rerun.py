"""A page run with other parameters: its notebook, a page of HTML, its reading, and what moved."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attention_in_motion.book import pages, reading, standalone
from attention_in_motion.book.reading import Reading
from attention_in_motion.chapters import contents
from attention_in_motion.claims import Claim
from attention_in_motion.paths import BOOK, ROOT, sha256

VERSIONS = ("attention-in-motion", "torch", "numpy", "scipy", "sympy", "matplotlib")
COLUMNS = ("claim", "default", "this run", "verdict")


def rerun(page: str, given: Mapping[str, Any], out: Path | None = None) -> tuple[Path, list[str]]:
    """Execute a page with `given`; the page of HTML, and the table "default → this run".

    Beside it lie the executed notebook and reading.json. Raises ValueError for what the page
    refuses, before a kernel starts, and `pages.Failed` when it does not run to its end.
    """
    notebook = pages.run(page, given, out, watch=True)
    name = contents.named(page).PAGE
    new, usual = reading.read(notebook), reading.read(BOOK / f"{name}.ipynb")
    text = json.dumps([asdict(new) | origin(new)], indent=1, ensure_ascii=False)
    pages.put(notebook.with_name("reading.json"), text + "\n")
    html = notebook.with_suffix(".html")
    pages.put(html, standalone.page(notebook, name, summary(usual, new)))
    return html, table(usual, new)


def origin(found: Reading) -> dict[str, Any]:
    """What a number depends on beside its parameters: seeds, versions, the page's own text."""
    seeds = {name: value for name, value in found.parameters.items() if "seed" in name}
    return {
        "seeds": seeds,
        "versions": {"python": platform.python_version()} | {n: version(n) for n in VERSIONS},
        "page_sha256": sha256(BOOK / f"{found.page}.ipynb"),
        "commit": commit(),
    }


def commit() -> str | None:
    """The commit that is checked out, with '+' where files differ from it; None without git."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return None
    words = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty=+"]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8")
    return done.stdout.strip() or None


def table(usual: Reading, new: Reading) -> list[str]:
    """Claim by claim: the committed number, this run's, the verdict; those that moved are marked.

    The last line counts them and says which parameters differ.
    """
    found = [COLUMNS, *rows(usual, new)]
    widths = [max(len(row[i]) for row in found) for i in range(len(COLUMNS) - 1)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]])
        for row in found
    ]
    return [*lines, count(usual, new)]


def count(usual: Reading, new: Reading) -> str:
    """How many verdicts moved, and with which parameters: '2 of 13 verdicts moved (gamma …)'."""
    what = reading.changed(usual.parameters, new.parameters)
    moved = sum("→" in row[-1] for row in rows(usual, new))
    return f"{moved} of {len(new.claims)} verdicts moved ({what})"


def rows(usual: Reading, new: Reading) -> list[tuple[str, ...]]:
    """The cells of the table, one row per claim of the run."""
    order = [name for name in contents.PAGES[new.page].RULES if name in new.claims]
    pairs = {name: (usual.claims.get(name), new.claims[name]) for name in order}
    return [(name, shown(old), shown(one), turn(old, one)) for name, (old, one) in pairs.items()]


def shown(claim: dict[str, Any] | None) -> str:
    """A claim's number with its interval; a dash where there is none."""
    return "–" if claim is None or claim["value"] is None else repr(Claim(**claim))


def turn(old: dict[str, Any] | None, new: dict[str, Any]) -> str:
    """The verdict, or 'holds → does not hold' where it moved."""
    words = [one["verdict"].replace("_", " ") for one in (old, new) if one is not None]
    return " → ".join(dict.fromkeys(words))


def summary(usual: Reading, new: Reading) -> str:
    """The same as Markdown, for the head of the page of HTML."""
    head = [" | ".join(COLUMNS), "|".join(["---"] * len(COLUMNS))]
    body = [" | ".join(row) for row in rows(usual, new)]
    lines = [f"| {line} |" for line in (*head, *body)]
    title = ":::{admonition} A run with other parameters"
    return "\n".join([title, f"{count(usual, new)}.", "", *lines, ":::"])
