"""The cell for Colab: there when the repository has an address, and idle where the book is."""

import subprocess
import sys
from importlib import util

import nbformat
import pytest

from attention_in_motion.book import pages
from attention_in_motion.paths import BOOK

sys.path.append(str(BOOK / "_ext"))
import repository

ADDRESS = "https://github.com/owner/book", "v2"


@pytest.mark.parametrize("path", pages.pages(), ids=pages.label)
def test_committed_pages_have_the_cell_if_and_only_if_there_is_an_address(path):
    page = nbformat.read(path, as_version=4)
    assert repository.with_cell(page, *repository.setting()) == page
    with_address = repository.with_cell(page, *ADDRESS)
    assert len(with_address.cells) == len(repository.with_cell(page, "", "").cells) + 1
    code = [cell for cell in with_address.cells if cell.cell_type == "code"]
    assert "parameters" in code[0].metadata.tags and code[1].id == repository.ID
    nbformat.validate(with_address)
    assert repository.with_cell(with_address, *ADDRESS) == with_address


@pytest.fixture
def asked(monkeypatch):
    """What the cell asks the system for, and where."""
    said = []
    run = lambda command, check, cwd=".": said.append((cwd, command))  # noqa: E731
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return said


def execute():
    url, branch = ADDRESS
    exec(repository.CODE.format(url=url, branch=branch), {})


def test_the_cell_does_nothing_where_the_book_is_installed(asked):
    before = list(sys.path)
    execute()
    assert asked == [] and sys.path == before


def test_elsewhere_it_fetches_the_book_and_the_versions_it_is_pinned_to(asked, monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    execute()
    (where, clone), (inside, install) = asked
    assert clone[:2] == ["git", "clone"] and (where, clone[-1]) == (".", inside)
    assert clone[-4:-1] == ["--branch", "v2", "https://github.com/owner/book"]
    assert install == [sys.executable, "-m", "pip", "install", "--quiet", "-r", "requirements.txt"]
    assert sys.path[0] == f"{inside}/src"


def test_pages_are_written_when_the_address_is_set_and_restored_when_it_is_not(
    tmp_path, monkeypatch
):
    path = tmp_path / "page.ipynb"
    path.write_bytes(pages.pages()[0].read_bytes())
    monkeypatch.setattr(pages, "pages", lambda: [path])
    monkeypatch.setattr(repository, "setting", lambda: ("", "main"))
    repository.write()
    before = path.read_bytes()
    monkeypatch.setattr(repository, "setting", lambda: ADDRESS)
    assert repository.write() == [path] and ADDRESS[0].encode() in path.read_bytes()
    assert repository.write() == []
    monkeypatch.setattr(repository, "setting", lambda: ("", "main"))
    assert repository.write() == [path] and path.read_bytes() == before
