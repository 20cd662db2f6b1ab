"""Executing pages: for the build, for the committed outputs, and with other parameters.

Every kernel runs on one thread, pages run side by side on as many cores as there are, and nothing
here has a time limit: a slow machine is no fault of a page.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK, RUNS, require_checkout

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
A_WEEK = 7 * 24 * 3600  # seconds, where nbclient takes no None


@dataclass(frozen=True)
class Executed:
    """A page as far as it came, the seconds it took, and why it stopped (None: it did not)."""

    notebook: NotebookNode
    seconds: float
    fault: str | None = None
    traceback: str = ""


def pages() -> list[Path]:
    """Every notebook of the book. Raises FileNotFoundError where there is no checkout."""
    require_checkout()
    return sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def write_outputs(*paths: Path) -> None:
    """Execute pages in place, side by side, from clean kernels.

    Pages that fail are left as they were; ValueError then has one line for each, after all ran.
    """
    faults = []
    for name, done in side_by_side({label(path): path for path in paths}):
        if done.fault is None:
            nbformat.write(committed(done.notebook), BOOK / name)
        else:
            faults.append(done.fault)
    if faults:
        raise ValueError("\n".join(faults))


def committed(notebook: NotebookNode) -> NotebookNode:
    """What is kept of an executed page: no progress on stderr, no versions, no timings."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            kept = [out for out in cell.outputs if out.get("name") != "stderr"]
            cell.outputs = joined(kept)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return notebook


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Printed text in one piece where the kernel sent it in several: how many is chance."""
    whole: list[NotebookNode] = []
    for out in outputs:
        if whole and out.output_type == whole[-1].output_type == "stream":
            whole[-1].text += out.text
        else:
            whole.append(out)
    return whole


def run(page: str, given: Mapping[str, str]) -> Path:
    """Re-execute a page with parameters given as text, into runs/<page>/<digest>/.

    Names, types and ranges are checked before a kernel starts; ValueError is one line, and so it is
    when the page fails, whose traceback is then kept beside where its outputs would have been.
    """
    declared = contents.named(page)
    name, values = declared.PAGE, {key: literal(text) for key, text in given.items()}
    declared.Parameters.given(defaults(name) | values)
    key = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
    target = RUNS / name / key / f"{Path(name).name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    source = BOOK / f"{name}.ipynb"
    notebook = parameterize_notebook(load_notebook_node(str(source)), values)
    done = execute(client(notebook, source.parent), f"{name}.ipynb")
    if done.fault is not None:
        kept = target.with_name("traceback.txt")
        kept.write_text(done.traceback, encoding="utf-8")
        raise ValueError(f"{done.fault} (traceback in {kept})")
    nbformat.write(done.notebook, target)
    return target


def defaults(page: str) -> dict[str, Any]:
    """The literals of a page's parameters cell."""
    require_checkout()
    found = papermill.inspect_notebook(str(BOOK / f"{contents.named(page).PAGE}.ipynb"))
    return {name: literal(entry["default"]) for name, entry in found.items()}


def literal(text: str) -> Any:
    """A Python literal, true/false in any case, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def label(path: Path) -> str:
    """What a page is called in messages: its path in the book."""
    return path.resolve().relative_to(BOOK).as_posix()


def side_by_side(paths: Mapping[str, Path]) -> Iterator[tuple[str, Executed]]:
    """Execute pages {name in messages: path}, one per core, begun in the order given.

    Yields (name, what ran) as each page ends. On Ctrl-C, or when the caller stops early, the
    kernels that run are ended and no more are started.
    """
    clients = {
        name: client(nbformat.read(path, as_version=4), path.parent) for name, path in paths.items()
    }
    with ThreadPoolExecutor(cores()) as pool:
        names = {pool.submit(execute, clients[name], name): name for name in clients}
        try:
            for done in as_completed(names):
                yield names[done], done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end(clients, names)
            raise


def end(clients: Mapping[str, NotebookClient], names: Mapping[Future, str]) -> None:
    """Kill the kernels of pages that still run, until none does."""
    while running := [name for page, name in names.items() if not page.done()]:
        for name in running:
            if clients[name].km is not None and clients[name].km.has_kernel:
                run_sync(clients[name].km.provisioner.kill)()
        time.sleep(0.2)


def cores() -> int:
    """How many pages run at once: the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def client(notebook: NotebookNode, folder: Path) -> NotebookClient:
    """A clean kernel's client for a notebook without its outputs, without any time limit."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        timeout=None,
        startup_timeout=A_WEEK,
        iopub_timeout=A_WEEK,
    )


def execute(kernel: NotebookClient, name: str) -> Executed:
    """Run a page to its end or to its first fault, with a line on stderr for each."""
    print(f"{name}: started", file=sys.stderr, flush=True)
    start = time.monotonic()
    fault, traceback = None, ""
    try:
        kernel.execute(env=os.environ | ONE_THREAD)
    except Exception as error:  # whatever it is, the other pages still run
        fault, traceback = sentence(error, name, kernel.code_cells_executed), str(error)
    seconds = time.monotonic() - start
    print(fault or f"{name}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return Executed(kernel.nb, seconds, fault, traceback)


def sentence(error: Exception, name: str, cell: int) -> str:
    """One line: which page, which code cell (the number in its brackets), what happened."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, CellExecutionError):
        kind, text = error.ename, error.evalue
    where = f"{name}, cell {cell}" if cell else name
    return f"{where}: {kind}: {text.strip().splitlines()[0] if text.strip() else ''}".rstrip(" :")
