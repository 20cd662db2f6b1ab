"""What no page can use is refused in one line that names it, also by plain papermill.

The faults are made from what each page declares, so a new page joins by being in `contents`.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args, get_origin

import pytest
from click.testing import CliRunner
from harness import some

from attention_in_motion.__main__ import main
from attention_in_motion.book import pages
from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK

UNKNOWN = {"gama": 0.1, "N_SEEDS": 3, "__import__": 1}
SPELT_OUT = ("five", "", "1e", "0x", "[1, 2]", "None", "{'a': 1}", "nan-", "٣")


def bad_values(field: Any) -> list[Any]:
    """Values that a field cannot take, whatever its bounds."""
    if field.annotation is bool:
        return ["yes", 2, None]
    if field.annotation is int:
        below = [least(field) - 1] if least(field) is not None else []
        return [1.5, "five", True, None, [3], *below]
    if field.annotation is float:
        return [float("nan"), float("-inf"), -1.0, "five", None, [0.1]]
    if get_origin(field.annotation) is not None and get_args(field.annotation):
        return ["none of these", 3, None, ["cpu"]]
    return [3, None, "", 0.5]


def least(field: Any) -> int | None:
    """The lower bound of a whole number."""
    bounds = [getattr(rule, "ge", None) for rule in field.metadata]
    return next((bound for bound in bounds if bound is not None), None)


CASES = [
    (page, name, value)
    for page, module in contents.PAGES.items()
    for name, field in module.Parameters.model_fields.items()
    for value in bad_values(field)
] + [(page, name, value) for page in contents.PAGES for name, value in UNKNOWN.items()]


def refused(error: BaseException, name: str, value: Any) -> bool:
    """Whether an error is one line that names the parameter, and the value or what is known."""
    text = str(error)
    allowed = "unknown parameter; known are" in text or f"{name} = {value!r}: must" in text
    return isinstance(error, ValueError) and "\n" not in text and text.startswith(name) and allowed


def test_every_bad_value_is_refused_before_a_kernel_starts(count):
    """Names, types and bounds of every parameter of every page."""
    own = {page: pages.defaults(page) for page in contents.PAGES}
    for page, name, value in CASES:
        with pytest.raises(ValueError) as error:
            contents.PAGES[page].Parameters.given(own[page] | {name: value})
        assert refused(error.value, name, value), (page, name, value, str(error.value))
    assert len(CASES) >= 60
    count("bad values refused by the checker", len(CASES))


WORDS = [
    (page, name, text)
    for page, module in contents.PAGES.items()
    for name, field in module.Parameters.model_fields.items()
    if field.annotation in (int, float)
    for text in SPELT_OUT
]


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_bad_words_on_the_command_line_are_one_line(command, monkeypatch, count):
    """`run` and `sweep` end with status 2 before a kernel starts."""
    monkeypatch.setattr(pages, "execute", lambda *given: pytest.fail("a kernel was started"))
    chosen = some(WORDS)
    for page, name, text in chosen:
        done = CliRunner().invoke(main, [command, page, "-p", name, text])
        said = done.stderr.splitlines()
        assert done.exit_code == 2 and len(said) == 1, (page, name, text, done.stderr)
        assert said[0].startswith(f"error: {name} = ") and "must be" in said[0], said
    count(f"bad words refused by `{command}`", len(chosen))


THROUGH_PAPERMILL = [
    (page, *case)
    for page in contents.PAGES
    for case in (("nonsense", "1"), ("n_seeds", "five"), ("seed", "-1"))
    if case[0] == "nonsense" or case[0] in contents.PAGES[page].Parameters.model_fields
]


@pytest.mark.parametrize(("page", "name", "value"), some(THROUGH_PAPERMILL))
def test_papermill_is_refused_by_the_page_itself(page, name, value, tmp_path, count):
    """Whoever uses plain papermill gets the same line at the end."""
    words = [sys.executable, "-m", "papermill", "--no-progress-bar", "--start-timeout", "3600"]
    paths = [str(BOOK / f"{page}.ipynb"), str(tmp_path / "out.ipynb"), "-p", name, value]
    done = subprocess.run([*words, *paths], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert name in last and ("must be" in last or "unknown parameter" in last), last
    count("bad values refused through papermill")


def test_enough_go_through_papermill():
    assert len(THROUGH_PAPERMILL) >= 15
