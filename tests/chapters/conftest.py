"""Re-running a page through real papermill, as a reader does."""

import subprocess
import sys

import papermill
import pytest

from attention_in_motion.book import reading
from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK

HOUR = 3600  # seconds that a kernel may take to start beside other work
QUIETLY = {"progress_bar": False, "start_timeout": HOUR}
PATIENT = ("--no-progress-bar", "--start-timeout", str(HOUR))


@pytest.fixture
def rerun(tmp_path, monkeypatch):
    """rerun(page, name=value, ...) → the page's reading; every claim of the page is in it."""

    def run(page, **parameters):
        monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path / "weights"))
        out = tmp_path / "out.ipynb"
        source = BOOK / f"{page}.ipynb"
        papermill.execute_notebook(source, out, parameters, **QUIETLY, cwd=tmp_path)
        found = reading.read(out)
        assert found.page == page and set(found.claims) == set(contents.PAGES[page].RULES)
        assert found.parameters | parameters == found.parameters
        return found

    return run


@pytest.fixture
def refusal(tmp_path):
    """refusal(page, "-p", name, value) → the last line of a papermill run that must fail."""

    def run(page, *options):
        command = [sys.executable, "-m", "papermill", *PATIENT, *options]
        paths = [str(BOOK / f"{page}.ipynb"), str(tmp_path / "out.ipynb")]
        done = subprocess.run([*command, *paths], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode != 0
        return done.stderr.strip().splitlines()[-1]

    return run
