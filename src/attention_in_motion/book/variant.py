"""The whole book with other parameters, beside the one that is committed.

Pages that are given something are executed, the others stand as committed; then Jupyter Book builds
a copy. Its front page says what was changed, and which verdicts moved.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml

from attention_in_motion.book import pages, reading, rerun
from attention_in_motion.paths import BOOK, ROOT, RUNS, require_checkout

MARK = "parameters.json"  # in a folder that `build` made, and may make anew
LEFT_OUT = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
COLUMNS = "| chapter | what was changed | verdicts that moved |"
NOTE = """:::{{admonition}} Not the book as it was published
:class: warning
This copy was built with other parameters. {count} Chapters that are not in the table stand as they
were published, and the text everywhere speaks of the published parameters.

{table}
:::"""


def build(changes: Mapping[str, dict[str, Any]], out: Path | None = None) -> tuple[Path, list[str]]:
    """Build the book with {page: {parameter: value}}; its front page, and a line per page changed.

    Into `out`, by default runs/book/<digest>; whole or not at all. Raises ValueError if `out` holds
    something else. After everything is written, raises `pages.Failed` if a page did not run to its
    end: it then stands as committed, and the front page says so.
    """
    require_checkout()
    folder = out or RUNS / "book" / pages.key_of(changes)
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise ValueError(
            f"out = {str(folder)!r}: must be new, empty, or an earlier book of this kind"
        )
    partial = folder.with_name(f"{folder.name}.partial")
    copy(partial)
    faults = execute(changes, partial / "book")
    found = moves(changes, partial / "book", faults)
    announce(partial / "book" / "index.md", found)
    pages.put(partial / MARK, json.dumps(changes, indent=1, ensure_ascii=False))
    render(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    front = folder / "_build" / "html" / "index.html"
    if faults:
        raise pages.Failed("\n".join([*faults.values(), f"the others are in {front}"]))
    lines = [
        f"{page} ({what}): {'; '.join(turns) or 'no verdict moved'}" for page, what, turns in found
    ]
    return front, lines


def copy(target: Path) -> None:
    """The book and its configuration, where nothing is executed: outputs are shown as they lie."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(BOOK, target / "book", ignore=LEFT_OUT)
    shutil.copyfile(ROOT / "_toc.yml", target / "_toc.yml")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    del config["sphinx"]["local_extensions"]["executed_pages"]
    pages.put(target / "_config.yml", yaml.safe_dump(config, allow_unicode=True))


def execute(changes: Mapping[str, dict[str, Any]], book: Path) -> dict[str, str]:
    """Execute the changed pages of a copy, side by side; {page: fault} of those that failed."""
    paths = {f"{page}.ipynb": book / f"{page}.ipynb" for page in changes}
    for page, values in changes.items():
        nbformat.write(pages.with_parameters(page, values), paths[f"{page}.ipynb"])
    faults = {}
    for name, done in pages.side_by_side(paths):
        if done.fault is None:
            nbformat.write(pages.committed(done.notebook), paths[name])
        else:
            shutil.copyfile(BOOK / name, paths[name])
            faults[name.removesuffix(".ipynb")] = done.fault
    return faults


def moves(
    changes: Mapping[str, dict[str, Any]], book: Path, faults: Mapping[str, str]
) -> list[tuple[str, str, list[str]]]:
    """For each changed page: its name, what was changed, and a sentence per verdict that moved."""
    found = []
    for page, values in changes.items():
        usual, new = (reading.read(where / f"{page}.ipynb") for where in (BOOK, book))
        own = {name: usual.parameters[name] for name in values}
        turns = [f"{row[0]} {row[-1]}" for row in rerun.rows(usual, new) if "→" in row[-1]]
        if page in faults:
            turns = [f"did not run, and stands as published: {faults[page].replace('|', '/')}"]
        found.append((page, reading.changed(own, values), turns))
    return found


def announce(index: Path, found: list[tuple[str, str, list[str]]]) -> None:
    """Put the note below the title of the front page."""
    rows = [f"| {{doc}}`{page}` | {what} | {'; '.join(turns)} |" for page, what, turns in found]
    table = "\n".join([COLUMNS, "|---|---|---|", *rows])
    moved = sum("→" in turn for *_, turns in found for turn in turns)
    note = NOTE.format(count=f"Verdicts that moved: {moved}.", table=table)
    text = index.read_text(encoding="utf-8")
    pages.put(
        index, re.sub(r"^# .*\n", lambda title: f"{title[0]}\n{note}\n", text, count=1, flags=re.M)
    )


def render(folder: Path) -> None:
    """Let Jupyter Book build the copy. Raises `pages.Failed` in one line if it does not."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "book", "-q"]
    log = folder / "build.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        raise pages.Failed(f"jupyter-book ended with {done.returncode}; what it said is in {log}")
    shutil.rmtree(folder / "_build" / ".doctrees", ignore_errors=True)
