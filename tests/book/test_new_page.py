"""A newcomer adds a page by the steps of CONTRIBUTING, in a copy of the repository."""

import os
import shutil
import subprocess
import sys

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from attention_in_motion.paths import ROOT

MODULE = '''"""Chapter 6: how far a stone falls."""

from __future__ import annotations

from attention_in_motion.chapters.page import Parameters as PageParameters
from attention_in_motion.chapters.page import Positive, claim, rules

PAGE = "06_falling"


class Parameters(PageParameters):
    """What the page may be given."""

    page = PAGE
    height: Positive


RULES = rules(
    PAGE,
    claim("P6.1", "a stone falls in a second", "time", at_most=1.0, source="exact", seeds=False),
)


def runs(p: Parameters) -> dict[str, object]:
    """Nothing is trained."""
    return {}
'''
TEST = '''"""The stone."""

def test_a_higher_stone_falls_longer(rerun):
    assert rerun("06_falling", height=20.0).claims["P6.1"]["value"] > 2
'''
CELLS = [
    new_markdown_cell("# Falling\\n\\n```{include} boxes/06_falling.md\\n```".replace("\\n", "\n")),
    new_code_cell("height: float = 4.0  # metres", metadata={"tags": ["parameters"]}),
    new_code_cell(
        "from attention_in_motion.chapters import falling as chapter\n"
        "from attention_in_motion.claims import Recorder\n\n"
        "p = chapter.Parameters.of(globals())\nrecord = Recorder(chapter.RULES)",
        metadata={"tags": ["hide-input"]},
    ),
    new_code_cell(
        'record("P6.1", (2 * p.height / 9.81) ** 0.5)',
        metadata={"tags": ["nbval-ignore-output"]},
    ),
]


def add_line(path, after, line):
    text = path.read_text(encoding="utf-8")
    assert after in text
    path.write_text(text.replace(after, f"{after}{line}", 1), encoding="utf-8")


def test_a_page_is_added_by_the_written_steps(tmp_path):
    copy = tmp_path / "copy"
    skipped = shutil.ignore_patterns(".*", "_build", "runs", "*.safetensors", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=skipped)
    source = copy / "src" / "attention_in_motion" / "chapters"
    # 1. the module, and its place in the book
    (source / "falling.py").write_text(MODULE, encoding="utf-8")
    add_line(source / "contents.py", "    criteria,\n", "    falling,\n")
    add_line(source / "contents.py", "        odeformer,\n", "        falling,\n")
    # 2. the notebook
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    page = new_notebook(cells=CELLS, metadata={"kernelspec": kernel})
    nbformat.write(page, copy / "book" / "06_falling.ipynb")
    # 3. the tables of contents
    add_line(copy / "_toc.yml", "      - file: 05_odeformer\n", "      - file: 06_falling\n")
    shutil.copyfile(copy / "_toc.yml", copy / "book" / "_toc.yml")
    # 4. its test
    (copy / "tests" / "chapters" / "test_falling.py").write_text(TEST, encoding="utf-8")
    # 5. its outputs, box and row
    environment = os.environ | {"PYTHONPATH": str(copy / "src")}
    options = {"cwd": copy, "env": environment, "check": True}
    outputs = ["-m", "attention_in_motion", "outputs", "falling"]
    subprocess.run([sys.executable, *outputs], **options)
    tests = ["tests/chapters/test_falling.py", "tests/book/test_tables.py"]
    tests += ["tests/book/test_every_page.py", "tests/book/test_reading.py", "-k", "not pins"]
    subprocess.run([sys.executable, "-m", "pytest", "-x", *tests], **options)
