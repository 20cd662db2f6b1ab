"""The table of claims, book/claims.md: what is said, what was found, the verdict, where to look.

It is written from the readings of the committed pages, so that it can be read without a build.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import nbformat

from attention_in_motion.book.reading import Reading
from attention_in_motion.chapters import contents
from attention_in_motion.chapters.posts import POSTS, PRINTED, post_of, short_links
from attention_in_motion.claims import SUPERSCRIPTS, VERDICTS, Rule, shown
from attention_in_motion.paths import BOOK

Record = Mapping[str, Any]  # one claim, as its page recorded it

WHO = {"posts": "", "ours": "(ours) ", "open": "(open) "}
CALCULATED = ("exact", "rounding")  # sources of claims that no run could break
ONE_AND_MANY = {  # verdicts as verbs
    "holds": ("holds", "hold"),
    "holds_in_part": ("holds in part", "hold in part"),
    "does_not_hold": ("does not hold", "do not hold"),
}
INDEX = re.compile(r"\b([A-Za-zω])_(\w+)")  # of a symbol, which has one letter
POWER = re.compile(r"\^(-?\d+)")
MINUS = re.compile(r"(?<![\w)])-(?=\d)")  # of a number, and no hyphen
NAMED = re.compile(r"{claim}`([^`]+)`")  # a claim, in a caption

INTRODUCTION = """# Every claim and its verdict

{summary}

{counts}

A claim *holds* when its whole 95% interval meets the rule, *does not hold* when none of it does,
and *holds in part* otherwise; it is *not testable* where what it speaks of cannot be had here.
Claims marked (ours) are this book's own, those marked (open) answer a question that a post leaves
open. Claims marked (mathematics) are decided by a calculation or a proof, and no data could. The
pages repeat the calculation to rounding, and check the proof on trained layers. They are no
evidence about transformers that were trained, so that the verdicts are counted without them.

Rules are committed before the numbers that they judge. For chapters 1, 2 and 4 of the first edition
the history cannot prove it: there, rules and numbers carry the same second. {{doc}}`changes` says
which verdicts this edition changed, and why. The numbers are those of the committed pages; a build
that finds others fails.
"""


def page(readings: Iterable[Reading]) -> str:
    """book/claims.md: every claim in the order of the book."""
    records = {i: claim for one in readings for i, claim in one.claims.items()}
    lines = [INTRODUCTION.format(summary=summary(records), counts=counts(records))]
    for name, module in contents.PAGES.items():
        cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
        lines += [f"## {{doc}}`{title(cells)} <{name}>`\n"]
        lines += ["| claim | what is said | what we find | verdict |", "|---|---|---|---|"]
        where = shown_by(cells)
        for rule in sorted(module.RULES.values(), key=natural):
            lines.append(row(rule, records.get(rule.id), where.get(rule.id)))
        lines.append("")
    return "\n".join(lines)


def natural(rule: Rule) -> list[int | str]:
    """Sort key that puts P1.9 before P1.10 and P2.3 before P2.3b."""
    number = re.sub(r"\D*$", "", rule.id)
    return [*map(int, re.findall(r"\d+", number)), rule.id]


# ---------------------------------------------------------------------------------------------
# Counts


def summary(records: Mapping[str, Record]) -> str:
    """How many of the posts' claims got which verdict, and how many more claims there are.

    Those that are mathematics are counted by themselves: no run could break them.
    """
    theirs = [record for record in records.values() if record["kind"] == "posts"]
    run, proved = by_a_run(theirs), by_mathematics(theirs)
    found = Counter(record["verdict"] for record in run)
    return (
        f"The posts make {len(theirs)} claims that this book judges. Of the {len(run)} that a run "
        f"could break, **{in_words(found)}**, and {found['not_testable']} cannot be tested here; "
        f"{len(proved)} are mathematics, which no run could break "
        f"({in_words(Counter(record['verdict'] for record in proved))}). "
        f"{len(records) - len(theirs)} more claims are this book’s own, or answer a question that "
        "a post leaves open."
    )


def by_a_run(records: Iterable[Record]) -> list[Record]:
    """The claims that a run could break, tested here or not."""
    return [record for record in records if record["source"] not in CALCULATED]


def by_mathematics(records: Iterable[Record]) -> list[Record]:
    """The claims that a calculation or a proof decides."""
    return [record for record in records if record["source"] in CALCULATED]


def in_words(found: Mapping[str, int]) -> str:
    """Numbers of verdicts in words, those above zero: '2 hold, 1 holds in part'; else 'none'."""
    numbers = ((found[verdict], words) for verdict, words in ONE_AND_MANY.items())
    return ", ".join(f"{n} {one if n == 1 else many}" for n, (one, many) in numbers if n) or "none"


def counts(records: Mapping[str, Record]) -> str:
    """A table of verdicts by post, the posts' own claims alone, with mathematics in a column."""
    heads = " | ".join(chip(verdict) for verdict in VERDICTS)
    lines = [f"| the posts' claims | {heads} | mathematics |"]
    lines.append("|---" * (len(VERDICTS) + 2) + "|")
    for post in POSTS:
        mine = [r for i, r in records.items() if post_of(i) is post and r["kind"] == "posts"]
        found = Counter(record["verdict"] for record in by_a_run(mine))
        numbers = [*(found[verdict] for verdict in VERDICTS), len(by_mathematics(mine))]
        columns = " | ".join(map(str, numbers))
        lines.append(f"| Post {post.number}, {post.topic} ({short_links(post)}) | {columns} |")
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------
# Rows


