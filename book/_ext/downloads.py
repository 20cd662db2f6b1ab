"""What a reader downloads: pages as they ran, with numbers where their text pastes numbers.

Sphinx copies sources as they are: a pasted number is a directive there, the box of claims an
include, and the outputs are those of the last commit. Each copy below _sources/ is filled from what
this build has executed.
"""

from __future__ import annotations

import ast
import json
import posixpath
import re
from pathlib import Path

import nbformat

PASTED = re.compile(r"\{glue:text\}`(?:([^`]+?)::)?([^`:]+)(?::([^`]*))?`")
INCLUDED = re.compile(r"^```\{include\} (\S+\.md)\n```$", re.MULTILINE)


def number(plain: str, form: str | None) -> str:
    """A glued value, stored as Python shows it, as the text pastes it."""
    try:
        value = ast.literal_eval(plain)
    except (SyntaxError, ValueError):  # a number with its interval
        return plain
    return format(value, form or "")


class Pages:
    """The pages of a build: their sources, and what they glued when they ran."""

    def __init__(self, sources: Path, executed: Path) -> None:
        self.sources, self.executed = sources, executed

    def glued(self, name: str) -> dict:
        path = self.executed / f"{name}.glue.json"
        return json.loads(path.read_text(encoding="utf-8"))

    def filled(self, text: str, name: str) -> str:
        """The Markdown of a page with what it includes and pastes."""
        folder = posixpath.dirname(name)

        def whole(match: re.Match) -> str:
            return (self.sources / folder / match[1]).read_text(encoding="utf-8").rstrip()

        def pasted(match: re.Match) -> str:
            page, key, form = match.groups()
            owner = posixpath.normpath(posixpath.join(folder, page)) if page else name
            stored = self.glued(owner.removesuffix(".ipynb"))[key]
            return number(stored["data"]["text/plain"], form)

        return PASTED.sub(pasted, INCLUDED.sub(whole, text))

    def notebook(self, name: str) -> str:
        """An executed page, filled."""
        page = nbformat.read(self.executed / f"{name}.ipynb", as_version=4)
        for cell in page.cells:
            if cell.cell_type == "markdown":
                cell.source = self.filled(cell.source, name)
        return nbformat.writes(page)


def fill(app, exception) -> None:
    """Fill every copy, once all pages are written."""
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    pages = Pages(Path(app.srcdir), out.parent / "jupyter_execute")
    for name in app.env.found_docs:
        source = Path(app.env.doc2path(name))
        copy = out / "_sources" / f"{name}{source.suffix}"
        if source.suffix == ".ipynb":
            copy.write_text(pages.notebook(name), encoding="utf-8")
        else:
            text = source.read_text(encoding="utf-8")
            copy.write_text(pages.filled(text, name), encoding="utf-8")


def setup(app) -> dict:
    app.connect("build-finished", fill)
    return {"parallel_read_safe": True}
