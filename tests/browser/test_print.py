"""The printed book, where `make pdf` has made it: pages, captions, figures, Greek letters."""

import re
import shutil
import subprocess
import unicodedata

import nbformat
import pytest

from attention_in_motion.book import pages
from attention_in_motion.paths import BOOK, ROOT

PDF = ROOT / "_build" / "attention-in-motion.pdf"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PDF.exists(), reason="make pdf prints it"),
    pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs Debian's poppler-utils"),
]
MARKED_UP = re.compile(r"\$[^$]*\$|\{\w+\}`[^`]*`|[*`]")  # a formula, a role, emphasis
COMMAND = re.compile(r"\\(?:var)?([A-Za-z]+)")


def said_by(command, *options):
    done = subprocess.run([command, *options], capture_output=True, check=True, encoding="utf-8")
    return done.stdout


def squeezed(text):
    """Text without what a line break may change: white space, hyphens, ligatures, quotes."""
    plain = unicodedata.normalize("NFKC", text)
    return re.sub(r"[\s\u00ad\u2010-\u2015\u2212'\"\u2018-\u201d-]", "", plain)


@pytest.fixture(scope="module")
def printed():
    text = said_by("pdftotext", PDF, "-")  # which puts an exponent on a line of its own
    return squeezed(re.sub(r"^\W*\d+\W*$", "", text, flags=re.MULTILINE))


def sources():
    """{page: its text} of all pages in the table of contents."""
    listed = (BOOK / "_toc.yml").read_text(encoding="utf-8")
    names = ["index", *re.findall(r"file: (\S+)", listed)]
    return {name: source(name) for name in names}


def source(name):
    path = BOOK / f"{name}.md"
    if path.exists():
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def captions():
    """{name of a figure: its caption}"""
    cells = [c for path in pages.pages() for c in nbformat.read(path, as_version=4).cells]
    figures = [cell.metadata.get("mystnb", {}).get("figure") for cell in cells]
    return {figure["name"]: figure["caption"] for figure in figures if figure}


def greek(text):
    """The Greek letters that a text has, written as such or as commands of LaTeX."""
    letters = {letter for letter in text if "GREEK" in unicodedata.name(letter, "")}
    for name in COMMAND.findall(text):
        case = "CAPITAL" if name[0].isupper() else "SMALL"
        spelled = name.upper().replace("LAMBDA", "LAMDA")
        try:
            letters.add(unicodedata.lookup(f"GREEK {case} LETTER {spelled}"))
        except KeyError:  # another command
            continue
    return {unicodedata.normalize("NFKC", letter) for letter in letters}


@pytest.mark.parametrize("name", sources())
def test_every_page_is_there(printed, name):
    [title] = re.findall(r"\A# (.*)", source(name))
    for part in MARKED_UP.split(title):
        assert squeezed(part) in printed


@pytest.mark.parametrize("name", captions())
def test_every_caption_is_there(printed, name):
    for part in MARKED_UP.split(captions()[name]):
        assert squeezed(part) in printed


def test_every_greek_letter_is_there(printed):
    used = greek("".join([*sources().values(), *captions().values()]))
    assert len(used) > 10
    assert used <= set(printed), used - set(printed)


def test_every_figure_is_there():
    pictures = said_by("pdfimages", "-list", PDF).splitlines()[2:]
    assert len([line for line in pictures if " image " in line]) >= len(captions())
