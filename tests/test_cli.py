"""The commands, as a user types them."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from attention_in_motion.book import reading
from attention_in_motion.cli import commands as cli
from attention_in_motion.paths import BOOK


def command(*words):
    line = [sys.executable, "-m", "attention_in_motion", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.parametrize("planted", ["nothing", "verdict", "claim", "value"])
def test_compare_fails_on_what_moved_and_says_what(planted, tmp_path):
    new = json.loads(reading.as_json(reading.collect(BOOK)))
    page, claims = new[-1]["page"], new[-1]["claims"]
    first = next(name for name, claim in claims.items() if claim["value"] is not None)
    if planted == "verdict":
        claims[first]["verdict"] = "not_testable"
    elif planted == "claim":
        del claims[first]
    elif planted == "value":
        claims[first] |= {"value": claims[first]["value"] + 1, "source": "exact"}
    (tmp_path / "new.json").write_text(json.dumps(new), encoding="utf-8")
    done = command("claims", "--compare", BOOK, tmp_path / "new.json")
    assert done.returncode == (planted != "nothing")
    assert done.stdout.startswith(f"{page}: {first}: ") == (planted != "nothing"), done.stdout


def test_what_json_prints_is_read_back(tmp_path):
    (tmp_path / "all.json").write_text(command("claims", "--json").stdout, encoding="utf-8")
    assert reading.collect(tmp_path / "all.json") == reading.collect(BOOK)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("run", "1", "-p", "gamma", "9"), "error: gamma = 9.0: must be < omega0 = 2"),
        (
            ("run", "1", "-p", "omega_0", "3"),
            "error: omega_0: unknown parameter; known are omega0,",
        ),
        (("run", "9"), "error: chapter = '9': must be one of 01_fixed_omega,"),
        (("claims", "--from", "nowhere"), "error: nowhere: no such file or folder"),
        (("retrain", "99"), "error: chapter = '99': nothing is shipped under that name"),
    ],
)
def test_bad_input_ends_in_one_line_before_anything_starts(words, line):
    done = command(*words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(line), done.stderr


def test_version_two_of_the_builder_is_refused(monkeypatch):
    assert CliRunner().invoke(cli.check_builder).exit_code == 0
    monkeypatch.setattr(cli, "version", lambda name: "2.1.7")
    error = CliRunner().invoke(cli.check_builder).exception
    assert str(error).startswith("jupyter-book = 2.1.7: must be 1.x")
