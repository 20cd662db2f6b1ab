"""The table of claims: counts, rows, and where a claim is shown."""

import re

import nbformat
import pytest

from attention_in_motion.book import claims_page
from attention_in_motion.chapters import contents, posts
from attention_in_motion.chapters.page import claim, rules
from attention_in_motion.claims import judge, not_testable

RULE = rules("01_fixed_omega", claim("P1.1", "is |small|", "|e|: 1e-14", at_most=2.5e-06))["P1.1"]


def record(**changes):
    """A claim of ten seeds that holds, as a page records it."""
    kept = judge(RULE, 1e-6, (5e-7, 2e-6), n_seeds=10)
    return vars(kept) | changes


def test_claims_sort_as_numbers():
    ids = ["P1.10", "P2.3b", "P1.9", "P2.3", "P1.1"]
    found = rules("page", *(claim(i, "says", "measure", at_most=1.0) for i in ids)).values()
    ordered = [rule.id for rule in sorted(found, key=claims_page.natural)]
    assert ordered == ["P1.1", "P1.9", "P1.10", "P2.3", "P2.3b"]


def test_the_table_follows_the_book_and_every_row_has_as_many_cells_as_its_head():
    page = claims_page.page([])
    places = [page.index(f" <{name}>`\n") for name in contents.PAGES]
    assert places == sorted(places)
    rows = [line for line in page.splitlines() if line.startswith("|") and "claim-id" in line]
    assert len(rows) == len(contents.RULES)
    assert {row.replace(r"\|", "").count("|") for row in rows} == {5}


def test_a_row_has_its_anchor_what_the_post_prints_and_what_is_found():
    row = claims_page.row(RULE, record(), "fig-one")
    assert 'id="claim-p1-1"' in row and r"is \|small\|" in row
    assert posts.PRINTED["P1.1"] in row
    assert r"Rule: \|e\|: 10⁻¹⁴: at most 2.5 × 10⁻⁶" in row
    assert "1.0 × 10⁻⁶" in row and r"\[5.0 × 10⁻⁷, 2.0 × 10⁻⁶\]" in row and "10 seeds" in row
    assert "{numref}`fig-one`" in row and '<span class="verdict holds">holds</span>' in row


def test_a_claim_that_is_not_testable_says_what_is_missing():
    row = claims_page.row(RULE, vars(not_testable(RULE, "a |file|")), None)
    assert r"missing: a \|file\|" in row and ">not testable<" in row
    assert "{doc}`in the text <01_fixed_omega>`" in row


def test_an_exact_value_has_no_interval():
    assert "interval" not in claims_page.finding(record(value=0.5, interval=[0.5, 0.5]))


@pytest.mark.parametrize(
    ("text", "written"),
    [("at most 1e-14", "at most 10⁻¹⁴"), ("3.5e+06 to 4", "3.5 × 10⁶ to 4"), ("fe-1", "fe-1")],
)
def test_powers_of_ten(text, written):
    assert claims_page.powers(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("‖W_U W_O‖, e_200", "‖W<sub>U</sub> W<sub>O</sub>‖, e<sub>200</sub>"),
        ("input_dim 3, n-LA, pre-LN", "input_dim 3, n-LA, pre-LN"),
        ("ε^4 at e^-9", "ε<sup>4</sup> at e<sup>−9</sup>"),
        ("at least -0.5, 2-1, [-2.1, -1.9]", "at least −0.5, 2-1, [−2.1, −1.9]"),
    ],
)
def test_symbols_in_a_cell_are_set_as_symbols(text, written):
    assert claims_page.cell(text) == written


def test_counts_are_those_of_the_readings():
    verdicts = {"P1.1": "holds", "P1.2": "holds_in_part", "P3.1": "holds", "P3.2": "does_not_hold"}
    records = {i: record(id=i, verdict=verdict) for i, verdict in verdicts.items()}
    records["P2.1"] = record(id="P2.1", kind="ours")
    assert "4 claims" in claims_page.summary(records)
    assert "**2 hold, 1 holds in part, 1 does not hold**" in claims_page.summary(records)
    assert claims_page.summary(records).count("1 more") == 1
    assert numbers(claims_page.counts(records)) == ["11000", "00000", "10100", "00000"]


def test_what_no_run_could_break_is_counted_by_itself():
    sources = {"P1.1": "shipped", "P1.5": "exact", "P1.6": "rounding", "P3.17": "exact"}
    records = {i: record(id=i, verdict="holds", source=one) for i, one in sources.items()}
    records["P3.17"]["verdict"] = "does_not_hold"
    records["P3.23"] = record(id="P3.23", kind="ours", source="exact")
    text = claims_page.summary(records)
    assert "Of the 1 that a run could break, **1 holds**" in text
    assert "3 are mathematics" in text and "(2 hold, 1 does not hold)" in text
    assert numbers(claims_page.counts(records)) == ["10002", "00000", "00001", "00000"]


def numbers(table):
    """The numbers of every row of a table of counts, written one behind the other."""
    rows = table.splitlines()[2:]
    return ["".join(re.findall(r"\| (\d+)(?= \|)", row)) for row in rows]


def cell(name, caption):
    """A code cell that draws a figure."""
    made = nbformat.v4.new_code_cell("")
    made.metadata.mystnb = {"figure": {"name": name, "caption": caption}}
    return made


def test_a_title_ends_at_its_colon():
    [cell] = [nbformat.v4.new_markdown_cell("# One thing: what of it?\n\nText: more")]
    assert claims_page.title([cell]) == "One thing"


def test_a_claim_is_shown_by_the_figure_whose_caption_names_it():
    cells = [
        nbformat.v4.new_markdown_cell("# Page\n\n{claim}`P1.1`"),
        cell("fig-a", "One finding. The figure shows {claim}`P1.2` and {claim}`P1.7b`."),
        *(nbformat.v4.new_code_cell('record("P1.3", 0)'), cell("fig-b", "Of $P1.4$.")),
    ]
    assert claims_page.shown_by(cells) == {"P1.2": "fig-a", "P1.7b": "fig-a"}


def test_no_two_figures_show_one_claim():
    cells = [cell(name, "It shows {claim}`P1.2`.") for name in ("fig-a", "fig-b")]
    with pytest.raises(ValueError, match=r"^P1.2: two figures show it, fig-a, fig-b$"):
        claims_page.shown_by(cells)
