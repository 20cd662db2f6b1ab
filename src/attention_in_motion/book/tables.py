"""What the book generates: the box at the head of every page, and the table of claims."""

from __future__ import annotations

from pathlib import Path

from attention_in_motion.book import claims_page, reading
from attention_in_motion.book.claims_page import cell, said
from attention_in_motion.book.reading import Reading
from attention_in_motion.chapters import contents
from attention_in_motion.chapters.posts import links, post_of
from attention_in_motion.claims import Rule
from attention_in_motion.paths import BOOK, require_checkout

COLUMNS = "| claim | what is said | measured, with 95% interval | verdict |"


def write() -> list[Path]:
    """Write every box and book/claims.md from the committed pages; the paths written.

    Raises as `require_checkout`.
    """
    require_checkout()
    readings = reading.collect(BOOK)
    texts = {BOOK / "claims.md": claims_page.page(readings)}
    texts |= {BOOK / box_path("index"): front(readings)}
    texts |= {BOOK / box_path(page): box(page) for page in contents.PAGES}
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def box_path(page: str) -> str:
    """Where a page's box lies in book/."""
    return f"boxes/{page.replace('/', '-')}.md"


def front(readings: list[Reading]) -> str:
    """The box of the front page: how many claims got which verdict."""
    records = {i: claim for one in readings for i, claim in one.claims.items()}
    return f"{claims_page.summary(records)}\n\n{claims_page.counts(records)}\n"


def box(page: str) -> str:
    """The box at the head of a page: its post, its claims, what is measured, and the verdicts."""
    rules = contents.PAGES[page].RULES
    post = post_of(next(iter(rules)))
    opening = [f"Post {post.number}: {links(post)}.", ""] if post else []
    opening += [":::{admonition} What is said, and what we find", ":class: note", "", COLUMNS]
    rows = [box_row(rule) for rule in rules.values()]
    return "\n".join([*opening, "|---|---|---|---|", *rows, ":::", ""])


def box_row(rule: Rule) -> str:
    """One claim of the page itself; its numbers are pasted in when the page is built."""
    pasted = f"{{glue:text}}`{rule.id}`", f"{{glue:text}}`{rule.id}-verdict`"
    return (
        f"| {{claim}}`{rule.id}` | {said(rule)} | {cell(rule.measure)}: {pasted[0]} | {pasted[1]} |"
    )
