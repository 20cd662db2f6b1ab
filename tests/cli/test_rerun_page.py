"""The commands of book/rerun.md, executed verbatim in a fresh copy of the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from attention_in_motion.book import reading
from attention_in_motion.paths import ROOT

TEXT = (ROOT / "book" / "rerun.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ACTIVATE, *COMMANDS = BLOCKS


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A clone without outputs of earlier work, with the environment that make sets up."""
    copy = tmp_path_factory.mktemp("clone") / "attention in motion"
    skipped = shutil.ignore_patterns(".*", "_build", "runs", "data", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=skipped)
    (copy / "data").symlink_to(ROOT / "data")
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


@pytest.fixture(scope="module")
def said(copy):
    """What each block of commands said, in the order of the page, each in a shell of its own."""
    environment = os.environ | {"PYTHONPATH": str(copy / "src"), "OMP_NUM_THREADS": "1"}
    environment["PATH"] = os.pathsep.join(
        part for part in environment["PATH"].split(os.pathsep) if ".venv" not in part
    )
    found = {}
    for block in COMMANDS:
        command = ["bash", "-e", "-c", ACTIVATE + block]
        options = {"cwd": copy, "env": environment, "text": True, "encoding": "utf-8"}
        done = subprocess.run(command, capture_output=True, **options)
        assert done.returncode == 0, block + done.stdout + done.stderr
        found[block] = done
    return found


def the(said, words):
    """What the block said in which `words` stand."""
    return next(done for block, done in said.items() if words in block)


def test_the_page_begins_in_a_shell_that_knows_nothing():
    assert ACTIVATE == "source .venv/bin/activate\n"


def test_a_run_leaves_what_the_page_says(said, copy):
    done = the(said, "--out runs/stiffer")
    assert {path.name for path in (copy / "runs" / "stiffer").iterdir()} == {
        *("01_fixed_omega.html", "01_fixed_omega.ipynb", "reading.json"),
    }
    (found,) = json.loads((copy / "runs/stiffer/reading.json").read_text(encoding="utf-8"))
    assert found["parameters"]["omega0"] == 3.3 and found["seeds"] == {"n_seeds": 4}
    assert found["claims"]["P1.5"]["value"] == pytest.approx(
        ((3.3**2 + 0.7**2) / (3.3**2 - 0.7**2)) ** 0.5 - 1
    )
    assert re.search(r"^P1\.5 +0\.0025 +0\.0461 +does not hold$", done.stdout, re.MULTILINE)
    assert "omega0 2.0 → 3.3, gamma 0.1 → 0.7" in done.stdout


def test_a_run_says_beforehand_how_long_and_then_every_cell(said):
    lines = the(said, "--out runs/stiffer").stderr.splitlines()
    assert re.match(r"executes 01_fixed_omega: at most about \d+ s", lines[0])
    cells = [line for line in lines if line.startswith("  cell")]
    page = json.loads((ROOT / "book" / "01_fixed_omega.ipynb").read_text(encoding="utf-8"))
    n = 1 + sum(cell["cell_type"] == "code" for cell in page["cells"])  # and what it is given
    assert len(cells) == n and cells[-1].startswith(f"  cell {n} of {n}, ")
    assert any("damped: 100%" in line for line in lines)  # a training's bar
    assert not any("WARNING" in line or "ERROR" in line for line in lines)


def test_the_page_of_a_run_stands_alone_with_its_numbers(said, copy):
    html = (copy / "runs" / "stiffer" / "01_fixed_omega.html").read_text(encoding="utf-8")
    shown = re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.DOTALL)
    assert "0.0461" in shown and "{glue" not in shown and "A run with other parameters" in shown
    links = re.findall(r'(?:src|href)="([^"#][^"]{0,40})', shown)
    assert all(link.startswith(("data:image/png;base64,", "https://")) for link in links)
    assert sum(link.startswith("data:") for link in links) >= 3
    assert "MathJax" in html


def test_papermill_runs_the_page(said, copy):
    found = reading.read(copy / "runs" / "frequency.ipynb")
    assert found.parameters["n_test"] == 64
    assert "n_test: int (default 1024)" in the(said, "--help-notebook").stdout


def test_the_book_is_rebuilt_beside_the_published_one(said, copy):
    site = copy / "runs" / "mine" / "_build" / "html"
    front = (site / "index.html").read_text(encoding="utf-8")
    assert "Not the book as it was published" in front and "n_test 1024 → 64" in front
    assert (site / "03_variable_omega" / "frequency.html").is_file()
    changed = [
        path.relative_to(copy)
        for path in (copy / "book").rglob("*.*")
        if "__pycache__" not in path.parts
        and path.read_bytes() != (ROOT / path.relative_to(copy)).read_bytes()
    ]
    assert changed == []
    given = tomllib.loads((copy / "runs" / "mine.toml").read_text(encoding="utf-8"))
    kept = json.loads((copy / "runs" / "mine" / "parameters.json").read_text(encoding="utf-8"))
    assert given == {"frequency": {"n_test": 64}}
    assert kept == {"03_variable_omega/frequency": {"n_test": 64}}


def test_compare_says_what_moved(said):
    assert "agree" in the(said, "runs/published.json").stdout
    moved = the(said, "compare book runs/stiffer").stdout
    assert moved.startswith("01_fixed_omega: parameters differ: omega0 2.0 → 3.3")


def test_every_command_of_the_tool_is_on_the_page(command):
    listed = command("--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    names = re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE)
    assert len(names) >= 12
    assert [name for name in names if f"attention-in-motion {name}" not in TEXT] == []
