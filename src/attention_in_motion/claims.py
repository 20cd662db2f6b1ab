"""Claims: a measured value, its interval over seeds, and a verdict by a rule fixed beforehand.

The rules stand in `rules.py`. A chapter records a claim once; the page, the table of claims, the
re-runs and the regression test all read that one record from the executed notebook.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
from scipy import stats

from attention_in_motion.rules import RULES, Rule

MIME = "application/vnd.attention-in-motion.claim"
RECORD = f"application/papermill.record/{MIME}"  # as glue stores it


@dataclass(frozen=True)
class Claim:
    """One answered claim. `tolerance` is relative; None means the claim's own interval."""

    id: str
    value: float
    interval: tuple[float, float]
    n_seeds: int
    verdict: str
    rule: str
    tolerance: float | None
    chapter: str

    def __repr__(self) -> str:
        low, high = self.interval
        if low == high:
            return shown(self.value)
        return f"{shown(self.value)} [{shown(low)}, {shown(high)}]"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": repr(self), MIME: json.dumps(asdict(self), ensure_ascii=False)}


def shown(value: float) -> str:
    """Three significant digits, in scientific notation outside 0.001 … 10 000."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e4
    return f"{value:.3g}" if plain else f"{value:.1e}"


def verdict(rule: Rule, value: float, interval: tuple[float, float]) -> str:
    """`holds` when the whole interval meets the rule, `does_not_hold` when none of it does."""
    if math.isnan(value):
        return "not_testable"
    inside = rule.low <= interval[0] and interval[1] <= rule.high
    outside = interval[1] < rule.low or interval[0] > rule.high
    return "holds" if inside else "does_not_hold" if outside else "holds_in_part"


def judge(
    claim_id: str,
    value: float,
    interval: tuple[float, float] | None = None,
    *,
    n_seeds: int = 0,
    tolerance: float | None = None,
) -> Claim:
    """Apply the rule of `claim_id`. An exact value needs no interval (n_seeds = 0 then).

    Raises ValueError for an unknown id, or an interval that does not contain the value.
    """
    if claim_id not in RULES:
        raise ValueError(f"claim = {claim_id!r}: has no rule in rules.py")
    rule, value = RULES[claim_id], float(value)
    low, high = (value, value) if interval is None else map(float, interval)
    if not math.isnan(value) and not low <= value <= high:
        raise ValueError(f"{claim_id}: interval [{low:g}, {high:g}] does not contain {value:g}")
    decided = verdict(rule, value, (low, high))
    return Claim(claim_id, value, (low, high), n_seeds, decided, rule.text, tolerance, rule.chapter)


def record(claim_id: str, value: float, *args: Any, **kwargs: Any) -> None:
    """`judge`, say so in one line, and glue the claim (key: id) and its verdict (id-verdict)."""
    from myst_nb import glue

    claim = judge(claim_id, value, *args, **kwargs)
    word = claim.verdict.replace("_", " ")
    glue(claim.id, claim, display=False)
    glue(f"{claim.id}-verdict", word, display=False)
    seeds = f", {claim.n_seeds} seeds" if claim.n_seeds else ""
    print(f"{claim.id} {word}: {claim!r}{seeds}; rule: {claim.rule}")


# 95% intervals. Seeds are the replicates of a trained claim; trajectories are not.


def over_seeds(errors: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Geometric mean of positive errors, one per seed, with Student's t interval on the log."""
    logs = [math.log(float(error)) for error in errors]
    mean, interval = mean_over_seeds(logs)
    return math.exp(mean), (math.exp(interval[0]), math.exp(interval[1]))


