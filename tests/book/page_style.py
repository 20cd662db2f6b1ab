"""How page code reads: python tests/book/page_style.py prints one line per page and the whole.

Characters a line, comprehensions per 100 lines, comment lines in per cent; parameters cells do not
count. QuantEcon's lectures, which read well: 32, 1 and 6.
"""

import ast
from pathlib import Path

import nbformat

BOOK = Path(__file__).resolve().parents[2] / "book"
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def code_of(path):
    """The sources of a page's code cells, without the parameters cell."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    return [c.source for c in code if "parameters" not in c.metadata.get("tags", [])]


def counts(sources):
    """(lines, characters, comprehensions, comment lines) of cells."""
    lines = [line for source in sources for line in source.splitlines() if line.strip()]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    comprehensions = sum(isinstance(node, COMPREHENSIONS) for node in nodes)
    comments = sum(line.strip().startswith("#") or "  # " in line for line in lines)
    return len(lines), sum(len(line) for line in lines), comprehensions, comments


def measured(sources):
    """(characters a line, comprehensions per 100 lines, per cent of comment lines)."""
    n, characters, comprehensions, comments = counts(sources)
    return characters / n, 100 * comprehensions / n, 100 * comments / n


def pages():
    return sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


if __name__ == "__main__":
    everything = []
    for path in pages():
        everything += code_of(path)
        row = "{:5.1f} characters  {:4.1f} comprehensions  {:4.1f} % comments".format
        print(f"{path.relative_to(BOOK)!s:36}", row(*measured(code_of(path))))
    print(f"{'the book':36}", row(*measured(everything)))
