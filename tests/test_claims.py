"""Verdicts follow the rules, intervals cover, and the comparison catches what moved."""

import copy
import json
import math
import subprocess
import sys

import pytest
import torch

from attention_in_motion import artifacts, claims, notebooks
from attention_in_motion.rules import RULES, Rule

AT_MOST = Rule("chapter", "says", "error", high=1.0)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((0.1, 0.9), "holds"),
        ((0.1, 1.0), "holds"),
        ((0.9, 1.1), "holds_in_part"),
        ((1.1, 2.0), "does_not_hold"),
    ],
)
def test_a_verdict_follows_from_the_whole_interval(interval, expected):
    assert claims.verdict(AT_MOST, sum(interval) / 2, interval) == expected


def test_what_was_not_measured_is_not_testable():
    assert claims.judge("P1.1", math.nan).verdict == "not_testable"


def test_unknown_ids_and_impossible_intervals_are_refused():
    with pytest.raises(ValueError, match="P9"):
        claims.judge("P9.9", 1.0)
    with pytest.raises(ValueError, match="does not contain"):
        claims.judge("P1.1", 3.0, (1.0, 2.0))


def test_rules_name_a_chapter_and_a_range():
    for rule in RULES.values():
        assert rule.low > -math.inf or rule.high < math.inf
        assert rule.low <= rule.high and rule.says and rule.measure


def test_intervals_over_seeds_cover_the_truth_19_times_in_20():
    rng = torch.Generator().manual_seed(0)
    draws = (torch.randn(2000, 8, generator=rng) * 0.5).exp() * 3.0
    covered = sum(low <= 3.0 <= high for _, (low, high) in map(claims.over_seeds, draws))
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_the_wilson_interval_matches_its_defining_equation():
    rate, (low, high) = claims.wilson(7, 50)
    for bound in (low, high):
        assert abs(rate - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 50))
    assert claims.wilson(0, 10)[1][0] == 0 and claims.wilson(10, 10)[1][1] == 1
    with pytest.raises(ValueError, match="successes = 5"):
        claims.wilson(5, 4)


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="n_seeds = 1"):
        claims.over_seeds([1.0])


COMMITTED = claims.collect(notebooks.BOOK)


def test_the_book_records_claims_with_all_their_fields():
    wanted = {"id", "value", "interval", "n_seeds", "verdict", "rule", "chapter", "tolerance"}
    assert COMMITTED and all(wanted <= set(claim) for claim in COMMITTED)
    assert len({claim["id"] for claim in COMMITTED}) == len(COMMITTED)


def test_stored_rules_are_the_rules():
    for claim in COMMITTED:
        assert claim["rule"] == RULES[claim["id"]].text, claim["id"]


def test_a_planted_change_is_caught(tmp_path):
    assert claims.compare(COMMITTED, COMMITTED) == []
    tight = {c["id"] for c in COMMITTED if c["tolerance"] is not None and c["tolerance"] < 0.01}
    assert tight, "no claim is held tightly enough to notice one per cent"
    planted = copy.deepcopy(COMMITTED)
    for claim in planted:
        claim["value"] *= 1.01
    caught = {line.split(":")[0] for line in claims.compare(COMMITTED, planted)}
    assert tight <= caught


def test_a_flipped_verdict_and_a_missing_claim_fail_the_command(tmp_path):
    planted = copy.deepcopy(COMMITTED)
    planted[0]["verdict"] = "not_testable"
    for name, new in {"flipped": planted, "missing": COMMITTED[1:], "same": COMMITTED}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(new))
        command = [sys.executable, "-m", "attention_in_motion", "claims", "--compare"]
        sources = [str(notebooks.BOOK), str(tmp_path / f"{name}.json")]
        done = subprocess.run([*command, *sources], capture_output=True, text=True)
        assert (done.returncode == 0) == (name == "same"), done.stdout
        assert name == "same" or COMMITTED[0]["id"] in done.stdout


def test_the_table_of_claims_is_up_to_date():
    assert (notebooks.BOOK / "claims.md").read_text() == claims.page(COMMITTED)


def test_reading_claims_from_nowhere_is_refused():
    with pytest.raises(ValueError, match="no such file or folder"):
        claims.collect(artifacts.ROOT / "nowhere")


def test_claims_sort_as_numbers():
    ids = ["P1.10", "P2.3b", "P1.9", "P2.3", "P1.1"]
    ordered = sorted(({"id": i} for i in ids), key=claims.natural)
    assert [claim["id"] for claim in ordered] == ["P1.1", "P1.9", "P1.10", "P2.3", "P2.3b"]


def test_a_fresh_build_is_read_from_its_glue_files(tmp_path):
    glued = {
        claim["id"]: {"data": {"text/plain": "", claims.MIME: json.dumps(claim)}}
        for claim in COMMITTED
    }
    (tmp_path / "page.glue.json").write_text(json.dumps(glued | {"x": {"data": {}}}))
    assert claims.collect(tmp_path) == COMMITTED
