"""A variant of the book is written whole or not at all, and says what did not run."""

import json
import re

import pytest

from attention_in_motion.book import pages, reading, rerun, variant
from attention_in_motion.paths import BOOK

PAGE = "03_variable_omega/frequency"


@pytest.fixture
def faked(monkeypatch):
    """The claims of a page flipped without executing it, and no site built."""

    def flipped(paths):
        for name, path in paths.items():
            text = path.read_text(encoding="utf-8")
            notebook = pages.nbformat.reads(text, as_version=4)
            for cell in notebook.cells:
                for out in cell.get("outputs", []):
                    data = out.get("data", {})
                    for mime, bundle in data.items():
                        if mime.endswith("motion.claim"):
                            data[mime] = json.dumps(
                                json.loads(bundle) | {"verdict": "not_testable"}
                            )
            yield name, pages.Executed(notebook, 1.0, faults.get(name))

    faults = {}
    monkeypatch.setattr(pages, "side_by_side", flipped)
    monkeypatch.setattr(variant, "render", lambda folder: None)
    return faults


def test_the_front_page_says_what_moved(faked, tmp_path):
    front, lines = variant.build({PAGE: {"n_test": 64}}, tmp_path / "out")
    index = (tmp_path / "out" / "book" / "index.md").read_text(encoding="utf-8")
    old = reading.read(BOOK / f"{PAGE}.ipynb").claims["P2.20"]["verdict"].replace("_", " ")
    row = f"| {{doc}}`{PAGE}` | n_test 1024 → 64 | P2.20 {old} → not testable |"
    assert row in index and "Verdicts that moved: 1." in index
    assert index.splitlines()[0] == (BOOK / "index.md").read_text(encoding="utf-8").splitlines()[0]
    assert lines == [f"{PAGE} (n_test 1024 → 64): P2.20 {old} → not testable"]
    assert front == tmp_path / "out" / "_build" / "html" / "index.html"
    assert not (tmp_path / "out.partial").exists()


def test_a_page_that_fails_stands_as_published_and_is_named(faked, tmp_path):
    faked[f"{PAGE}.ipynb"] = f"{PAGE}.ipynb, cell 3: ValueError: planted"
    with pytest.raises(pages.Failed, match=r"cell 3: ValueError: planted\nthe others are in "):
        variant.build({PAGE: {"n_test": 64}}, tmp_path / "out")
    shown = tmp_path / "out" / "book" / f"{PAGE}.ipynb"
    assert shown.read_bytes() == (BOOK / f"{PAGE}.ipynb").read_bytes()
    index = (tmp_path / "out" / "book" / "index.md").read_text(encoding="utf-8")
    assert "did not run, and stands as published: " in index and "moved: 0." in index


def test_a_folder_of_something_else_is_left_alone(faked, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="must be new, empty, or an earlier book of this kind"):
        variant.build({PAGE: {"n_test": 64}}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_earlier_variant_is_replaced_whole(faked, tmp_path):
    variant.build({PAGE: {"n_test": 64}}, tmp_path / "out")
    (tmp_path / "out" / "stale").touch()
    variant.build({PAGE: {"n_test": 32}}, tmp_path / "out")
    given = json.loads((tmp_path / "out" / variant.MARK).read_text(encoding="utf-8"))
    assert given == {PAGE: {"n_test": 32}} and not (tmp_path / "out" / "stale").exists()


def test_the_table_marks_what_moved_and_counts_it():
    usual = reading.read(BOOK / f"{PAGE}.ipynb")
    old = usual.claims["P2.20"]["verdict"].replace("_", " ")
    claim = usual.claims["P2.20"] | {"verdict": "not_testable", "value": None, "interval": None}
    new = reading.Reading(usual.page, usual.parameters | {"n_test": 64}, {"P2.20": claim})
    head, row, last = rerun.table(usual, new)
    assert re.split("  +", head) == ["claim", "default", "this run", "verdict"]
    assert re.split("  +", row)[2:] == ["–", f"{old} → not testable"]
    assert last == "1 of 1 verdicts moved (n_test 1024 → 64)"
    assert rerun.table(usual, usual)[-1] == "0 of 1 verdicts moved (same parameters)"
