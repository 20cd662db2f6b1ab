"""The section on probes: what its numbers are made of, on rows with planted scores."""

import pytest

from attention_in_motion.chapters import probes as chapter
from attention_in_motion.chapters import twins

RAW = {"time": 0.9, "exponential": 0.8}
BY_LAYER = [0.5, 0.6, 0.7, 0.75, 0.1, 0.2, 0.3, *[0.9] * 8, 0.98]  # 4 + 12 layers


def row_with(time, trained=True):
    linear = {"coefficients": 0.6, "eigenvalues": 0.5, "trace": 0.7, "discriminant": 0.4}
    row = {
        "curves": {"time": [0.3, time], "log slope": [0.5, 0.96]},
        "exponential": {"embedding": 0.55, "by layer": BY_LAYER},
        "dimension": {"embedding": 1.0, "by layer": BY_LAYER},
        "linear": {"all": linear | {"eigenvalues": 0.1}},
    }
    if trained:
        row["linear"]["accurate"] = linear
        row["errors"] = {"r2": [0.9] * 4 + [0.1, 0.2, 0.1, 0.4, *[0.3] * 8], "own": 0.15}
        row["time costs"] = {"direction": 0.05, "shuffled": [0.01, 0.03]}
        row["plus"] = 0.55
    return row


def test_each_claim_has_the_number_that_its_rule_says():
    row = row_with(0.95)
    found = chapter.reading(row, RAW) | chapter.differences(row, RAW) | chapter.untested(row)
    assert found == pytest.approx(
        {
            "P4.3m": 0.95,
            "P4.3b": 0.05,
            "P4.3c": 0.03,
            "P4.4c": 0.96,
            "P4.5m": 0.4,
            "P4.5c": 0.25,
            "P4.6m": 0.98,
            "P4.6b": 0.75 - 0.55,
            "P4.6c": 0.75 - 0.8,
            "P4.7m": 0.98,
            "P4.7b": (8 * 0.9 + 0.98) / 9 - 0.2,
            "P4.9m": 0.1,
            "P4.9b": 0.05,
            "P4.29b": 0.55,
        }
    )
    assert chapter.best_decoder_layer(row) == 7


def test_every_rule_has_its_number_or_is_about_no_seed():
    table = {"raw": RAW, "rows": {f"m{i}": row_with(0.9 + i / 100) for i in range(3)}}
    table["rows"]["untrained-0"] = row_with(0.5, trained=False)
    ours, null = twins.scores(table, chapter.reading, chapter.differences)
    tested = {i for i, rule in chapter.RULES.items() if rule.tested}
    assert set(ours) == set(twins.p_values(ours, null)) == tested
    assert null["P4.9m"] == [0.5]  # all of its linear systems
    over_seeds = {i for i, rule in chapter.RULES.items() if rule.seeds}
    assert over_seeds == tested | set(chapter.untested(row_with(0.9)))
