"""Code that only loads, prints, records or draws is folded; what a reader should read stays open.

A long cell is folded as well: it measures, and the text says what. The notebooks keep their own
tags, so that nothing is folded where a reader runs them.
"""

import ast

import nbformat

LONGEST = 14  # lines that stay open
FOLD = "hide-input"
TELLING = ("print", "display", "glue", "record", "compare", "Markdown")
SERVANTS = ("figures", "style", "load", "pages")  # what a call to these makes is no argument


def served(call: ast.AST) -> bool:
    """Whether an expression is a call that loads, prints, records or draws."""
    if not isinstance(call, ast.Call):
        return False
    first = ast.unparse(call.func).split(".")[0]
    return first in TELLING or first.split("_")[0] in SERVANTS


def plumbing(statement: ast.stmt) -> bool:
    """Whether a statement serves the page and not its argument."""
    if isinstance(statement, (ast.For, ast.With, ast.If)):
        return all(map(plumbing, statement.body))
    if isinstance(statement, (ast.Expr, ast.Assign)):
        return served(statement.value)
    return isinstance(statement, (ast.Import, ast.ImportFrom))


def folded(source: str, tags: list[str]) -> bool:
    """Whether a code cell is shown with its code folded."""
    lines = [line for line in source.splitlines() if line.strip()]
    if FOLD in tags or "parameters" in tags or len(lines) > LONGEST:
        return True
    return all(map(plumbing, ast.parse(source).body))


def fold(app, docname: str, source: list[str]) -> None:
    """Tag the code cells of a page that Sphinx is about to parse."""
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    page = nbformat.reads(source[0], as_version=4)
    for cell in page.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and FOLD not in tags and folded(cell.source, tags):
            cell.metadata["tags"] = [*tags, FOLD]
    source[0] = nbformat.writes(page)


def setup(app) -> dict:
    app.connect("source-read", fold, priority=600)  # after what ran was put in
    return {"parallel_read_safe": True}
