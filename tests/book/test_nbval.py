"""nbval as `make test` runs it: slow cells pass, wrong outputs and dead kernels do not."""

import shutil
import subprocess
import sys

import nbformat

from attention_in_motion.paths import ROOT

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def compare(folder, *cells, options=()):
    """Run nbval on a notebook of (source, printed) pairs; the last lines that pytest says."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    for count, (source, printed) in enumerate(cells, start=1):
        out = nbformat.v4.new_output("stream", name="stdout", text=printed)
        cell = nbformat.v4.new_code_cell(source, execution_count=count, outputs=[out])
        notebook.cells.append(cell)
    nbformat.write(notebook, folder / "page.ipynb")
    shutil.copy(ROOT / "conftest.py", folder)
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", *options]
    done = subprocess.run([*command, "."], capture_output=True, text=True, cwd=folder)
    return done.stdout


def test_a_cell_may_be_slower_than_any_limit(tmp_path):
    slow = ("import time; time.sleep(3); print('ok')", "ok\n")
    assert "1 passed" in compare(tmp_path, slow, options=["--nbval-cell-timeout=1"])


def test_a_wrong_output_fails(tmp_path):
    assert "1 failed, 1 passed" in compare(tmp_path, ("print(1)", "1\n"), ("print(2)", "3\n"))


def test_a_kernel_that_dies_is_noticed(tmp_path):
    said = compare(tmp_path, ("import os; os._exit(1)", ""))
    assert "the kernel died" in said and "1 failed" in said
