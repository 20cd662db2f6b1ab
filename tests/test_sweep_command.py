"""`sweep` as it is written in rerun.md: points executed once, one table, one picture."""

import csv
import re
import shlex
from contextlib import nullcontext
from types import SimpleNamespace as Namespace

import pytest
from click.testing import CliRunner

from attention_in_motion.__main__ import main
from attention_in_motion.book import points, sweep
from attention_in_motion.paths import BOOK

WRITTEN = re.compile(r"^attention-in-motion (sweep 1 .*?[^\\])$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(points, "RUNS", tmp_path / "runs")


def command(*words):
    return CliRunner().invoke(main, ["sweep", *words])


def test_the_written_command_makes_a_table_and_a_picture_and_runs_nothing_twice(tmp_path):
    text = (BOOK / "rerun.md").read_text(encoding="utf-8")
    words = shlex.split(WRITTEN.search(text)[1].replace("\\\n", ""))[1:]
    done = command(*words)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("2 points of 01_fixed_omega: 0 finished, 2 to run")
    (path,) = tmp_path.rglob("*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    exact = {r["gamma"]: float(r["value"]) for r in rows if r["claim"] == "P1.5"}
    for gamma, value in exact.items():  # what a wrong sign does to ω, at ω0 = 2
        ratio = (4 + float(gamma) ** 2) / (4 - float(gamma) ** 2)
        assert value == pytest.approx(ratio**0.5 - 1, rel=1e-9)
    assert set(exact) == {"0.3", "0.7"} and {r["n_seeds"] for r in rows} == {"2"}
    assert len(list(tmp_path.rglob("*P1.2-gamma.png"))) == 1
    again = command(*words)
    assert again.exit_code == 0 and " finished" not in again.output and path.name in again.output


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("1", "-p", "gamma", "0.1,9"), "error: gamma = 9.0: must be < omega0 = 2"),
        (("9", "-p", "gamma", "0.1"), "error: chapter = '9': must be one of"),
        (("1", "-p", "gamma", "0.1", "-p", "gamma", "1"), "error: gamma: is named twice; write"),
        (("1", "--points", "none.csv"), "error: points = 'none.csv': no such file"),
        (("1", "-p", "gamma", "0.1", "--plot", "P9"), "error: plot = 'P9': must be one of P1.1"),
    ],
)
def test_bad_input_is_one_line_before_anything_starts(words, line, monkeypatch):
    monkeypatch.setattr(sweep, "cluster", lambda *given: pytest.fail("a cluster was started"))
    done = command(*words)
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(line), done.stderr


def test_a_failed_point_is_exit_status_three(monkeypatch):
    client = Namespace(nthreads=lambda: {"here": 1})
    monkeypatch.setattr(sweep, "cluster", lambda *given: nullcontext(client))
    monkeypatch.setattr(sweep, "sweep", lambda *given: {"key": "failed: x"})
    assert command("1", "-p", "gamma", "0.1,0.3").exit_code == 3
