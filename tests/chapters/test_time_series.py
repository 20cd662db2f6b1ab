"""The section on time series: what its numbers are made of, on a table with planted scores."""

import math

import pytest

from attention_in_motion.chapters import time_series as chapter
from attention_in_motion.chapters import twins
from attention_in_motion.odeformer import tables
from attention_in_motion.physics.functions import KINDS
from attention_in_motion.training import forecast

SETS = ("one variate", "two variates", "damped")
QUALITY = {"explained": 0.9, "l0": 4.0, "dead": 0.1}


def scores(log_crps, by_kind=(0.0,) * 5):
    kinds = [log_crps + extra for extra in by_kind]
    return {"log crps": log_crps, "crps": 0.1, "mase": 1.0, "by kind": kinds}


RAW = {
    "forecast": {
        name: {"last value": scores(0.0), "autoregression": scores(math.log(0.5))} for name in SETS
    },
    "neighbours": 0.9,
    "features": {"areas": [0.7] * 5},
}
DECAY = {name: {"log crps": -3.0, "last": -1.0} for name in ("own", "others")}


def row_with(crps, trained=True):
    """A model with that CRPS, relative to the last value's; worse by a half on the third kind."""
    slow = (0.0, 0.0, math.log(1.5), 0.0, 0.0)
    one = scores(math.log(crps), slow) | {"coverage": 0.8}
    features = {"topk": 0.95, "frozen": 0.8, "coordinates": 0.85, "relu": 0.9}
    row = {
        "forecast": {name: one for name in SETS},
        "points": {"linear": [0.5, 0.6, 0.7]},
        "features": {n: {"areas": [area] * 5, "quality": QUALITY} for n, area in features.items()},
    }
    if trained:
        row["slope costs"] = {"direction": 0.3, "shuffled": [0.1, 0.2], "everything": 2.0}
    return row


def table_with(ours, null):
    rows = {f"seed-{k}": row_with(crps) for k, crps in enumerate(ours)}
    rows |= {f"untrained-{k}": row_with(crps, trained=False) for k, crps in enumerate(null)}
    return {"command": "", "settings": {}, "raw": RAW, "decay": DECAY, "rows": rows}


def test_each_claim_has_the_number_that_its_rule_says():
    row = row_with(0.2)
    found = chapter.reading(row, RAW) | chapter.differences(row, RAW) | chapter.untested(row)
    assert found == pytest.approx(
        {
            "P4.22": 0.8,
            "P4.22b": 0.8,
            "P4.22c": 1 - 0.2 / 0.5,  # the autoregression is the best rival
            "P4.22d": 0.8,
            "P4.22e": 0.7,
            "P4.22f": 0.8,
            "P4.22g": 0.2 / 0.4,
            "P4.22h": 0.15,
            "P4.22i": 0.95,
            "P4.22j": 0.25,
            "P4.22k": 0.1,
        }
    )
    assert set(found) == set(chapter.RULES)


def test_every_tested_rule_has_a_p_value_and_readings_a_null():
    table = table_with([0.2, 0.21, 0.22, 0.23, 0.24, 0.25], [1 + k / 100 for k in range(20)])
    ours, null = twins.scores(table, chapter.reading, chapter.differences)
    p = twins.p_values(ours, null)
    assert set(p) == {i for i, rule in chapter.RULES.items() if rule.tested}
    assert set(null) == set(chapter.READ)
    assert p["P4.22"] < 0.01 and p["P4.22g"] > 0.4  # the same in all


def test_skill_by_kind_is_over_the_last_value():
    assert chapter.by_kind(row_with(0.2), RAW) == pytest.approx([0.8, 0.8, 0.7, 0.8, 0.8])
    assert len(KINDS) == 5
    assert chapter.areas_by_kind({"a": row_with(0.2)}, "frozen") == [[0.8] * 5]


def given(table):
    values = {"member": 0, "table": str(table), "n_shown": 1, "n_permutations": 99, "seed": 0}
    return chapter.Parameters.given(values)


def test_a_table_must_be_there_and_have_a_null(tmp_path):
    path = tmp_path / "table.json"
    with pytest.raises(ValueError, match=r"table\.json': no such file; must be 'shipped'"):
        chapter.table_of(given(path))
    tables.write(table_with([0.2, 0.3], []), path)
    with pytest.raises(ValueError, match="must be a table of 1 untrained models or more"):
        chapter.table_of(given(path))


def test_a_member_must_be_one_of_the_seeds():
    values = {"member": 6, "table": "shipped", "n_shown": 1, "n_permutations": 99, "seed": 0}
    with pytest.raises(ValueError, match="member = 6: must be <= 5"):
        chapter.Parameters.given(values)


def test_the_page_loads_what_the_script_trains():
    runs = chapter.runs(given("shipped"))
    assert runs == forecast.all_runs()
    assert all(name.startswith("forecaster-") for name in runs)
    members = chapter.Parameters.model_fields["member"].metadata
    assert len(runs["forecaster-univariate"].seeds) == 1 + max(
        m.le for m in members if hasattr(m, "le")
    )


# ---------------------------------------------------------------------------------------------
# The page, on a planted table and the shipped weights


def test_the_page_judges_the_table_that_it_is_given(rerun, tmp_path):
    ours = [0.2, 0.21, 0.22, 0.23, 0.24, 0.25]
    path = tmp_path / "table.json"
    tables.write(table_with(ours, [1 + k / 100 for k in range(20)]), path)
    found = rerun(chapter.PAGE, table=str(path), n_shown=2).claims
    assert found["P4.22"]["value"] == pytest.approx(1 - sum(ours) / 6)
    assert found["P4.22"]["verdict"] == found["P4.22d"]["verdict"] == "holds"
    assert found["P4.22g"]["verdict"] != "holds"  # as good as the null


def test_a_missing_table_ends_in_one_line(refusal):
    found = refusal(chapter.PAGE, "-p", "table", "nowhere.json")
    assert found.startswith("ValueError: table = 'nowhere.json': no such file")
