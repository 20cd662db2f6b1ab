"""What cannot be done is said in one line, with exit status 2, before anything heavy is loaded."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import attention_in_motion

SOURCE = Path(attention_in_motion.__file__).parent

HEAVY = ("torch", "scipy", "matplotlib", "papermill", "nbclient", "sphinx", "numpy")
REFUSED = [
    (("run", "1", "-p", "gamma", "9"), "error: gamma = 9.0: must be < omega0 = 2"),
    (("run", "1", "-p", "omega_0", "3"), "error: omega_0: unknown parameter; known are omega0,"),
    (
        ("run", "1", "-p", "gamma", "1", "-p", "gamma", "0"),
        "error: gamma = '1': must be given once",
    ),
    (("run", "9"), "error: chapter = '9': must be one of 01_fixed_omega,"),
    (("run",), "error: Missing argument 'CHAPTER'."),
    (("run", "1", "-p", "gamma"), "error: Option '-p' requires 2 arguments."),
    (("show", "9"), "error: chapter = '9': must be one of 01_fixed_omega,"),
    (("run", "1", "--out", "README.md"), "error: Invalid value for '--out': Directory 'README.md'"),
    (
        ("run", "probes", "-p", "table", "nowhere"),
        "error: table = 'nowhere': no such file; must be 'shipped' or the path of a table",
    ),
    (("rum",), "error: No such command 'rum'."),
    (("book",), "error: Missing option '--params'."),
    (("book", "--params", "nowhere.toml"), "error: nowhere.toml: no such file"),
    (("outputs", "9"), "error: chapter = '9': must be one of 01_fixed_omega,"),
    (("retrain", "99"), "error: chapter = '99': nothing is shipped under that name"),
    (("convert-official", "nowhere.pt"), "error: nowhere.pt: no such file"),
    (("ship", "nowhere.safetensors"), "error: nowhere.safetensors: no such file"),
    (("train", "nowhere.toml"), "error: nowhere.toml: no such file"),
    (("evaluate", "nowhere.safetensors"), "error: nowhere.safetensors: no such file"),
]
READING = [
    (("claims", "--from", "nowhere"), "error: nowhere: no such file or folder"),
    (("compare", "nowhere", "book"), "error: nowhere: no such file or folder"),
    (("claims", "--from", "README.md"), "error: README.md: is no notebook"),
    (("claims", "--from", "data/odebench.json"), "error: data/odebench.json: holds no readings"),
]


@pytest.mark.parametrize(("words", "line"), REFUSED + READING)
def test_bad_input_ends_in_one_line(words, line, command):
    done = command(*words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(line), done.stderr


@pytest.mark.parametrize(("words", "line"), REFUSED)
def test_nothing_heavy_is_loaded_to_say_so(words, line):
    code = (
        "import sys\n"
        "from attention_in_motion.__main__ import main\n"
        f"try: main({words!r})\n"
        f"finally: print(*[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout.split() == []


@pytest.mark.parametrize("words", [("list",), ("show", "solver"), ("--help",), ("run", "--help")])
def test_listing_loads_nothing_heavy_either(words):
    code = (
        "import sys\n"
        "from attention_in_motion.__main__ import main\n"
        f"try: main({words!r})\n"
        f"finally: print(*[n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.split() == []


@pytest.mark.parametrize("words", [("list",), ("show", "1"), ("run", "1", "-p", "gamma", "9")])
def test_a_terminal_that_knows_ascii_alone_is_no_obstacle(words, command):
    old = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = command(*words, env=os.environ | old)
    assert done.returncode in (0, 2) and "Traceback" not in done.stderr
    assert done.stdout or done.stderr == "error: gamma = 9.0: must be < omega0 = 2\n"


def test_a_package_without_its_checkout_says_so_in_one_line(command, tmp_path):
    shutil.copytree(SOURCE, tmp_path / "site" / "attention_in_motion")
    alone = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    for words in (("show", "1"), ("run", "1"), ("outputs",), ("retrain", "02")):
        done = command(*words, env=alone, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert "holds no book, only the installed package" in done.stderr
    assert command("list", env=alone, cwd=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
