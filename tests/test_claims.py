"""Verdicts follow the rules, and what cannot be judged is refused."""

import json
import math

import pytest

from attention_in_motion import claims
from attention_in_motion.claims import MIME, Rule

AT_MOST = Rule("P0.1", "page", "says", "error", high=1.0)
EXACT = Rule("P0.2", "page", "says", "error", low=0.0, high=1.0, source="exact", seeds=False)


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
    assert claims.verdict(AT_MOST, interval) == expected
    assert claims.judge(AT_MOST, sum(interval) / 2, interval, n_seeds=3).verdict == expected


def test_what_cannot_be_tested_says_what_is_missing():
    claim = claims.not_testable(AT_MOST, "the released weights")
    assert claim.verdict == "not_testable" and claim.value is None and claim.interval is None
    assert repr(claim) == "missing: the released weights"
    assert "NaN" not in claim._repr_mimebundle_()[MIME]


@pytest.mark.parametrize(
    ("rule", "value", "interval", "n_seeds", "message"),
    [
        (AT_MOST, 3.0, (1.0, 2.0), 3, "does not contain 3"),
        (AT_MOST, math.nan, (1.0, 2.0), 3, "does not contain nan"),
        (AT_MOST, 0.5, None, 3, "needs an interval"),
        (AT_MOST, 0.5, (0.4, 0.6), 0, "n_seeds >= 1"),
        (EXACT, math.nan, None, 0, "does not contain nan"),
    ],
)
def test_impossible_records_are_refused(rule, value, interval, n_seeds, message):
    with pytest.raises(ValueError, match=message):
        claims.judge(rule, value, interval, n_seeds=n_seeds)


TESTED = Rule("P0.3", "page", "says", "gain", low=0.5, tested=True)


@pytest.mark.parametrize(
    ("interval", "p", "expected"),
    [
        ((0.6, 0.8), 0.05, "holds"),
        ((0.6, 0.8), 0.051, "holds_in_part"),
        ((0.1, 0.3), 0.001, "does_not_hold"),
        ((0.4, 0.8), 0.001, "holds_in_part"),
    ],
)
def test_a_tested_claim_holds_only_with_its_p_value(interval, p, expected):
    claim = claims.judge(TESTED, sum(interval) / 2, interval, n_seeds=3, p=p)
    assert claim.verdict == expected
    assert claim.rule.startswith("gain: at least 0.5, and p at most 0.05 (p = ")


@pytest.mark.parametrize(
    ("rule", "p", "allowed"),
    [
        (TESTED, None, "a probability"),
        (TESTED, 1.1, "a probability"),
        (TESTED, math.nan, "a probability"),
        (AT_MOST, 0.5, "left out, for the rule names no test"),
    ],
)
def test_a_p_value_is_given_where_the_rule_asks_for_one(rule, p, allowed):
    with pytest.raises(ValueError, match=f"{rule.id}: p = {p}: must be {allowed}"):
        claims.judge(rule, 0.7, (0.6, 0.8), n_seeds=3, p=p)


def test_an_unknown_id_is_refused():
    with pytest.raises(ValueError, match=r"claim = 'P9\.9': has no rule on this page"):
        claims.Recorder({"P0.1": AT_MOST})("P9.9", 1.0)


def test_a_claim_carries_everything_its_reader_needs():
    stored = json.loads(claims.judge(EXACT, 0.5)._repr_mimebundle_()[MIME])
    assert stored == {
        "id": "P0.2",
        "page": "page",
        "value": 0.5,
        "interval": [0.5, 0.5],
        "n_seeds": 0,
        "verdict": "holds",
        "rule": "error: within [0, 1]",
        "kind": "posts",
        "source": "exact",
        "missing": "",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7.02e-6, "7.0 × 10⁻⁶"),
        (0.0, "0"),
        (0.8641, "0.864"),
        (63.054, "63.1"),
        (2323.4, "2320"),
        (9999.0, "10000"),
        (2.5e12, "2.5 × 10¹²"),
    ],
)
def test_numbers_are_shown_as_in_print(value, text):
    assert claims.shown(value) == text


def test_an_estimate_is_shown_with_its_interval():
    assert claims.estimate(0.625, (0.306, 7e-6)) == "0.625 [0.306, 7.0 × 10⁻⁶]"
