"""The section on derivatives: what its numbers are made of, on a table with planted scores."""

import copy
from dataclasses import asdict

import pytest

from attention_in_motion.chapters import derivative as chapter
from attention_in_motion.chapters import twins
from attention_in_motion.odeformer import derivative, slopes, tables
from attention_in_motion.odeformer.network.model import ODEFormerConfig

LAYERS, HEADS = 3, 4
RAW = {
    "neighbours": {"mixed": {"linear": 0.9, "mlp": 0.8}},
    "width": {"window": 0.3, "log window": 0.85},
}


def row_with(slope, trained=True):
    """A model whose head 1 goes with the slope that much on either half, head 2 with x."""
    scores = [[0.0, slope, 0.05, -0.9]] * LAYERS
    half = {"slope": scores, "slope beyond": scores, "x beyond time": [[0.1, 0.0, -0.7, 0.2]]}
    row = {
        "heads": {name: {"plain": half} for name in ("chosen", "scored")},
        "points": {"mixed": {"linear": [0.1, 0.2, 0.3], "mlp": [0.2, 0.5]}},
        "width": {"linear": [0.4, 0.95]},
    }
    if trained:
        row["head costs"] = {"heads": [[0.01, 0.05, 0.1, 0.03]] * LAYERS}
        row["slope costs"] = {"direction": 0.02, "shuffled": [0.01, 0.03]}
        row["width costs"] = {"direction": 0.2, "shuffled": [0.05, 0.15]}
    return row


def table_with(slopes, null):
    rows = {f"model-{i}": row_with(slope) for i, slope in enumerate(slopes)}
    rows |= {f"untrained-{i}": row_with(s, trained=False) for i, s in enumerate(null)}
    return {"command": "", "settings": {}, "raw": RAW, "rows": rows}


def scored(table):
    return twins.scores(table, chapter.reading, chapter.differences)


def test_each_claim_has_the_number_that_its_rule_says():
    row = row_with(0.6)
    found = chapter.reading(row, RAW) | chapter.differences(row, RAW)
    assert found == pytest.approx(
        {
            "P4.1m": 0.6,
            "P4.1b": 0.6,
            "P4.1c": 0.05 - 0.14 / 3,
            "P4.2m": 0.7,  # its size
            "P4.2c": 0.1 - 0.03,
            "P4.23": 0.2 / 0.8,
            "P4.23b": 0.3 / 0.6,
            "P4.23c": 0.0,
            "P4.24": 0.95,
            "P4.24b": 0.95 - 0.85,
            "P4.24c": 0.1,
        }
    )


def test_every_tested_rule_has_a_score_and_a_p_value():
    ours, null = scored(table_with([0.6] * 6, [0.3] * 20))
    tested = {i for i, rule in chapter.RULES.items() if rule.tested}
    assert set(ours) == set(twins.p_values(ours, null)) == tested
    assert set(null) == set(chapter.READ)
    assert len(ours["P4.1m"]) == 6 and len(null["P4.1m"]) == 20


def test_what_untrained_models_do_as_well_is_not_significant():
    better = scored(table_with([0.6, 0.61, 0.62, 0.63, 0.64, 0.65], [0.3] * 20))
    equal = scored(table_with([0.3] * 6, [0.3] * 20))
    assert twins.p_values(*better)["P4.1m"] < 0.01
    assert twins.p_values(*equal)["P4.1m"] > 0.4
    assert twins.p_values(*better)["P4.23"] > 0.4  # the same in all


def given(table):
    values = {"model": "twin-0", "table": str(table), "n_permutations": 99, "seed": 0}
    return chapter.Parameters.given(values)


def test_a_table_must_be_there_and_have_seeds_and_a_null(tmp_path):
    path = tmp_path / "table.json"
    with pytest.raises(ValueError, match=r"table\.json': no such file"):
        twins.table_of(given(path))
    tables.write(table_with([0.6] * 2, []), path)
    with pytest.raises(ValueError, match="must be a table of 1 untrained models or more"):
        twins.table_of(given(path))
    whole = table_with([0.6] * 2, [0.1])
    tables.write(copy.deepcopy(whole), path)
    assert twins.table_of(given(path)) == whole


def test_tables_and_figures_show_the_rows():
    table = table_with([0.6, 0.4], [0.2])
    rows = twins.seeds(table)
    assert chapter.best_by_layer(rows, "slope") == [[0.6] * 3, [0.4] * 3]
    assert chapter.mean_scores(table, "slope", 2, "plain").startswith("0.5 [")
    assert chapter.mean_scores(table, "slope", 2, "plain").endswith("| 0.2")
    assert twins.over_models(rows, "width costs", "shuffled").tolist() == [0.1, 0.1]
    own, others = chapter.costs_of_heads(rows, "slope", 2)
    assert own.tolist() == pytest.approx([0.05] * 2)
    assert others.tolist() == pytest.approx([0.14 / 3] * 2)
    for row, r2 in zip(rows.values(), (0.8, 0.6), strict=True):
        for what in ("head costs", "slope costs", "width costs"):
            row[what] |= {"r2": r2, "r2 without": {"part": r2 / 2}}
    found = chapter.r2_rows(rows)
    assert found["logistic curves: nothing"] == pytest.approx(0.7)
    assert found["mixed systems: slope part"] == pytest.approx(0.35)


def test_the_released_geometry_is_told_by_its_sizes():
    assert twins.is_released(ODEFormerConfig(embedding_width=256))
    assert not twins.is_released(ODEFormerConfig(max_dimension=2))


# ---------------------------------------------------------------------------------------------
# The page, on networks with random weights

FEW = slopes.Settings(16, 12, 14, 12, 3, 2, 1, 19)


@pytest.fixture(scope="module")
def toy(random_networks):
    """The paths of a table of one network under several names, and of weights by layers."""
    folder, networks = random_networks
    data = slopes.Data(FEW)
    row = tables.rounded(derivative.row_of(data, networks[4], trained=True))
    rows = {"a": row, "b": row, "untrained-0": row}
    table = {"command": "", "settings": asdict(FEW), "raw": tables.rounded(data.raw), "rows": rows}
    tables.write(table, folder / "table.json")
    return folder


def test_whoever_has_the_released_geometry_is_answered_under_the_posts_ids(rerun, toy):
    given = {"table": str(toy / "table.json"), "n_permutations": 99}
    found = rerun(chapter.PAGE, model=str(toy / "4.safetensors"), **given).claims
    assert all(claim["value"] is not None for claim in found.values())
    assert -1 <= found["P4.1"]["value"] <= 1 and 0 <= found["P4.2"]["value"] <= 1
    assert found["P4.1m"]["verdict"] != "holds"  # as good as itself


def test_another_geometry_leaves_the_posts_heads_alone(rerun, toy):
    given = {"table": str(toy / "table.json"), "n_permutations": 99}
    found = rerun(chapter.PAGE, model=str(toy / "3.safetensors"), **given).claims
    untestable = {i for i, claim in found.items() if claim["verdict"] == "not_testable"}
    assert untestable == {"P4.1", "P4.2"}