def mean_over_seeds(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Mean of signed values, one per seed, with its Student t interval. Needs two seeds."""
    values = [float(value) for value in values]
    if len(values) < 2:
        raise ValueError(f"n_seeds = {len(values)}: an interval over seeds needs at least 2")
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    half = stats.t.ppf(0.975, len(values) - 1) * spread / math.sqrt(len(values))
    return mean, (mean - half, mean + half)


def wilson(successes: int, trials: int) -> tuple[float, tuple[float, float]]:
    """A rate with its Wilson score interval."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"successes = {successes}: must lie in 0 ... trials = {trials}")
    z = 1.959963984540054
    rate = successes / trials
    centre = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    return rate, (min(centre - half, rate), max(centre + half, rate))


# Reading claims back, and comparing two readings.


def collect(source: Path) -> list[dict[str, Any]]:
    """Claims of a JSON file (written by `claims --json`) or of every executed page below a folder.

    A page is a notebook, or the .glue.json that the book's build leaves for it in
    _build/jupyter_execute. Raises ValueError where there is nothing to read.
    """
    if not source.exists():
        raise ValueError(f"{source}: no such file or folder")
    if source.is_file() and source.suffix == ".json":
        return json.loads(source.read_text())
    pages = [source] if source.is_file() else sorted(source.rglob("*.ipynb"))
    pages += [] if source.is_file() else sorted(source.rglob("*.glue.json"))
    kept = [page for page in pages if ".ipynb_checkpoints" not in page.parts]
    return [claim for page in kept for claim in claims_of(page)]


def claims_of(page: Path) -> list[dict[str, Any]]:
    """The claims recorded in one executed notebook or .glue.json, in page order."""
    if page.suffix == ".json":
        outputs, key = json.loads(page.read_text()).values(), MIME
    else:
        cells = nbformat.read(page, as_version=4).cells
        outputs, key = [o for c in cells if c.cell_type == "code" for o in c.outputs], RECORD
    return [json.loads(out["data"][key]) for out in outputs if key in out.get("data", {})]


def compare(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    """One line per claim that went missing, flipped its verdict, or left its tolerance."""
    found = {claim["id"]: claim for claim in new}
    return [line for claim in old if (line := moved(claim, found.get(claim["id"])))]


def moved(old: dict[str, Any], new: dict[str, Any] | None) -> str | None:
    """What changed beyond tolerance between two readings of one claim; None if nothing did.

    Without a tolerance the two intervals must overlap: another machine's rounding trains other
    members of the same ensemble.
    """
    if new is None:
        return f"{old['id']}: missing from the new claims"
    if new["verdict"] != old["verdict"]:
        return f"{old['id']}: verdict {old['verdict']} became {new['verdict']}"
    (low, high), (least, most) = old["interval"], new["interval"]
    if old["tolerance"] is not None:
        margin = old["tolerance"] * abs(old["value"])
        low, high = old["value"] - margin, old["value"] + margin
        least = most = new["value"]
    if not ((least <= high and low <= most) or math.isnan(old["value"])):
        return f"{old['id']}: value {new['value']:.6g} left [{low:.6g}, {high:.6g}]"
    return None


def page(found: list[dict[str, Any]]) -> str:
    """book/claims.md: every answered claim, with values pasted from the chapters by glue."""
    lines = [INTRODUCTION]
    for chapter in dict.fromkeys(claim["chapter"] for claim in found):
        lines += [
            f"## {{doc}}`{chapter}`\n",
            "| claim | the post says | rule | measured | verdict |",
        ]
        lines += ["|---|---|---|---|---|"]
        own = [claim for claim in found if claim["chapter"] == chapter]
        lines += [row(claim) for claim in sorted(own, key=natural)]
        lines.append("")
    return "\n".join(lines)


def natural(claim: dict[str, Any]) -> list[Any]:
    """Sort key that puts P1.9 before P1.10 and P2.3 before P2.3b."""
    number = re.sub(r"\D*$", "", claim["id"])
    return [*map(int, re.findall(r"\d+", number)), claim["id"]]


def row(claim: dict[str, Any]) -> str:
    """One table row; value and verdict are pasted from the chapter at build time."""
    key = f"{claim['chapter']}.ipynb::{claim['id']}"  # the empty format ends the key
    rule = RULES[claim["id"]]
    pasted = f"{{glue:text}}`{key}:` | {{glue:text}}`{key}-verdict:`"
    return f"| {claim['id']} | {rule.says} | {rule.text.replace('|', chr(92) + '|')} | {pasted} |"


INTRODUCTION = """# Every claim and its verdict

Written by `make outputs` from the chapters; the numbers are pasted in when the book is built.
A claim *holds* when its whole 95% interval meets the rule, *does not hold* when none of it does,
and *holds in part* otherwise. The rules were committed before the numbers were measured.
"""
