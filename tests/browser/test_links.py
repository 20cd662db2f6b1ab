"""Every link inside the built book leads somewhere, and every post is linked from its chapters."""

from urllib.parse import unquote, urldefrag, urlparse

import pytest
from bs4 import BeautifulSoup

from attention_in_motion.chapters import contents, posts
from attention_in_motion.paths import ROOT

pytestmark = pytest.mark.browser
HTML = ROOT / "_build" / "html"


@pytest.fixture(scope="module")
def pages(address):
    """{path: its parsed HTML} of the whole site."""
    found = {}
    for path in HTML.rglob("*.html"):
        if "_static" not in path.parts:
            found[path.resolve()] = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    return found


def anchors(soup):
    return {tag["id"] for tag in soup.find_all(id=True)}


def leads(path, target, anchor, known):
    """Whether a link on a page leads to a file that is there, and to a place in it."""
    goal = (path.parent / unquote(target.split("?")[0])).resolve() if target else path
    return goal.exists() and (not anchor or goal not in known or anchor in known[goal])


def test_no_link_inside_the_book_is_broken(pages):
    known, broken = {path: anchors(soup) for path, soup in pages.items()}, []
    for path, soup in pages.items():
        for link in soup.find_all(href=True):
            target, anchor = urldefrag(link["href"])
            if not urlparse(target).scheme and not leads(path, target, anchor, known):
                broken.append(f"{path.name}: {link['href']}")
    assert broken == []


@pytest.mark.parametrize("page", contents.PAGES)
def test_a_chapter_links_its_post(pages, page):
    post = posts.post_of(next(iter(contents.PAGES[page].RULES)))
    soup = pages[(HTML / f"{page}.html").resolve()]
    addresses = {link["href"] for link in soup.article.find_all("a", href=True)}
    assert {address for address in (post.url, post.code) if address} <= addresses


def test_the_front_page_links_every_post_and_its_code(pages):
    soup = pages[(HTML / "index.html").resolve()]
    addresses = {link["href"] for link in soup.article.find_all("a", href=True)}
    wanted = {address for post in posts.POSTS for address in (post.url, post.code) if address}
    assert wanted <= addresses


def test_every_claim_has_one_row_with_a_verdict_and_a_place(pages):
    soup = pages[(HTML / "claims.html").resolve()]
    for claim in contents.RULES:
        [anchor] = soup.find_all(id="claim-" + claim.lower().replace(".", "-"))
        row = anchor.find_parent("tr")
        assert row.find(class_="verdict") and row.find("a", class_="reference internal"), claim


def test_the_figure_that_shows_a_claim_says_so(pages):
    table = (HTML / "claims.html").resolve()
    rows = [tag.find_parent("tr") for tag in pages[table].find_all(class_="claim-id")]
    shown = 0
    for row in rows:
        for link in row.find_all("a", href=lambda address: "#fig-" in address):
            target, anchor = urldefrag(link["href"])
            figure = pages[(table.parent / target).resolve()].find(id=anchor)
            named = {one.get_text() for one in figure.figcaption.find_all("code", class_="claim")}
            assert row.find(class_="claim-id").get_text() in named
            shown += 1
    assert shown > 50


def test_downloads_have_numbers_where_the_text_pastes_them():
    copies = [path for path in (HTML / "_sources").rglob("*") if path.is_file()]
    assert len(copies) >= len(contents.PAGES)
    raw = [path.name for path in copies if "{glue:" in path.read_text(encoding="utf-8")]
    assert raw == []
