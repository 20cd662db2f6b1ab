"""Boxes and the table of claims are what the rules say."""

from attention_in_motion.book import tables
from attention_in_motion.chapters import contents
from attention_in_motion.chapters.page import claim, rules
from attention_in_motion.paths import BOOK


def test_the_generated_pages_are_up_to_date():
    assert (BOOK / "claims.md").read_text(encoding="utf-8") == tables.claims_page()
    for page in contents.PAGES:
        text = (BOOK / tables.box_path(page)).read_text(encoding="utf-8")
        assert text == tables.box(page), page


def test_no_box_is_left_over():
    wanted = {tables.box_path(page) for page in contents.PAGES}
    assert {f"boxes/{path.name}" for path in (BOOK / "boxes").iterdir()} == wanted


def test_claims_sort_as_numbers():
    ids = ["P1.10", "P2.3b", "P1.9", "P2.3", "P1.1"]
    found = rules("page", *(claim(i, "says", "measure", at_most=1.0) for i in ids)).values()
    ordered = [rule.id for rule in sorted(found, key=tables.natural)]
    assert ordered == ["P1.1", "P1.9", "P1.10", "P2.3", "P2.3b"]


def test_the_table_follows_the_book():
    page = tables.claims_page()
    places = [page.index(f"{{doc}}`{name}`") for name in contents.PAGES]
    assert places == sorted(places)


def test_every_row_has_as_many_cells_as_its_head():
    for line in tables.claims_page().splitlines():
        if line.startswith("|"):
            assert line.replace(r"\|", "").count("|") == 6, line
