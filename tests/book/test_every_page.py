"""Every page of the book: hygiene of its cells, and the lists it must stand in."""

import ast
import tomllib
from importlib.metadata import version

import nbformat
import papermill
import pytest

from attention_in_motion.book import claims_page, pages
from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK, ROOT

PAGES = {path.relative_to(BOOK).with_suffix("").as_posix(): path for path in pages.pages()}
every_page = pytest.mark.parametrize("page", PAGES)


def cells(page):
    notebook = nbformat.read(PAGES[page], as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@every_page
def test_every_code_cell_was_executed_in_order_without_error(page):
    counts = [cell.execution_count for cell in cells(page)]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [out for cell in cells(page) for out in cell.outputs]
    assert not any(out.output_type == "error" or out.get("name") == "stderr" for out in outputs)


@every_page
def test_a_takeaway_stands_before_the_table_of_claims_and_all_code(page):
    first, *rest = nbformat.read(PAGES[page], as_version=4).cells
    assert not any("{admonition} Takeaway" in cell.source for cell in rest)
    opening = first.source.split("```{include}")[0]
    assert "{admonition} Takeaway" in opening or "Takeaway" not in first.source


@every_page
def test_the_parameters_cell_comes_first_and_papermill_reads_it(page):
    assert "parameters" in cells(page)[0].metadata.tags
    found = papermill.inspect_notebook(str(PAGES[page]))
    assert set(found) == set(contents.PAGES[page].Parameters.model_fields)
    for entry in found.values():
        assert entry["inferred_type_name"] != "None" and entry["help"]


@every_page
def test_the_second_cell_validates(page):
    assert "chapter.Parameters.of(globals())" in cells(page)[1].source


@every_page
def test_the_defaults_are_allowed(page):
    contents.PAGES[page].Parameters.given(pages.defaults(page))


@every_page
def test_figures_have_captions_and_alternative_texts(page):
    for cell in cells(page):
        if any("image/png" in out.get("data", {}) for out in cell.outputs):
            shown = cell.metadata.get("mystnb", {})
            assert shown["figure"]["name"].startswith("fig-")
            caption, alt = shown["figure"]["caption"], shown["image"]["alt"]
            assert caption.rstrip().endswith(".") and alt not in caption
            assert 10 <= len(alt.strip()) <= 250


@every_page
def test_captions_name_claims_of_their_own_page(page):
    assert set(claims_page.shown_by(cells(page))) <= set(contents.PAGES[page].RULES)


def test_no_two_figures_have_one_name():
    shown = [cell.metadata.get("mystnb", {}) for page in PAGES for cell in cells(page)]
    names = [one["figure"]["name"] for one in shown if "figure" in one]
    assert len(set(names)) == len(names) > 0


@every_page
def test_cells_define_little(page):
    for cell in cells(page):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 5, node.name
            assert not isinstance(node, ast.ClassDef)


@every_page
def test_cells_with_claims_are_not_compared_byte_for_byte(page):
    for cell in cells(page):
        if any("claim" in mime for out in cell.outputs for mime in out.get("data", {})):
            assert "nbval-ignore-output" in cell.metadata.tags


@every_page
def test_a_notebook_stays_small(page):
    assert PAGES[page].stat().st_size <= 1.5e6


def test_the_glossary_is_in_order():
    glossary = (BOOK / "notation.md").read_text(encoding="utf-8").split("```{glossary}\n")[1]
    terms = [line for line in glossary.splitlines() if line and line[0] not in " `"]
    assert terms == sorted(terms, key=str.lower) and len(terms) > 50


def test_every_page_is_declared_and_every_declared_page_is_there():
    assert set(PAGES) == set(contents.PAGES)


def test_the_two_tables_of_contents_are_one():
    assert (ROOT / "_toc.yml").read_bytes() == (BOOK / "_toc.yml").read_bytes()


@every_page
def test_every_page_is_in_the_table_of_contents(page):
    lines = (BOOK / "_toc.yml").read_text(encoding="utf-8").splitlines()
    assert f"- file: {page}" in [line.strip() for line in lines]


def pins():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-e"))]


@pytest.mark.parametrize("pin", pins())
def test_pins_are_exact_and_are_what_runs(pin):
    name, pinned = pin.split("==")
    assert version(name).split("+")[0] == pinned


def test_what_the_package_declares_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {pin.split("==")[0] for pin in pins()}
    assert {need.split(">")[0].split("=")[0] for need in project["dependencies"]} <= names
