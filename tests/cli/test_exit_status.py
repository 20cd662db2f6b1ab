"""Exit status: 0 done, 1 a claim moved, 2 bad input, 3 a run failed; each with one line."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from attention_in_motion import cli
from attention_in_motion.__main__ import main
from attention_in_motion.book import pages
from attention_in_motion.chapters import contents
from attention_in_motion.cli import book
from attention_in_motion.paths import ROOT


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("gamma = 9: must be < 2"), 2, "error: gamma = 9: must be < 2"),
        (FileNotFoundError("x: no such file"), 2, "error: x: no such file"),
        (pages.Failed("page, cell 3: it broke"), 3, "error: page, cell 3: it broke"),
        (OSError(28, "No space left on device"), 3, "error: [Errno 28] No space left on device"),
        (
            PermissionError(13, "Permission denied", "runs"),
            3,
            "error: [Errno 13] Permission denied",
        ),
        (KeyboardInterrupt(), 130, "error: stopped; what was finished is kept"),
    ],
)
def test_every_end_has_its_status(error, status, line, monkeypatch):
    def fails():
        raise error

    monkeypatch.setattr(cli.chapters.list_chapters, "callback", fails)
    done = CliRunner().invoke(main, ["list"])
    assert done.exit_code == status and done.stderr.strip().startswith(line)
    assert done.stderr.strip().count("\n") == 0


def test_help_says_so(command):
    said = command("--help").stdout
    assert all(f"\n    {status}  " in said for status in (0, 1, 2, 3, 130))
    assert command("run", "--help").stdout.count("attention-in-motion run ") >= 2


VISIBLE = [name for name, one in main.commands.items() if not one.hidden]


@pytest.mark.parametrize("name", VISIBLE)
def test_every_command_shows_an_example_of_itself(name):
    done = CliRunner().invoke(main, [name, "--help"])
    assert re.search(rf"^ +attention-in-motion {name}( |$)", done.output, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("ship", "{file}"), "puts weights.pt into data/: less than a second"),
        (("ship",), "writes the sums of all files in data/: less than a second"),
        (("convert-official", "{file}", "--out", "x"), "reads the tensors of .*: about [0-9.]+ s"),
        (("evaluate", "{file}", "--out", "x"), ".* 100 of each group: about \\d+ (min|h)"),
        (("evaluate", "{file}", "-n", "2", "--out", "x"), ".* 2 of each group: about .*"),
        (("train", "configs/odeformer/twin.toml"), "trains what .*: about [0-9.]+ h"),
        (("train", "configs/odeformer/twin.toml", "--steps", "20"), "trains what .*: about \\d+ s"),
        (("retrain", "03-linear"), "trains 03-linear-1, .*: about .* in all"),
        (("outputs", "1"), "executes 01_fixed_omega: about \\d+ s of one core"),
    ],
)
def test_a_step_says_how_long_before_it_begins(words, line, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    file = tmp_path / "weights.pt"
    with file.open("wb") as hollow:
        hollow.truncate(2**28)
    for module, names in STEPS.items():
        for name in names:
            monkeypatch.setattr(f"attention_in_motion.{module}.{name}", lambda *given: 0)
    done = CliRunner().invoke(main, [word.format(file=file) for word in words])
    assert done.exit_code == 0 and re.fullmatch(line, done.stderr.strip()), done.stderr


STEPS = {  # what would take that long
    **{"training.store": ("ship", "retrain"), "odeformer.official": ("convert",)},
    **{"paths": ("write_sums",), "cli.weights": ("forward",)},
    **{"book.pages": ("write_outputs",), "book.tables": ("write",), "book.cost": ("keep",)},
}


def test_every_chapter_that_an_example_names_is_there():
    helps = [CliRunner().invoke(main, [name, "--help"]).output for name in VISIBLE]
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "book/rerun.md")]
    named = set().union(*(re.findall(NAMING, text) for text in [*helps, *texts]))
    assert len(named) >= 3 and all(contents.named(name) for name in named)


NAMING = re.compile(r"(?:attention-in-motion |`)(?:run|show|sweep|outputs) ([a-z0-9_/]+)")


def test_version_two_of_the_builder_is_refused(monkeypatch):
    assert CliRunner().invoke(book.check_builder).exit_code == 0
    monkeypatch.setattr(book, "version", lambda name: "2.1.7")
    error = CliRunner().invoke(book.check_builder).exception
    assert str(error).startswith("jupyter-book = 2.1.7: must be 1.x")


def test_an_interrupted_run_ends_soon_and_leaves_no_child_and_no_half_file(tmp_path):
    words = ["-m", "attention_in_motion", "run", "1", "--out", str(tmp_path / "out")]
    options = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    run = subprocess.Popen([sys.executable, *words], start_new_session=True, **options)
    for line in run.stderr:
        if "cell  9" in line or "undamped" in line:
            break
    os.kill(run.pid, signal.SIGINT)
    assert run.wait(timeout=300) == 130
    assert run.stderr.read().strip().splitlines()[-1] == "error: stopped; what was finished is kept"
    assert not list(tmp_path.rglob("*.*"))
    for _ in range(600):  # the kernel is a child of that session
        alive = subprocess.run(["ps", "-o", "pid=", "--sid", str(run.pid)], capture_output=True)
        if not alive.stdout.split():
            return
        time.sleep(0.1)
    pytest.fail("a child is left")


def test_a_module_that_stands_alone_is_reached_through_the_tool(command):
    for words, option in ((("train", "--help"), "--interim"), (("evaluate", "--help"), "--seed")):
        done = command(*words)
        assert done.returncode == 0 and option in done.stdout
    both = command("train", "pyproject.toml")  # no configuration
    assert both.returncode == 2 and both.stderr.splitlines()[-1].startswith("error: ")
