"""papermill ends in one line where a page refuses a value, and as ever where a page is at fault."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from papermill.engines import NBClientEngine
from papermill.exceptions import PapermillExecutionError

from attention_in_motion.book import one_line
from attention_in_motion.chapters.page import in_one_line
from attention_in_motion.paths import BOOK


def error(*traceback):
    return PapermillExecutionError(1, 2, "x", "ValueError", "n = 1: must be >= 2", list(traceback))


def test_one_line_stays_one_line(capsys, monkeypatch):
    monkeypatch.setattr(one_line, "usual", lambda *given: print("the usual traceback"))
    one_line.in_one_line(PapermillExecutionError, error("one"), None)
    assert capsys.readouterr().err == "ValueError: n = 1: must be >= 2\n"


@pytest.mark.parametrize("other", [error("one", "two"), ValueError("another")])
def test_every_other_error_is_shown_as_ever(other, capsys, monkeypatch):
    monkeypatch.setattr(one_line, "usual", lambda *given: print("the usual traceback"))
    one_line.in_one_line(type(other), other, None)
    assert capsys.readouterr().out == "the usual traceback\n"


def test_papermill_finds_it_and_has_its_own_engine_under_this_name():
    (found,) = entry_points(group="papermill.engine", name="attention-in-motion")
    assert found.load() is NBClientEngine


def test_a_refusal_has_no_traceback_in_notebooks():
    assert in_one_line(ValueError("n = 1"))._render_traceback_() == ["ValueError: n = 1"]


def test_papermill_says_nothing_else(tmp_path):
    words = ["-m", "papermill", "--no-progress-bar", "--start-timeout", "3600", "-p", "gamma", "9"]
    page = str(BOOK / "01_fixed_omega.ipynb")
    done = subprocess.run(
        [sys.executable, *words, page, str(tmp_path / "out.ipynb")],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    ending = done.stderr.split("Executing notebook with kernel: python3\n")[-1].splitlines()
    said = [line for line in ending if "KeyboardInterrupt caught in kernel" not in line]
    assert done.returncode == 1 and said == ["ValueError: gamma = 9.0: must be < omega0 = 2"]
