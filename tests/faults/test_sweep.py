"""Sweeps lose workers, clients and schedulers: every point is executed once, none is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import dask
import distributed  # noqa: F401  (its settings have to be there before one is changed)
import pytest
import toy
from harness import LONG, alive, below, full_only, share, until

from attention_in_motion.book import points, reading, sweep

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the toy sweep works; `points.RUNS` is put back afterwards."""
    monkeypatch.setattr(points, "RUNS", tmp_path)
    monkeypatch.setenv(toy.WHERE, str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
    return tmp_path


@pytest.fixture
def begun():
    """begun(*words) → a process, ended with all its children when the test is over."""
    found = []

    def start(*words):
        found.append(subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.PIPE))
        return found[-1]

    yield start
    for process in found:
        for pid in [*below(process.pid), process.pid]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def starts(folder):
    """How often each point was started, by its gamma."""
    return Counter(line.split()[0] for line in lines(folder))


def lines(folder):
    path = folder / "log"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def results():
    """{gamma: when its result was written} of the points that have one."""
    found = (points.folder("01_fixed_omega") / "points").glob("*.json")
    written = {path: path.stat().st_mtime_ns for path in found}
    return {str(gamma_of(path)): when for path, when in written.items()}


def gamma_of(path):
    (found,) = reading.collect(path)
    return found.parameters["gamma"]


def whole(folder, n):
    """Every point has its own result, and nothing lies half-written."""
    found = [sweep.finished(p) for p in toy.asked(folder, n)]
    right = [r.claims["P1.1"]["value"] == r.parameters["gamma"] for r in found]
    return len(right) == n and all(right) and not list(folder.rglob("*.partial"))


def test_workers_killed_in_mid_sweep_lose_no_point(folder, monkeypatch, count):
    kills, n, killed = share(10), 4 * share(10) + 2, {}
    monkeypatch.setenv(toy.SECONDS, "0.3")

    def kill_one(line):
        running = [tuple(entry.split()) for entry in lines(folder)]
        before = results()
        open_ones = [(g, pid) for g, pid in running if g not in before and g not in killed]
        if len(killed) < kills and open_ones:
            gamma, pid = open_ones[-1]
            killed[gamma] = before
            if alive(int(pid)):
                os.kill(int(pid), signal.SIGKILL)

    with sweep.cluster(workers=2) as client:
        failed = sweep.sweep(toy.asked(folder, n), client, kill_one, toy.run)
    assert not failed and whole(folder, n) and killed
    assert all(times == 1 for g, times in starts(folder).items() if g not in killed)
    assert max(starts(folder).values()) <= 2
    for before in killed.values():
        assert before.items() <= results().items()  # what was there is there, untouched
    count("Dask workers killed in mid-sweep, each point once", len(killed))


def once(folder, before, n, counted=None):
    """What had a result before was not started again; all there now.

    `counted` has how often points had been started when `before` was taken: what was killed in the
    middle had to be, twice.
    """
    return kept(folder, before, counted) and whole(folder, n)


def kept(folder, before, counted=None):
    """What had a result before was not started again, and has it still."""
    again = [g for g in before if starts(folder)[g] > (counted or {}).get(g, 1)]
    return not again and before.items() <= results().items()


def test_a_client_killed_and_started_again_goes_on(folder, begun, count):
    rounds, n = share(10), 4 * share(10) + 4
    before, counted = {}, {}
    for _ in range(rounds):
        client, had = begun(HERE / "toy.py", folder, 0.3, n), len(before)
        until(lambda had=had: len(results()) >= had + 2, "two more points")
        family = below(client.pid)
        client.kill()
        client.wait()
        until(lambda f=family: not any(map(alive, f)), "the client's workers to end")
        assert kept(folder, before, counted)
        before, counted = results(), starts(folder)
    assert begun(HERE / "toy.py", folder, 0.1, n).wait(timeout=LONG) == 0
    assert once(folder, before, n, counted)
    count("Dask clients killed and started again, each point once", rounds)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_scheduler_that_dies_ends_the_sweep_and_the_next_call_goes_on(folder, begun, count):
    port, n, before = free_port(), 8, {}
    address = f"tcp://127.0.0.1:{port}"
    os.environ[toy.SECONDS] = "0.5"
    for last in (False, True):
        scheduler = begun(*PARTS["scheduler"], "--host", "127.0.0.1", "--port", port)
        worker = begun(*PARTS["worker"], address, "--nworkers", 1, "--nthreads", 1)
        client = begun(HERE / "toy.py", folder, 0.5, n, address)
        if last:
            assert client.wait(timeout=LONG) == 0
        else:
            until(lambda: len(results()) >= 2, "two points")
            scheduler.kill()
            said = client.communicate(timeout=LONG)[0].decode()
            assert client.returncode == 3 and "lost with its scheduler" in said
            family = [worker.pid, *below(worker.pid)]
            worker.terminate()
            until(lambda f=family: not any(map(alive, f)), "the worker to end")
            before = results()
            assert len(before) < n
    assert once(folder, before, n)
    count("Dask schedulers killed and started again, each point once")


PARTS = {
    "scheduler": ("-m", "distributed.cli.dask_scheduler", "--no-dashboard"),
    "worker": ("-m", "distributed.cli.dask_worker", "--no-dashboard", "--death-timeout", 120),
}


def test_a_bad_point_is_reported_stops_no_other_and_is_tried_again(folder, monkeypatch, count):
    monkeypatch.setenv(toy.SECONDS, "0")
    (folder / "bad").write_text("0.002", encoding="utf-8")
    asked = toy.asked(folder, 4)
    with sweep.cluster(workers=1) as client:
        said: list[str] = []
        failed = sweep.sweep(asked, client, said.append, toy.run)
        assert list(failed.values()) == ["failed: gamma = 0.002 is bad"]
        assert len(results()) == 3 and sum("finished" in line for line in said) == 3
        (folder / "bad").unlink()
        assert sweep.sweep(asked, client, said.append, toy.run) == {}
    assert said[-1] == "1 of 1: 01_fixed_omega, gamma = 0.002: finished"
    assert starts(folder) == {"0.001": 1, "0.002": 2, "0.003": 1, "0.004": 1}
    count("points that failed, and ran at the next call")


def test_a_worker_that_is_slow_to_start_again_is_not_given_up(folder, monkeypatch, count):
    """Dask's own patience is set to none; a second worker would hide that the first is lost."""
    monkeypatch.setenv(toy.SECONDS, "0")
    with dask.config.set(NO_PATIENCE), sweep.cluster(workers=1) as client:
        (killed,) = client.run(os.getpid).values()
        os.kill(killed, signal.SIGKILL)
        there = partial(client.run, os.getpid, on_error="ignore")
        until(lambda: set(there().values()) - {killed}, "the worker to come back")
        assert sweep.sweep(toy.asked(folder, 1), client, print, toy.run) == {}
    count("Dask workers slow to start again, kept")


NO_PATIENCE = {"distributed.deploy.lost-worker-timeout": "0s"}


@full_only
def test_a_point_that_kills_every_worker_stops_no_other(folder, monkeypatch, count):
    monkeypatch.setenv(toy.SECONDS, "0")
    (folder / "deadly").write_text("0.002", encoding="utf-8")
    with sweep.cluster(workers=2) as client:
        failed = sweep.sweep(toy.asked(folder, 4), client, print, toy.run)
    assert list(failed.values()) == ["failed: its worker died again and again"]
    assert len(results()) == 3
    count("points that killed their worker each time")
