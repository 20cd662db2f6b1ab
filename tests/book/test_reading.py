"""Readings come back as they were recorded, and the comparison catches what moved."""

import copy
import json
from collections import Counter

import pytest

from attention_in_motion.book import reading
from attention_in_motion.book.reading import Reading
from attention_in_motion.chapters import contents
from attention_in_motion.claims import MIME, VERDICTS
from attention_in_motion.paths import BOOK

COMMITTED = reading.collect(BOOK)
CLAIMS = [claim for one in COMMITTED for claim in one.claims.values()]


def test_every_page_of_the_book_is_read_with_all_its_claims():
    found = {one.page: set(one.claims) for one in COMMITTED}
    assert found == {page: set(module.RULES) for page, module in contents.PAGES.items()}


def test_stored_rules_are_the_rules():
    for claim in CLAIMS:
        rule = contents.RULES[claim["id"]]
        text = claim["rule"].partition(" (p = ")[0]  # a tested claim has its p there
        stored = text, claim["kind"], claim["source"]
        assert stored == (rule.text, rule.kind, rule.source), claim["id"]


def test_stored_parameters_are_valid():
    for one in COMMITTED:
        contents.PAGES[one.page].Parameters.given(one.parameters)


def class_of(claim):
    """What the planted change should be, by the kind of number."""
    if claim["value"] is None:
        return "not testable"
    if claim["source"] == "live":
        return "live"
    if claim["value"] in (0.0, 1.0):
        return "nothing or everything"
    rounding = claim["source"] == "rounding" or abs(claim["value"]) <= reading.ROUNDING
    return "rounding" if rounding else "exact or shipped"


def planted(claim):
    """The claim with its number moved and its verdict kept."""
    kind, value = class_of(claim), claim["value"]
    moved = {
        "rounding": lambda: 100 * value,
        "exact or shipped": lambda: 1.1 * value,
        "nothing or everything": lambda: abs(value - 1 / max(claim["n_seeds"], 1000)),
        "live": lambda: 1.1 * value,
    }[kind]()
    return claim | {"value": moved, "interval": [1.1 * end for end in claim["interval"]]}


def test_planted_changes_are_caught():
    drawn, caught = Counter(), Counter()
    for claim in (claim for claim in CLAIMS if claim["value"] is not None):
        drawn[class_of(claim)] += 1
        caught[class_of(claim)] += reading.difference(claim, planted(claim)) is not None
    for kind, n in drawn.items():
        print(f"{kind}: {caught[kind]} of {n} caught")
    assert caught["exact or shipped"] >= 0.95 * drawn["exact or shipped"]
    for kind in ("rounding", "nothing or everything"):
        assert caught[kind] == drawn[kind]


def test_a_flipped_verdict_is_always_caught():
    for claim in CLAIMS:
        for word in set(VERDICTS) - {claim["verdict"]}:
            gone = {"value": None, "interval": None} if word == "not_testable" else {}
            line = reading.difference(claim, claim | {"verdict": word} | gone)
            assert line == f"{claim['id']}: verdict {claim['verdict']} became {word}"


def test_nothing_moved_is_nothing_to_say():
    assert reading.compare(COMMITTED, copy.deepcopy(COMMITTED)) == []


def test_a_live_claim_may_move_within_its_interval_and_not_beyond():
    old = {"id": "P", "value": 1.0, "interval": [0.8, 1.2], "verdict": "holds", "source": "live"}
    assert reading.difference(old, old | {"value": 1.3, "interval": [1.1, 1.5]}) is None
    assert reading.difference(old, old | {"value": 1.5, "interval": [1.3, 1.7]})


ONE = Reading("one", {"gamma": 0.1}, {"P1": CLAIMS[0] | {"id": "P1"}})
TWO = Reading("two", {}, {"P2": CLAIMS[0] | {"id": "P2"}})
OTHER = Reading("one", {"gamma": 0.3}, ONE.claims)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ([ONE, TWO], [ONE], []),  # one page against the whole book
        ([ONE], [ONE, TWO], []),
        (
            [ONE, TWO, Reading("three", {}, {})],
            [ONE, TWO],
            ["three: missing from the new readings"],
        ),
        ([ONE], [OTHER], ["one: parameters differ: gamma 0.1 → 0.3"]),
        ([ONE], [Reading("one", {"gamma": 0.1}, {})], ["one: P1: missing from the new reading"]),
        ([Reading("one", {"gamma": 0.1}, {})], [ONE], ["one: P1: not in the old reading"]),
    ],
)
def test_pages_are_compared_page_by_page(old, new, lines):
    assert reading.compare(old, new) == lines


def test_two_runs_of_one_page_can_be_told_apart():
    with pytest.raises(ValueError, match=r"one: read twice, gamma 0\.1 → 0\.3"):
        reading.compare([ONE, OTHER], [ONE])
    assert reading.table([ONE, OTHER], {"one": {"gamma": 0.1}})[::2] == [
        "one",
        "one (gamma 0.1 → 0.3)",
    ]


def test_readings_without_a_page_in_common_are_refused():
    with pytest.raises(ValueError, match="old pages are one, the new two"):
        reading.compare([ONE], [TWO])


def test_a_reading_survives_json(tmp_path):
    (tmp_path / "all.json").write_text(reading.as_json(COMMITTED), encoding="utf-8")
    assert reading.collect(tmp_path / "all.json") == COMMITTED


def test_a_fresh_build_is_read_from_its_glue_files(tmp_path):
    one = COMMITTED[0]
    head = {"page": one.page, "parameters": one.parameters}
    glued = {i: {"data": {"text/plain": "", MIME: json.dumps(c)}} for i, c in one.claims.items()}
    glued |= {"parameters": {"data": {reading.HEAD: json.dumps(head)}}, "x": {"data": {}}}
    (tmp_path / "page.glue.json").write_text(json.dumps(glued), encoding="utf-8")
    assert reading.collect(tmp_path) == [one]


def test_reading_from_nowhere_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no such file or folder"):
        reading.collect(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no executed page"):
        reading.collect(tmp_path)
