"""Executing pages: side by side, on one thread, without limits, with faults in one line."""

import os
import socket
import threading
import time
from types import SimpleNamespace as Namespace

import nbformat
import pytest
from nbclient import NotebookClient

from attention_in_motion.book import pages, parameters

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
MEET = """
import pathlib, time
pathlib.Path("{mine}").touch()
for _ in range(600):
    if pathlib.Path("{other}").exists():
        break
    time.sleep(0.1)
else:
    raise TimeoutError("ran alone")
"""
THREADS = """
import os, torch
print(torch.get_num_threads(), *(os.environ[n] for n in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")))
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """An empty book of which `pages` knows."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").touch()
    for module in (pages, parameters):
        monkeypatch.setattr(module, "BOOK", tmp_path / "book")
    monkeypatch.setattr(pages, "RUNS", tmp_path / "runs")
    return tmp_path / "book"


def write(path, *sources, tags=()):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    if tags:
        cells[0].metadata.tags = list(tags)
    path.parent.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    return path


def executed(path, name="page.ipynb"):
    return pages.execute(pages.client(nbformat.read(path, as_version=4), path.parent), name)


def printed(notebook):
    return [out.text for cell in notebook.cells for out in cell.outputs if out.name == "stdout"]


def test_pages_run_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "cores", lambda: 2)
    a = write(tmp_path / "a.ipynb", MEET.format(mine="a", other="b"))
    b = write(tmp_path / "b.ipynb", MEET.format(mine="b", other="a"))
    done = dict(pages.side_by_side({"a": a, "b": b}))
    assert [done[name].fault for name in "ab"] == [None, None]


def test_a_fault_stops_one_page_and_is_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(pages, "cores", lambda: 1)
    bad = write(tmp_path / "bad.ipynb", "print('here')", "raise KeyError('x\\ny')", "print('no')")
    good = write(tmp_path / "good.ipynb", "print('good')")
    done = dict(pages.side_by_side({"bad.ipynb": bad, "good.ipynb": good}))
    assert done["bad.ipynb"].fault == r"bad.ipynb, cell 2: KeyError: 'x\ny'"
    assert "KeyError" in done["bad.ipynb"].traceback
    assert printed(done["good.ipynb"].notebook) == ["good\n"]
    said = [line for line in capfd.readouterr().err.splitlines() if ".ipynb" in line]
    assert said[:2] == ["bad.ipynb: started", r"bad.ipynb, cell 2: KeyError: 'x\ny'"]
    assert said[2] == "good.ipynb: started" and said[3].startswith("good.ipynb: ")


def test_a_kernel_that_dies_is_a_fault_of_its_cell(tmp_path):
    done = executed(write(tmp_path / "page.ipynb", "x = 1", "import os; os._exit(1)"))
    assert done.fault == "page.ipynb, cell 2: DeadKernelError: Kernel died"


@pytest.mark.parametrize("taken", [1, pages.STARTS])
def test_a_kernel_whose_port_is_taken_starts_anew(tmp_path, taken):
    """Ports are chosen before a kernel listens on them, and any program may be faster."""
    made = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))

        class Late(NotebookClient):
            def create_kernel_manager(self):
                made.append(super().create_kernel_manager())
                if len(made) <= taken:
                    self.km.cache_ports, self.km.control_port = False, other.getsockname()[1]
                return self.km

        page = nbformat.read(write(tmp_path / "late.ipynb", "print(1)"), as_version=4)
        kernel = pages.client(page, tmp_path, Late)
        done = pages.execute(kernel, "late.ipynb")
    assert len(made) == min(taken + 1, pages.STARTS)
    if taken < pages.STARTS:
        assert done.fault is None and done.notebook.cells[0].outputs[0].text == "1\n"
    else:
        assert done.fault.startswith("late.ipynb: RuntimeError: Kernel died before")


def test_every_kernel_runs_on_one_thread_whatever_the_caller_has_set(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    done = executed(write(tmp_path / "page.ipynb", THREADS))
    assert printed(done.notebook) == ["1 1 1\n"]
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_no_cell_has_a_time_limit_and_no_slow_start_is_a_fault(tmp_path):
    path = write(tmp_path / "page.ipynb", "x = 1")
    kernel = pages.client(nbformat.read(path, as_version=4), tmp_path)
    assert kernel._get_timeout(kernel.nb.cells[0]) is None
    assert min(kernel.startup_timeout, kernel.iopub_timeout) > 24 * 3600


def test_whoever_stops_ends_the_kernels(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "cores", lambda: 1)
    endless = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(10**6)"
    slow = write(tmp_path / "slow.ipynb", endless)
    quick = write(tmp_path / "quick.ipynb", "x = 1")
    never = write(tmp_path / "never.ipynb", "open('begun', 'w')")
    running = pages.side_by_side({"quick": quick, "slow": slow, "never": never})
    assert next(running)[0] == "quick"
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text(encoding="utf-8"):
        time.sleep(0.05)
    running.close()  # as an interruption does
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text(encoding="utf-8")), 0)
    assert not (tmp_path / "begun").exists()
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPool")]


