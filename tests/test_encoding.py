"""Whatever is opened as text says that it is UTF-8: other platforms have other defaults."""

import ast

import pytest

from attention_in_motion.paths import ROOT

FOLDERS = ("src", "tests", "book/_ext", "benchmarks")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def says_nothing(call):
    """Whether a call opens text in whatever encoding the platform has."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    modes = call.args[1:2] if isinstance(call.func, ast.Name) else call.args[:1]
    binary = any("b" in str(getattr(mode, "value", "")) for mode in modes)
    binary |= ast.unparse(call.func) in ("archive.open", "Image.open")  # bytes, both
    opens = name in ("read_text", "write_text") or (name == "open" and not binary)
    return opens and "encoding" not in {word.arg for word in call.keywords}


def silent(source):
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if says_nothing(call)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_opened_as_utf8(path):
    assert silent(path.read_text(encoding="utf-8")) == []


def test_silent_ones_are_found():
    silent_ones = ["p.read_text()", "open('a')", "p.write_text('x')", "open('b', 'w')"]
    assert silent("; ".join(silent_ones)) == silent_ones
    assert silent("open('ab', 'rb'); p.open('wb'); p.read_text(encoding='utf-8')") == []
