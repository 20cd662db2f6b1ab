"""Runs that are killed or interrupted, and runs in odd places: bounded time, nothing left over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import LONG, alive, below, full_only, share, until

from attention_in_motion.book import pages, points, sweep
from attention_in_motion.paths import ROOT

RUN = """
import sys
from pathlib import Path
from attention_in_motion.__main__ import main
from attention_in_motion.book import pages
pages.RUNS = Path(sys.argv[1])
main(["run", "1", "-p", "steps", "100000000"], prog_name="attention-in-motion")
"""
SHORT_CELLS = """
import nbformat
from pathlib import Path
from attention_in_motion.book import pages
cells = [nbformat.v4.new_code_cell(f"print({i}, flush=True)") for i in range(5000)]
notebook = nbformat.v4.new_notebook(cells=cells)
kernel = pages.client(notebook, Path("."))
kernel.on_cell_executed = lambda **facts: print("a cell", flush=True)
for name, done in pages.together({"page": kernel}, silent=True):
    print(done.fault)
"""
SMALL = {"steps": 500, "batch": 64, "lr": 0.02, "n_seeds": 2, "rollout_steps": 20, "n_starts": 20}


def kernel_of(process):
    """The pid of the kernel that a run has started, once it trains: what comes before takes 5 s."""

    def found():
        assert process.poll() is None, process.stderr.read()
        for pid in below(process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"ipykernel" in words and seconds_of(pid) > 8:
                return pid
        return None

    return until(found, "a kernel that computes")


def seconds_of(pid):
    """Processor seconds that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def begin(folder):
    words = [sys.executable, "-c", RUN, str(folder)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    return subprocess.Popen(words, text=True, encoding="utf-8", **options)


def nothing_left(family, folder):
    """No child lives on, and no page lies under a final name."""
    until(lambda: not any(map(alive, family)), "the children to end")
    kept = {path.name for path in folder.rglob("*") if path.is_file()}
    return kept <= {"traceback.txt"}


@pytest.mark.parametrize(
    "end", ["kernel killed", "Ctrl-C", pytest.param("terminated", marks=full_only)]
)
def test_a_run_that_is_ended_leaves_nothing_over(end, tmp_path, count):
    for _ in range(share(3)):
        process = begin(tmp_path)
        kernel, family = kernel_of(process), [process.pid, *below(process.pid)]
        if end == "kernel killed":
            os.kill(kernel, signal.SIGKILL)
        elif end == "Ctrl-C":  # a terminal sends it to all of the foreground
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.kill()
        said = process.communicate(timeout=LONG)[1].splitlines()
        assert process.returncode != 0
        assert not any(line.startswith("Traceback") for line in said), said
        assert end != "kernel killed" or "DeadKernelError" in said[-1], said
        assert nothing_left(family, tmp_path)
        count(f"runs ended: {end}")


def test_an_interrupt_between_two_short_cells_is_not_lost(count):
    words = [sys.executable, "-c", SHORT_CELLS]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True}
    for moment in range(share(20)):
        process = subprocess.Popen(words, text=True, **options)
        for _ in range(10 + moment):  # cells that have run
            assert process.stdout.readline() == "a cell\n"
        family = [process.pid, *below(process.pid)]
        time.sleep(0.007 * moment)  # a cell takes about 30 ms
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=LONG)[0].endswith("KeyboardInterrupt\n")
        until(lambda: not any(map(alive, family)), "the kernel to end")  # noqa: B023
        count("interrupts between two short cells")


@pytest.fixture
def elsewhere(tmp_path):
    """What a zip of the repository holds, under a name with a space and an umlaut."""
    copy = tmp_path / "Größe der Welt" / "attention-in-motion"
    skipped = shutil.ignore_patterns(".*", "_build", "runs", "*.safetensors", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=skipped)
    return copy


OLD_TERMINAL = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def command(root, *words, **environment):
    """A command of the package whose source lies below `root`."""
    own = os.environ | environment | {"PYTHONPATH": str(root)}
    line = [sys.executable, "-m", "attention_in_motion", *map(str, words)]
    return subprocess.run(line, capture_output=True, env=own, cwd=root)


def test_a_zip_in_an_odd_place_works_in_an_old_terminal(elsewhere, count):
    """No .git, a space and an umlaut in the path, and a terminal that knows ASCII alone."""
    source, kept = elsewhere / "src", elsewhere / "runs"
    given = [word for pair in SMALL.items() for word in ("-p", *pair)]
    done = command(source, "run", "1", *given, **OLD_TERMINAL)
    assert done.returncode == 0, done.stderr.decode()
    assert len(list(kept.rglob("fixed_omega.ipynb")) + list(kept.rglob("01_*.ipynb"))) == 1
    listed = command(source, "claims", **OLD_TERMINAL)
    assert listed.returncode == 0 and listed.stdout.count(b"\n") > 100, listed.stderr.decode()
    count("odd places that work")


WITHOUT = [("run", "1"), ("outputs",)]
WITHOUT += [pytest.param(words, marks=full_only) for words in (("sweep", "1"), ("retrain", "02"))]


@pytest.mark.parametrize("words", WITHOUT)
def test_an_installed_package_without_its_checkout_says_so(words, tmp_path, count):
    shutil.copytree(ROOT / "src", tmp_path / "site")
    done = command(tmp_path / "site", *words)
    said = done.stderr.decode().splitlines()
    assert done.returncode == 2 and len(said) == 1, done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]  # nothing is written beside it
    count("commands without a checkout that say so")


@full_only
def test_pip_installs_it_outside_the_checkout(elsewhere, tmp_path, count):
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, str(elsewhere)], check=True)
    shutil.rmtree(elsewhere)
    done = command(site, "run", "1")
    assert done.returncode == 2 and b"only the installed package" in done.stderr
    count("installations outside the checkout")


@full_only
def test_threads_and_repetition_change_no_verdict(monkeypatch, count):
    """The same page twice is the same to the last digit; on two threads its verdicts are."""
    (point,) = points.grid("1", {name: str(value) for name, value in SMALL.items()})
    once, again = sweep.execute(point), sweep.execute(point)
    assert once == again
    monkeypatch.setattr(pages, "ONE_THREAD", dict.fromkeys(pages.ONE_THREAD, "2"))
    two = sweep.execute(point)
    verdicts = [{i: c["verdict"] for i, c in r.claims.items()} for r in (once, two)]
    assert verdicts[0] == verdicts[1]
    count("pages repeated bit for bit, and on two threads with the same verdicts")