def test_outputs_are_committed_without_noise_and_failing_pages_left_alone(book):
    noisy = "import sys; print('kept'); print('dropped', file=sys.stderr)"
    good = write(book / "part" / "good.ipynb", noisy)
    bad = write(book / "bad.ipynb", "1 / 0")
    before = bad.read_bytes()
    with pytest.raises(ValueError, match=r"^bad.ipynb, cell 1: ZeroDivisionError: division by"):
        pages.write_outputs(bad, good)
    assert bad.read_bytes() == before
    notebook = nbformat.read(good, as_version=4)
    assert printed(notebook) == ["kept\n"] and len(notebook.cells[0].outputs) == 1
    assert notebook.metadata == {"kernelspec": KERNEL} and not notebook.cells[0].metadata
    assert notebook.cells[0].execution_count == 1


def declare(monkeypatch, allowed):
    """A page `01_page` that may be given `allowed` values of omega0."""

    def given(values):
        if values["omega0"] not in allowed:
            raise ValueError(f"omega0 = {values['omega0']!r}: must be one of {allowed}")

    module = Namespace(PAGE="01_page", Parameters=Namespace(given=given, model_fields={}))
    monkeypatch.setattr(pages.contents, "named", lambda page: module)


def test_run_executes_with_other_parameters_into_runs(book, monkeypatch):
    declare(monkeypatch, (2.0, 3.3))
    cell = "omega0: float = 2.0  # rad/s\nfail: bool = False  # stop"
    write(book / "01_page.ipynb", cell, "print(omega0, fail)", tags=["parameters"])
    target = pages.run("page", {"omega0": "3.3", "fail": "true"})
    assert target.relative_to(book.parent).parts[:2] == ("runs", "01_page")
    notebook = nbformat.read(target, as_version=4)
    assert printed(notebook) == ["3.3 True\n"]
    assert notebook.metadata.papermill.parameters == {"omega0": 3.3, "fail": True}
    assert pages.run("page", {"omega0": "2.0"}) != target
    assert pages.defaults("page") == {"omega0": 2.0, "fail": False}


def test_run_refuses_before_a_kernel_starts(book, monkeypatch):
    declare(monkeypatch, (2.0,))
    monkeypatch.setattr(pages, "execute", lambda *given, **how: pytest.fail("a kernel was started"))
    write(book / "01_page.ipynb", "omega0: float = 2.0  # rad/s", tags=["parameters"])
    with pytest.raises(ValueError, match=r"^omega0 = -1: must be one of"):
        pages.run("page", {"omega0": "-1"})
    assert not (book.parent / "runs").exists()


def test_a_folder_that_cannot_be_written_is_found_before_a_kernel_starts(book, monkeypatch):
    declare(monkeypatch, (2.0,))
    monkeypatch.setattr(pages, "execute", lambda *given, **how: pytest.fail("a kernel was started"))
    path = write(book / "01_page.ipynb", "omega0: float = 2.0  # rad/s", tags=["parameters"])
    with pytest.raises(OSError, match=r"01_page\.ipynb"):
        pages.run("page", {"omega0": "2.0"}, path / "below a file")


def test_a_run_that_fails_leaves_a_traceback_and_no_page(book, monkeypatch):
    declare(monkeypatch, (0.0, 2.0))
    write(book / "01_page.ipynb", "omega0: float = 2.0  # rad/s", "1 / omega0", tags=["parameters"])
    with pytest.raises(ValueError, match=r"^01_page.ipynb, cell 3: ZeroDivisionError: .*traceback"):
        pages.run("page", {"omega0": "0.0"})
    kept = list((book.parent / "runs").rglob("*.*"))
    assert [path.name for path in kept] == ["traceback.txt"]
    assert "ZeroDivisionError" in kept[0].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "value"),
    [("false", False), ("TRUE", True), ("3", 3), ("2.5", 2.5), ("8LA 16/8", "8LA 16/8")],
)
def test_literals(text, value):
    assert pages.literal(text) == value and type(pages.literal(text)) is type(value)
