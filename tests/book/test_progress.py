"""A watched page says which cell runs; what its kernel writes on stderr is shown and not kept."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from attention_in_motion.book import pages, progress

BAR = """
import os
from tqdm import tqdm
for _ in tqdm(range(3), desc="bar", disable=False if "AIM_BARS" in os.environ else None):
    pass
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A notebook with a bar and a warning, and the folder to run it in."""
    cells = [
        new_markdown_cell("# Title\n\ntext"),
        new_code_cell("print('kept')"),
        new_markdown_cell("## Part\n\n# not a heading"),
        new_code_cell(BAR),
        new_code_cell("import sys; print('a warning', file=sys.stderr)"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return new_notebook(cells=cells, metadata=kernel), tmp_path_factory.mktemp("page")


def test_cells_bars_and_warnings(page, capfd):
    notebook, folder = page
    kernel = pages.client(notebook, folder, progress.Watched)
    done = pages.execute(kernel, "page.ipynb", silent=True)
    said = capfd.readouterr().err.splitlines()
    cells = [line for line in said if line.startswith("  cell")]
    assert done.fault is None and len(cells) == 3
    assert cells[0].startswith("  cell  1 of 3, Title  ")
    assert any("bar: 100%" in line for line in said) and "  a warning" in said
    assert not any("Kernel is running" in line for line in said)
    outputs = [out for cell in done.notebook.cells for out in cell.get("outputs", [])]
    assert [(out.name, out.text) for out in outputs] == [("stdout", "kept\n")]
    nbformat.validate(done.notebook)


def test_a_page_that_nobody_watches_draws_no_bar(page, capfd):
    notebook, folder = page
    done = pages.execute(pages.client(notebook, folder), "page.ipynb")
    assert done.fault is None
    assert not any("bar" in out.text for c in done.notebook.cells for out in c.get("outputs", []))
    assert "Kernel is running" not in capfd.readouterr().err


def test_a_cell_takes_the_time_it_takes(tmp_path, capfd):
    slow = new_notebook(cells=[new_code_cell("import time; time.sleep(1.2)")])
    pages.execute(pages.client(slow, tmp_path, progress.Watched), "page.ipynb", silent=True)
    (line,) = [said for said in capfd.readouterr().err.splitlines() if "cell" in said]
    assert float(line.split()[-2]) >= 1.2
