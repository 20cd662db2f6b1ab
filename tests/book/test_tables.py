"""Boxes are what the rules say."""

from attention_in_motion.book import claims_page, reading, tables
from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK


def test_the_generated_pages_are_up_to_date():
    readings = reading.collect(BOOK)
    assert (BOOK / "claims.md").read_text(encoding="utf-8") == claims_page.page(readings)
    texts = {page: tables.box(page) for page in contents.PAGES} | {"index": tables.front(readings)}
    for page, text in texts.items():
        assert (BOOK / tables.box_path(page)).read_text(encoding="utf-8") == text, page


def test_no_box_is_left_over():
    wanted = {tables.box_path(page) for page in (*contents.PAGES, "index")}
    assert {f"boxes/{path.name}" for path in (BOOK / "boxes").iterdir()} == wanted


def test_a_box_opens_with_its_post():
    first = tables.box("02_linear_collapse").splitlines()[0]
    assert first.startswith("Post 2: [Comparing transformers") and "/2026/02/17/nla.html)" in first
