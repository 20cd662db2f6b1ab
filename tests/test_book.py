"""The book's settings: what would fail late or silently is checked here, early."""

import subprocess
import sys
from importlib.metadata import version

import pytest
import yaml

from attention_in_motion import __main__ as cli
from attention_in_motion import notebooks

ROOT = notebooks.ROOT


def test_the_two_tables_of_contents_are_one():
    assert (ROOT / "_toc.yml").read_bytes() == (ROOT / "book" / "_toc.yml").read_bytes()


def test_every_page_is_in_the_table_of_contents():
    listed = (ROOT / "_toc.yml").read_text()
    for path in notebooks.chapters():
        assert f"file: {path.relative_to(notebooks.BOOK).with_suffix('')}" in listed


def test_a_failing_page_fails_the_build():
    execute = yaml.safe_load((ROOT / "_config.yml").read_text())["execute"]
    assert execute["raise_on_error"] is True and execute["execute_notebooks"] == "cache"
    assert not execute.get("allow_errors") and execute["timeout"] > 30


def test_version_two_of_the_builder_is_refused(monkeypatch, capsys):
    assert cli.check_builder(None) == 0
    monkeypatch.setattr(cli, "version", lambda name: "2.1.7")
    with pytest.raises(ValueError, match=r"jupyter-book = 2\.1\.7: must be 1\.x"):
        cli.check_builder(None)


def test_pins_are_exact_and_are_what_runs():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith(("#", "-e"))]
    assert all(line.count("==") == 1 for line in pins)
    for name, pinned in (line.split("==") for line in pins[:19]):
        assert version(name).split("+")[0] == pinned


def test_a_change_of_source_changes_the_cache_key(tmp_path):
    code = (
        "import sys, pathlib; sys.path.insert(0, 'book/_ext'); import cache_key\n"
        "root = pathlib.Path(sys.argv[1]); cache_key.ROOT = root\n"
        "(root / 'src').mkdir(); (root / 'data').mkdir()\n"
        "(root / 'requirements.txt').write_text('a==1')\n"
        "(root / 'src' / 'm.py').write_text('x = 1'); before = cache_key.digest()\n"
        "assert cache_key.digest() == before\n"
        "(root / 'src' / 'm.py').write_text('x = 2'); after = cache_key.digest()\n"
        "(root / 'data' / 'w.safetensors').write_text('w'); weights = cache_key.digest()\n"
        "(root / 'requirements.txt').write_text('a==2'); pins = cache_key.digest()\n"
        "assert len({before, after, weights, pins}) == 4\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=ROOT)
