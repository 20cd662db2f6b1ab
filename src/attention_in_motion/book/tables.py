"""What the book generates from the rules: the box at the head of a page, the table of claims."""

from __future__ import annotations

import re
from pathlib import Path

from attention_in_motion.chapters import contents
from attention_in_motion.claims import Rule
from attention_in_motion.paths import BOOK, require_checkout

WHO = {"posts": "", "ours": "(ours) ", "open": "(open) "}
CALCULATED = ("exact", "rounding")  # sources of claims that need no trained model
COLUMNS = "| claim | what is said | measured, with 95% interval | verdict |"

INTRODUCTION = """# Every claim and its verdict

Written by `make outputs` from the chapters; the numbers are pasted in when the book is built. A
claim *holds* when its whole 95% interval meets the rule, *does not hold* when none of it does, and
*holds in part* otherwise; it is *not testable* where what it speaks of cannot be had here. Claims
marked (ours) are this book's own, those marked (open) answer a question that a post leaves open.
Claims marked (mathematics) need no trained model: a calculation decides them, and no data could.
The pages repeat it to rounding. They are no evidence about transformers that were trained.

Rules are committed before the numbers that they judge. For chapters 1, 2 and 4 of the first edition
the history cannot prove it: there, rules and numbers carry the same second. {doc}`changes` says
which verdicts this edition changed, and why.
"""


def write() -> list[Path]:
    """Write every box and book/claims.md; the paths written. Raises as `require_checkout`."""
    require_checkout()
    texts = {BOOK / "claims.md": claims_page()}
    texts |= {BOOK / box_path(page): box(page) for page in contents.PAGES}
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def box_path(page: str) -> str:
    """Where a page's box lies in book/."""
    return f"boxes/{page.replace('/', '-')}.md"


def box(page: str) -> str:
    """The box at the head of a page: its claims, what is measured, and the verdicts."""
    rows = [box_row(rule) for rule in contents.PAGES[page].RULES.values()]
    opening = [":::{admonition} What is said, and what we find", ":class: note", "", COLUMNS]
    return "\n".join([*opening, "|---|---|---|---|", *rows, ":::", ""])


def box_row(rule: Rule) -> str:
    """One claim of the page itself."""
    pasted = f"{{glue:text}}`{rule.id}`", f"{{glue:text}}`{rule.id}-verdict`"
    return (
        f"| {{claim}}`{rule.id}` | {said(rule)} | {cell(rule.measure)}: {pasted[0]} | {pasted[1]} |"
    )


def claims_page() -> str:
    """book/claims.md: every claim in the order of the book, values pasted from the pages."""
    lines = [INTRODUCTION]
    for page, module in contents.PAGES.items():
        columns = "| claim | what is said | rule | measured | verdict |"
        lines += [f"## {{doc}}`{page}`\n", columns, "|---|---|---|---|---|"]
        lines += [claims_row(rule) for rule in sorted(module.RULES.values(), key=natural)]
        lines.append("")
    return "\n".join(lines)


def natural(rule: Rule) -> list[int | str]:
    """Sort key that puts P1.9 before P1.10 and P2.3 before P2.3b."""
    number = re.sub(r"\D*$", "", rule.id)
    return [*map(int, re.findall(r"\d+", number)), rule.id]


def claims_row(rule: Rule) -> str:
    """One row, with the anchor that the claim role links to."""
    key = f"{rule.page}.ipynb::{rule.id}"  # the empty format ends the key
    pasted = f"{{glue:text}}`{key}:` | {{glue:text}}`{key}-verdict:`"
    anchor = f'<span id="{anchor_of(rule.id)}"></span>{rule.id}'
    return f"| {anchor} | {said(rule)} | {cell(rule.text)} | {pasted} |"


def said(rule: Rule) -> str:
    """What a claim says, marked by whose it is and whether a calculation decides it."""
    mathematics = "(mathematics) " if rule.source in CALCULATED else ""
    return cell(WHO[rule.kind] + mathematics + rule.says)


def anchor_of(claim: str) -> str:
    """P2.15b → claim-p2-15b."""
    return "claim-" + claim.lower().replace(".", "-")


def cell(text: str) -> str:
    """Text that may stand in a table's cell."""
    return text.replace("|", r"\|")
