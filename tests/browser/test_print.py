"""The printed book, where `make pdf` has made it: its chapters, figures and Greek letters."""

import shutil
import subprocess

import nbformat
import pytest

from attention_in_motion.book import pages
from attention_in_motion.book.claims_page import title
from attention_in_motion.paths import ROOT

PDF = ROOT / "_build" / "attention-in-motion.pdf"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PDF.exists(), reason="make pdf prints it"),
    pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs Debian's poppler-utils"),
]
LETTERS = "αβγΔεθλσω"


def said_by(command, *options):
    done = subprocess.run([command, *options], capture_output=True, check=True, encoding="utf-8")
    return done.stdout


@pytest.fixture(scope="module")
def text():
    return said_by("pdftotext", PDF, "-")


def notebooks():
    return [nbformat.read(path, as_version=4) for path in pages.pages()]


def test_every_chapter_is_there(text):
    words = " ".join(text.split())
    for notebook in notebooks():
        assert title(notebook.cells) in words


@pytest.mark.parametrize("letter", LETTERS)
def test_greek_letters_are_letters(text, letter):
    assert letter in text


def test_every_figure_is_there(text):
    figures = [c for n in notebooks() for c in n.cells if "figure" in c.metadata.get("mystnb", {})]
    pictures = said_by("pdfimages", "-list", PDF).splitlines()[2:]
    assert len([line for line in pictures if " image " in line]) >= len(figures)
