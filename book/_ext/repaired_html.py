"""What the theme and the bibliography get wrong, put right in the written pages.

A screen reader announces a "list" without items, a switch without a name, a picture as "-". And the
theme loads the index of all words, 0.4 MB, on every page, for a search as you type that is off: the
field leads to the page of the search, which loads the index itself.
"""

import re
from pathlib import Path

REPAIRS = {
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    ' role="doc-biblioentry"': "",
    'alt="-"': 'alt="Show or hide the modules below"',
    '<summary><span class="toctree-toggle"': (
        '<summary aria-label="Show or hide the pages below"><span class="toctree-toggle"'
    ),
}
INDEX = "searchtools|language_data|searchindex"
SEARCH = re.compile(rf'\s*<script src="[^"]*(?:{INDEX})\.js[^>]*></script>')


def repaired(text: str) -> str:
    """A page with every repair made; one that is repaired already stays as it is."""
    for wrong, right in REPAIRS.items():
        text = text.replace(wrong, right)
    return text


def without_search(text: str) -> str:
    """A page that does not load the index of words."""
    return SEARCH.sub("", text)


def repair(app, exception) -> None:
    if exception is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            before = path.read_text(encoding="utf-8")
            after = repaired(before)
            if path.name != "search.html":
                after = without_search(after)
            if after != before:
                path.write_text(after, encoding="utf-8")


def setup(app) -> dict:
    app.connect("build-finished", repair)
    return {"parallel_read_safe": True}
