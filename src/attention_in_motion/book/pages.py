"""Executing pages: for the build, for the committed outputs, and with other parameters.

Every kernel runs on one thread, pages run side by side on as many cores as there are, and nothing
here has a time limit: a slow machine is no fault of a page.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from attention_in_motion.book import parameters, pictures, progress
from attention_in_motion.book.parameters import defaults as defaults
from attention_in_motion.book.parameters import literal as literal
from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK, RUNS, require_checkout, save_atomically

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
QUIET = ["--log-level=50"]  # kernels: no word on their sockets, none when they are stopped
A_WEEK = 7 * 24 * 3600  # seconds, where nbclient takes no None
STARTS = 5  # of a kernel at most: its ports are chosen first, and any program may take one


class Failed(ValueError):
    """A page did not run to its end; the command line's exit status is 3 then."""

    status = 3


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


def write_outputs(*paths: Path) -> dict[str, float]:
    """Execute pages in place, side by side, from clean kernels; {page: seconds it took}.

    Pages that fail are left as they were; Failed then has one line for each, after all ran.
    """
    faults, seconds = [], {}
    for name, done in side_by_side({label(path): path for path in paths}):
        if done.fault is None:
            put(BOOK / name, nbformat.writes(committed(done.notebook)) + "\n")
            seconds[name.removesuffix(".ipynb")] = round(done.seconds, 1)
        else:
            faults.append(done.fault)
    if faults:
        raise Failed("\n".join(faults))
    return seconds


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


def run(page: str, given: Mapping[str, Any], out: Path | None = None, watch: bool = False) -> Path:
    """Re-execute a page with parameters given as texts or values, into runs/<page>/<digest>/.

    Names, types and ranges are checked before a kernel starts, and whether the folder can be
    written (OSError); ValueError is one line. When the page fails its traceback is kept beside
    where its outputs would have been, and Failed is one line. With `watch` the terminal shows which
    cell runs, and how far a training is.
    """
    values = parameters.checked(page, given)
    name = contents.named(page).PAGE
    folder = out or RUNS / name / key_of(values)
    must_be_writable(folder)
    target = folder / f"{Path(name).name}.ipynb"
    notebook = with_parameters(name, values)
    watched = progress.Watched if watch else NotebookClient
    kernel = client(notebook, (BOOK / name).parent, watched)
    ((_, done),) = together({f"{name}.ipynb": kernel}, silent=watch)
    if done.fault is not None:
        kept = folder / "traceback.txt"
        put(kept, done.traceback)
        raise Failed(f"{done.fault} (traceback in {kept})")
    put(target, nbformat.writes(done.notebook) + "\n")
    (folder / "traceback.txt").unlink(missing_ok=True)  # of an earlier run that failed
    return target


def must_be_writable(folder: Path) -> None:
    """Make a folder, and raise OSError if nothing can be written there: before hours of work."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"a byte")


def with_parameters(page: str, values: Mapping[str, Any]) -> NotebookNode:
    """A page's notebook with a cell that papermill injects: the values it is given."""
    notebook = load_notebook_node(str(BOOK / f"{page}.ipynb"))
    return parameterize_notebook(notebook, dict(values))


def key_of(values: Mapping[str, Any]) -> str:
    """Twelve hex digits that name the folder of a run by what it was given."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def put(path: Path, text: str) -> None:
    """Write a file whole or not at all, with the folders above it."""
    save_atomically(lambda partial: partial.write_text(text, encoding="utf-8"), path)


def label(path: Path) -> str:
    """What a page is called in messages: its path in the book."""
    return path.resolve().relative_to(BOOK).as_posix()


def side_by_side(paths: Mapping[str, Path]) -> Iterator[tuple[str, Executed]]:
    """Execute pages {name: path}, one per core, begun in the order given.

    Yields (name, what ran) as each page ends.
    """
    clients = {
        name: client(nbformat.read(path, as_version=4), path.parent) for name, path in paths.items()
    }
    yield from together(clients)


def together(
    clients: Mapping[str, NotebookClient], *, silent: bool = False
) -> Iterator[tuple[str, Executed]]:
    """Execute what these clients hold, one per core, and yield each as it ends.

    On Ctrl-C, or when the caller stops early, the kernels that run are ended and no more are
    started. (Kernels are waited for on threads: on the main one nbclient takes Ctrl-C for itself.)
    """
    with ThreadPoolExecutor(cores()) as pool:
        names = {pool.submit(execute, clients[n], n, silent=silent): n for n in clients}
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


def client(
    notebook: NotebookNode, folder: Path, kind: type[NotebookClient] = NotebookClient
) -> NotebookClient:
    """A clean kernel's client for a notebook without its outputs, without any time limit."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return kind(
        notebook,
        extra_arguments=list(QUIET),
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        timeout=None,
        startup_timeout=A_WEEK,
        iopub_timeout=A_WEEK,
    )


def execute(kernel: NotebookClient, name: str, *, silent: bool = False) -> Executed:
    """Run a page to its end or to its first fault, with a line on stderr for each."""
    if not silent:
        print(f"{name}: started", file=sys.stderr, flush=True)
    start = time.monotonic()
    fault, traceback = None, ""
    try:
        from_the_first_cell(kernel)
    except Exception as error:  # whatever it is, the other pages still run
        fault, traceback = sentence(error, name, kernel.code_cells_executed), str(error)
    seconds = time.monotonic() - start
    if not silent:
        print(fault or f"{name}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return Executed(pictures.lean(kernel.nb), seconds, fault, traceback)


def from_the_first_cell(kernel: NotebookClient) -> None:
    """Run all cells; a kernel that dies before any has run is started anew, up to STARTS times."""
    environment = os.environ | ONE_THREAD | getattr(kernel, "environment", {})
    for more in reversed(range(STARTS)):
        try:
            kernel.execute(env=environment)
            return
        except RuntimeError as error:
            if not more or "died before replying to kernel_info" not in str(error):
                raise


def sentence(error: Exception, name: str, cell: int) -> str:
    """One line: which page, which code cell (the number in its brackets), what happened."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, CellExecutionError):
        kind, text = error.ename, error.evalue
    where = f"{name}, cell {cell}" if cell else name
    return f"{where}: {kind}: {text.strip().splitlines()[0] if text.strip() else ''}".rstrip(" :")