def row(rule: Rule, record: Record | None, figure: str | None) -> str:
    """One row, with the anchor that the claim role links to; dashes where nothing is recorded."""
    anchor = f'<span class="claim-id" id="{anchor_of(rule.id)}">{rule.id}</span>'
    decides = f'<span class="rule">Rule: {cell(powers(rule.text))}</span>'
    place = f"{{numref}}`{figure}`" if figure else f"{{doc}}`in the text <{rule.page}>`"
    found = "–" if record is None else finding(record)
    verdict = "–" if record is None else chip(record["verdict"])
    return f"| {anchor} | {said(rule)}{printed(rule)}{decides} | {found} {place} | {verdict} |"


def powers(text: str) -> str:
    """1e-14 → 10⁻¹⁴, 2.5e-06 → 2.5 × 10⁻⁶."""

    def written(number: re.Match) -> str:
        factor = "" if number[1] == "1" else f"{number[1]} × "
        return f"{factor}10{str(int(number[2])).translate(SUPERSCRIPTS)}"

    return re.sub(r"\b(\d(?:\.\d+)?)e([+-]?\d+)\b", written, text)


def said(rule: Rule) -> str:
    """What a claim says, marked by whose it is and whether a calculation decides it."""
    mathematics = "(mathematics) " if rule.source in CALCULATED else ""
    return cell(WHO[rule.kind] + mathematics + rule.says)


def printed(rule: Rule) -> str:
    """What the post gives for a claim, if it gives anything."""
    text = PRINTED.get(rule.id) if rule.kind == "posts" else None
    return f'<span class="printed">The post: {cell(text)}.</span>' if text else ""


def finding(record: Record) -> str:
    """The value, its interval if it has one, and the number of seeds; or what is missing."""
    if record["value"] is None:
        return f'<span class="missing">missing: {cell(record["missing"])}</span>'
    low, high = record["interval"]
    parts = [f'<span class="value">{cell(shown(record["value"]))}</span>']
    if low != high:
        parts.append(f'<span class="interval">\\[{cell(f"{shown(low)}, {shown(high)}")}\\]</span>')
    if record["n_seeds"]:
        parts.append(f'<span class="seeds">{record["n_seeds"]} seeds</span>')
    return " ".join(parts)


def chip(verdict: str) -> str:
    """A verdict as a word on its colour."""
    return f'<span class="verdict {verdict}">{verdict.replace("_", " ")}</span>'


def anchor_of(claim: str) -> str:
    """P2.15b → claim-p2-15b."""
    return "claim-" + claim.lower().replace(".", "-")


def cell(text: str) -> str:
    """Text that may stand in a table's cell, with indices and powers as such: e_200, ε^4."""
    raised = POWER.sub(r"<sup>\1</sup>", INDEX.sub(r"\1<sub>\2</sub>", text))
    return MINUS.sub("−", raised).replace("|", r"\|")


# ---------------------------------------------------------------------------------------------
# Where a claim is shown


def title(cells: list[Any]) -> str:
    """A page's title, up to its colon."""
    return cells[0].source.splitlines()[0].removeprefix("# ").split(":")[0]


def shown_by(cells: list[Any]) -> dict[str, str]:
    """{claim: name of the figure that shows it}, by the captions of a page, which name claims.

    A claim that no caption names is left out: a table or the text has its number. Raises
    ValueError if two captions name one claim.
    """
    found: dict[str, str] = {}
    for one in cells:
        figure = one.metadata.get("mystnb", {}).get("figure")
        for claim in NAMED.findall(figure["caption"]) if figure else ():
            if claim in found:
                raise ValueError(f"{claim}: two figures show it, {found[claim]}, {figure['name']}")
            found[claim] = figure["name"]
    return found
