"""Every page, on a desktop and a phone, light and dark, without a network."""

import pytest
import yaml

from attention_in_motion.figures.front_page import SMALLEST
from attention_in_motion.paths import BOOK

pytestmark = pytest.mark.browser

TOC = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
LARGEST = {"maths": 3.5e6, "plain": 1.5e6, "api": 2.0e6}  # bytes of a page and all that it loads
WITHOUT_SOURCE = ("genindex", "py-modindex", "search")


def listed(entry):
    """The pages below an entry of the table of contents, in the order of the book."""
    own = [entry["file"]] if "file" in entry else []
    below = [entry.get(key, []) for key in ("parts", "chapters", "sections")]
    return own + [page for part in below for child in part for page in listed(child)]


BOOK_PAGES = [TOC["root"], *listed(TOC)]
every_page = pytest.mark.parametrize("page", [*BOOK_PAGES, *WITHOUT_SOURCE])
every_view = pytest.mark.parametrize(
    ("screen", "scheme"), [(s, c) for s in ("desktop", "phone") for c in ("light", "dark")]
)


@every_view
@every_page
def test_nothing_fails_and_nothing_is_asked_of_the_network(met, page, screen, scheme):
    visit = met(page, screen, scheme)
    assert (visit.errors, visit.failed, visit.outside) == ([], [], [])


@every_view
@every_page
def test_no_serious_barrier(met, page, screen, scheme):
    found = met(page, screen, scheme).axe
    severe = [one for one in found if one["impact"] in ("serious", "critical")]
    said = [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in severe]
    assert said == []


@every_view
@every_page
def test_the_page_fits_its_screen(met, page, screen, scheme):
    seen = met(page, screen, scheme).seen
    assert seen["overflow"] <= 0
    assert seen["unreachable"] == []


@every_page
def test_every_formula_is_typeset(met, page):
    seen = met(page, "desktop", "light").seen
    assert (seen["untypeset"], seen["faulty"]) == ([], [])


@every_page
def test_every_image_is_drawn_and_described(met, page):
    for image in met(page, "desktop", "light").seen["images"]:
        assert image["drawn"] and 10 <= len(image["alt"]) <= 250, image


@every_page
def test_every_icon_has_a_shape(met, page):
    seen = met(page, "desktop", "light").seen
    assert (seen["icons"], seen["unfound"]) == ([], [])


@every_page
def test_a_page_is_no_heavier_than_a_phone_can_bear(met, page):
    visit = met(page, "desktop", "light")
    maths = "maths" if visit.seen["typeset"] else "plain"
    kind = "api" if page.startswith(("api", "genindex")) else maths
    heaviest = sorted(visit.weight.items(), key=lambda pair: -pair[1])[:5]
    assert sum(visit.weight.values()) <= LARGEST[kind], heaviest


@pytest.mark.parametrize("page", BOOK_PAGES)
def test_a_page_says_what_it_is_about(met, page):
    seen = met(page, "desktop", "light").seen
    assert 40 <= len(seen["description"]) <= 300
    assert {"og:title", "og:description", "og:type"} <= set(seen["social"])
    assert seen["favicon"] == 1


def test_next_and_previous_reach_every_page(met, address):
    def name(url):
        return url.removeprefix(f"{address}/").removesuffix(".html") if url else None

    for here, after in zip(BOOK_PAGES, [*BOOK_PAGES[1:], None], strict=True):
        assert name(met(here, "desktop", "light").seen["next"]) == after
        if after:
            assert name(met(after, "desktop", "light").seen["previous"]) == here


def test_the_first_screen_says_how_many_claims_hold_and_shows_why(tab, address):
    page, _ = tab()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{address}/index.html")
    counts = page.get_by_text("claims that this book judges").bounding_box()
    picture = page.locator("img.only-light").bounding_box()
    assert counts["y"] + counts["height"] < picture["y"]
    assert picture["y"] + picture["height"] / 2 < 800  # the first two of four panels
    page.context.close()


WORDS = ("saliency", "logistic", "counterfactual", "softmax", "interpretability", "skeleton")


@pytest.mark.parametrize("word", WORDS)
def test_search_finds_what_a_reader_would_look_for(tab, address, word):
    page, visit = tab()
    page.goto(f"{address}/search.html?q={word}")
    page.wait_for_selector("#search-results ul.search li", timeout=60_000)
    assert page.locator("#search-results ul.search li").count() >= 1
    assert visit.outside == []
    page.context.close()


def test_claims_are_filtered_by_post_and_verdict_without_a_server(tab, address):
    page, _ = tab("phone")
    page.goto(f"{address}/claims.html")
    rows = page.locator("tr:has(.claim-id)")
    everything = rows.count()
    page.get_by_label("Post").select_option("3")
    page.get_by_label("Verdict").select_option("does not hold")
    shown = [row.inner_text() for row in rows.all() if row.is_visible()]
    assert 0 < len(shown) < everything
    assert all(text.startswith("P3.") and "does not hold" in text for text in shown)
    assert page.get_by_role("status").inner_text() == f"{len(shown)} of {everything} claims"
    page.evaluate("location.hash = 'claim-p1-1'")
    page.locator("#claim-p1-1").wait_for(state="visible")
    page.context.close()


def test_claims_can_be_read_without_scripts(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/claims.html")
    assert page.locator("tr:has(.claim-id)").count() > 100
    assert page.locator("tr:has(.claim-id)").last.is_visible()
    context.close()


def test_the_picture_has_letters_of_reading_size(tab, address):
    page, _ = tab()
    page.goto(f"{address}/index.html")
    shown = page.locator("img.only-light").bounding_box()["width"]
    drawn = page.locator("img.only-light").evaluate("image => image.naturalWidth")
    points_to_px = 96 / 72  # an SVG of matplotlib is measured in points
    assert SMALLEST * points_to_px * shown / drawn >= 13.5
    page.context.close()
