"""Claims: a rule fixed beforehand, a measured value with its interval, and the verdict.

A page's rules stand in its module in `chapters/`, committed before their numbers. The page records
a claim once; the box at its head, the table of claims, re-runs and the regression test all read
that one record from the executed notebook (`book.reading`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

MIME = "application/vnd.attention-in-motion.claim"
ALPHA = 0.05  # the p-value, corrected for the other tests of its page, that a tested claim needs
HEAD = "application/vnd.attention-in-motion.parameters"  # a page's name and parameters
VERDICTS = ("holds", "holds_in_part", "does_not_hold", "not_testable")

Kind = Literal["posts", "ours", "open"]
Source = Literal["exact", "rounding", "shipped", "live"]


@dataclass(frozen=True)
class Rule:
    """What is said, the number that decides it, and the range [low, high] in which it holds.

    `kind`: who says it: the posts, we (ours), or nobody (an open question). `source`: where the
    number comes from: exact (arithmetic, or a proof that the page checks on weights); rounding
    (arithmetic whose result is rounding error); shipped weights; live training in the page.
    `seeds`: whether the interval is one over seeds. `tested`: whether it holds only if a test
    against its null says so, too.
    """

    id: str
    page: str
    says: str
    measure: str
    low: float = -math.inf
    high: float = math.inf
    kind: Kind = "posts"
    source: Source = "shipped"
    seeds: bool = True
    tested: bool = False

    @property
    def text(self) -> str:
        """The rule in words, for example 'e_200 at γ = 0: at most 0.0001'."""
        test = f", and p at most {ALPHA:g}" if self.tested else ""
        if self.low == -math.inf:
            return f"{self.measure}: at most {self.high:g}{test}"
        if self.high == math.inf:
            return f"{self.measure}: at least {self.low:g}{test}"
        return f"{self.measure}: within [{self.low:g}, {self.high:g}]{test}"


@dataclass(frozen=True)
class Claim:
    """One answered claim. Without a value (None) it is not testable, and `missing` says why."""

    id: str
    page: str
    value: float | None
    interval: tuple[float, float] | None
    n_seeds: int
    verdict: str
    rule: str
    kind: str
    source: str
    missing: str = ""

    def __repr__(self) -> str:
        if self.value is None:
            return f"missing: {self.missing}"
        certain = self.interval[0] == self.interval[1]
        return shown(self.value) if certain else estimate(self.value, self.interval)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": repr(self), MIME: json.dumps(asdict(self), ensure_ascii=False)}


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def shown(value: float) -> str:
    """Three significant digits; outside 0.001 … 10 000 two, as 7.0 × 10⁻⁶."""
    if not math.isfinite(value) or value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{float(f'{value:.3g}'):g}"  # 2320, not 2.32e+03
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def estimate(value: float, interval: tuple[float, float]) -> str:
    """A value and its interval as text: '0.86 [0.81, 0.92]'."""
    low, high = interval
    return f"{shown(value)} [{shown(low)}, {shown(high)}]"


def verdict(rule: Rule, interval: tuple[float, float]) -> str:
    """`holds` when the whole interval meets the rule, `does_not_hold` when none of it does."""
    inside = rule.low <= interval[0] and interval[1] <= rule.high
    outside = interval[1] < rule.low or interval[0] > rule.high
    return "holds" if inside else "does_not_hold" if outside else "holds_in_part"


def judge(
    rule: Rule,
    value: float,
    interval: tuple[float, float] | None = None,
    *,
    n_seeds: int = 0,
    p: float | None = None,
) -> Claim:
    """Apply `rule` to a value and its interval; an exact value needs none (n_seeds = 0 then).

    A tested claim needs the p-value of its test, corrected for the others of its page; one that
    meets its range with a p above 0.05 holds in part. Raises ValueError for a value that is not a
    number, an interval that does not contain it, a claim over seeds that is given no interval or no
    number of seeds, or a p that is missing, not asked for or no probability.
    """
    value = float(value)
    low, high = (value, value) if interval is None else map(float, interval)
    if not low <= value <= high:
        raise ValueError(f"{rule.id}: interval [{low:g}, {high:g}] does not contain {value:g}")
    if rule.seeds and (interval is None or n_seeds < 1):
        raise ValueError(f"{rule.id}: is a claim over seeds; it needs an interval and n_seeds >= 1")
    if rule.tested != (p is not None) or not 0 <= (p or 0.0) <= 1:
        allowed = "a probability" if rule.tested else "left out, for the rule names no test"
        raise ValueError(f"{rule.id}: p = {p}: must be {allowed}")
    text = f"{rule.text} (p = {shown(p)})" if rule.tested else rule.text
    found = verdict(rule, (low, high))
    if found == "holds" and rule.tested and p > ALPHA:
        found = "holds_in_part"
    facts = {"rule": text, "kind": rule.kind, "source": rule.source}
    return Claim(rule.id, rule.page, value, (low, high), n_seeds, found, **facts)


def not_testable(rule: Rule, missing: str) -> Claim:
    """The claim cannot be tested here; `missing` says what it would take."""
    facts = {"rule": rule.text, "kind": rule.kind, "source": rule.source}
    return Claim(rule.id, rule.page, None, None, 0, "not_testable", **facts, missing=missing)


class Recorder:
    """Records the claims of one page as it runs: `record("P1.1", *over_seeds(e), n_seeds=10)`.

    Says so in one line and glues the claim (key: its id) and its verdict (id-verdict).
    """

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.rules = rules

    def __call__(self, claim: str, value: float, *args: Any, **kwargs: Any) -> None:
        self.keep(judge(self.rule(claim), value, *args, **kwargs))

    def not_testable(self, claim: str, missing: str) -> None:
        """Record that a claim cannot be tested here, and what is missing."""
        self.keep(not_testable(self.rule(claim), missing))

    def rule(self, claim: str) -> Rule:
        """The page's rule of that id. Raises ValueError for an unknown one."""
        if claim not in self.rules:
            raise ValueError(f"claim = {claim!r}: has no rule on this page")
        return self.rules[claim]

    @staticmethod
    def keep(claim: Claim) -> None:
        from myst_nb import glue

        word = claim.verdict.replace("_", " ")
        glue(claim.id, claim, display=False)
        glue(f"{claim.id}-verdict", word, display=False)
        seeds = f", {claim.n_seeds} seeds" if claim.n_seeds else ""
        print(f"{claim.id} {word}: {claim!r}{seeds}; rule: {claim.rule}")
