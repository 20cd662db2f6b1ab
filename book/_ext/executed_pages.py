"""Execute stale pages side by side before Sphinx reads them, and hand it what they printed.

A page is stale unless it ran to its end with the same code, and with the same src/, data/,
configs/, book/_ext/ and pins. What ran is kept in _build/.jupyter_cache/<digest of all these>/;
MyST-NB executes nothing itself and only shows. A page that fails is shown with its traceback, is
never kept, and fails the build at its end, this time and until it is repaired.

With BOOK_PAGES=committed (`make preview`) nothing is executed, and the committed outputs are shown.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from sphinx.util import logging

from attention_in_motion.book import pages

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "data", "configs", "book/_ext")
COMMITTED = "committed"
LOGGER = logging.getLogger(__name__)
KINDS = {".py", ".json", ".safetensors", ".toml"}

BOX = """```{{danger}} This page did not run to its end
`{fault}`. What stands below that cell is from the last run that did.
```"""


def as_committed() -> bool:
    """Whether the build is asked to execute nothing."""
    return os.environ.get("BOOK_PAGES") == COMMITTED


def digest() -> str:
    """Hash of everything beside a page's own code that its numbers depend on."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    kept = [path for path in files if path.suffix in KINDS]
    whole = hashlib.sha256()
    for path in sorted([*kept, ROOT / "requirements.txt"]):
        whole.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def code(page: NotebookNode) -> list[NotebookNode]:
    """The code cells of a notebook."""
    return [cell for cell in page.cells if cell.cell_type == "code"]


class Build:
    """The pages of one build: what ran, what failed."""

    def __init__(self, app) -> None:
        self.cache = Path(app.outdir).parent / ".jupyter_cache"
        self.failed: dict[str, pages.Executed] = {}

    def configure(self, app, config) -> None:
        """Let Sphinx read every page anew when what they depend on has changed."""
        config.executed_pages = COMMITTED if as_committed() else digest()

    def execute_stale(self, app, env, added, changed, removed) -> list[str]:
        """Run the stale pages, longest first; Sphinx reads those that ran."""
        if as_committed():
            return []
        self.digest = app.config.executed_pages
        found = {doc: Path(env.doc2path(doc)) for doc in sorted(env.found_docs)}
        stale = {
            f"{doc}.ipynb": path
            for doc, path in found.items()
            if path.suffix == ".ipynb" and self.kept(doc, read(path)) is None
        }
        seconds = self.seconds()
        order = sorted(stale, key=lambda name: -seconds.get(name, length(stale[name])))
        for name, done in pages.side_by_side({name: stale[name] for name in order}):
            self.keep(name, done)
        return [name.removesuffix(".ipynb") for name in order]

    def keep(self, name: str, done: pages.Executed) -> None:
        """Store a page that ran to its end, and how long it took; remember one that did not."""
        if done.fault is not None:
            self.failed[name.removesuffix(".ipynb")] = done
            return
        write(self.cache / self.digest / name, nbformat.writes(done.notebook))
        taken = self.seconds() | {name: round(done.seconds, 1)}
        write(self.cache / "seconds.json", json.dumps(taken, indent=1))

    def kept(self, doc: str, page: NotebookNode) -> NotebookNode | None:
        """The stored run of a page with this very code, if there is one."""
        path = self.cache / self.digest / f"{doc}.ipynb"
        if not path.exists():
            return None
        stored = read(path)
        same = [cell_key(cell) for cell in code(stored)] == [cell_key(cell) for cell in code(page)]
        return stored if same else None

    def seconds(self) -> dict[str, float]:
        """How long each page took when it last ran."""
        path = self.cache / "seconds.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def show(self, app, docname: str, source: list[str]) -> None:
        """Put what ran into the page that Sphinx is about to parse."""
        if as_committed() or not app.env.doc2path(docname).endswith(".ipynb"):
            return
        page = nbformat.reads(source[0], as_version=4)
        if docname in self.failed:
            mark(page, self.failed[docname])
        elif (ran := self.kept(docname, page)) is not None:
            fill(page, ran)
        else:
            LOGGER.warning(f"{docname}.ipynb: was edited while it ran; build again")
        source[0] = nbformat.writes(page)

    def report(self, app, exception) -> None:
        """Fail the build at its very end, when every page is written."""
        if exception is None and self.failed:
            app.statuscode = 1
            for done in self.failed.values():
                LOGGER.warning(done.fault)


def fill(page: NotebookNode, ran: NotebookNode) -> None:
    """Give a page the outputs of its run."""
    page.metadata.language_info = ran.metadata.language_info
    for cell, other in zip(code(page), code(ran), strict=True):
        cell.outputs, cell.execution_count = other.outputs, other.execution_count


def mark(page: NotebookNode, done: pages.Executed) -> None:
    """Give a page the outputs of a run that broke off, the traceback and a box that says so."""
    for cell, ran in zip(code(page), code(done.notebook), strict=True):
        errors = [out for out in ran.outputs if out.output_type == "error"]
        if errors:
            cell.outputs = [*cell.outputs, *errors]
        elif ran.execution_count is not None:
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    box = BOX.format(fault=done.fault.replace("`", "'"))
    page.cells.insert(1, nbformat.v4.new_markdown_cell(box))


def cell_key(cell: NotebookNode) -> tuple[str, list[str]]:
    """What a code cell does: captions and the like may change without running it again."""
    return cell.source, cell.metadata.get("tags", [])


def length(path: Path) -> float:
    """How much code a page has: a first guess which runs longest."""
    return sum(len(cell.source) for cell in code(read(path)))


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def setup(app) -> dict:
    app.add_config_value("executed_pages", "", "env")
    build = Build(app)
    app.connect("config-inited", build.configure)
    app.connect("env-get-outdated", build.execute_stale)
    app.connect("source-read", build.show)
    app.connect("build-finished", build.report, priority=900)  # after all others
    return {"parallel_read_safe": True}
