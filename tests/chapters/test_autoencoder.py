"""The section on sparse features: what its numbers are made of, on rows with planted scores."""

from dataclasses import asdict

import pytest

from attention_in_motion.chapters import autoencoder as chapter
from attention_in_motion.chapters import feature_scores, twins
from attention_in_motion.odeformer import ablations, dictionaries, tables
from attention_in_motion.odeformer import features as scoring


def features(shift, share):
    own = {"t": 0.3, "x": -0.1 + 0.9, "x′": 0.4, "x″": 0.2, "x′ beyond t and x": 0.1 + shift}
    return {
        "quality": {"explained": 0.9, "l0": 16 + shift, "dead": 0.1},
        "concepts": {"own": own, "exchanged": dict.fromkeys(own, 0.1)},
        "stable": {"share": share, "firing": [1.0, 0.8, 0.9]},
        "families": {"own": 0.2 + shift, "exchanged": 0.15},
    }


def row_with(shift, trained=True):
    row = {"relu": features(shift, 2 / 3), "topk": features(2 * shift, 0)}
    row["plane"] = {"own": 0.3, "exchanged": 0.28, "rim": 0.6 + shift}
    if trained:
        nats = {"encoder attention": 0.9, "encoder feed-forward": 0.3 - shift}
        nats["decoder feed-forward"] = 0.5
        row["costs"] = {
            "parts": {name: {"mean": {"all": lost}} for name, lost in nats.items()},
            "dictionaries": {"topk": {"recovered": 0.9}, "frozen": {"recovered": 0.4 + shift}},
            "r2": 0.8,
            "r2 without": {"stream": 0.2, "feed-forward": 0.6, "reconstructed": 0.76},
        }
    return row


def test_each_claim_has_the_number_that_its_rule_says():
    row = row_with(0.1)
    found = feature_scores.reading(row, {}) | feature_scores.differences(row, {})
    expected = {
        **{"P4.10b": 0.3, "P4.11m": 2 / 3, "P4.25m": 0.25, "P4.26m": 0.7},
        **{"P4.25b": 0.4, "P4.27m": 0.7, "P4.27b": 0.3},
        **{"P4.10m": 0.8, "P4.10c": 0.02, "P4.11b": 0.9},
        **{"P4.12m": 0.25, "P4.12b": 0.75, "P4.12c": 0.95},
    }
    assert found | feature_scores.untested(row) == pytest.approx(expected)
    own = feature_scores.of_the_post(row)
    assert own["P4.25"] == pytest.approx(0.25) and own["P4.12"] == pytest.approx(0.25)
    assert {*expected, *own} == set(chapter.RULES) and len(chapter.RULES) == 19


def test_tested_claims_are_those_with_a_p_value():
    rows = [row_with(0.1 + k / 100) for k in range(6)]
    table = {"raw": {}, "rows": {f"m{k}": row for k, row in enumerate(rows)}}
    table["rows"] |= {f"untrained-{k}": row_with(0.0, trained=False) for k in range(20)}
    ours, null = twins.scores(table, feature_scores.reading, feature_scores.differences)
    tested = {name for name, rule in chapter.RULES.items() if rule.tested}
    assert set(ours) == tested and set(null) == set(chapter.READ)
    p = twins.p_values(ours, null)
    assert p["P4.26m"] < 0.05 and p["P4.27m"] < 0.05
    assert p["P4.11m"] > 0.5  # as good as an untrained one


def test_figures_show_both_autoencoders_of_both_groups():
    rows = {"a": row_with(0.1), "b": row_with(0.3), "untrained-0": row_with(0.0, trained=False)}
    found = feature_scores.beside({"rows": rows}, "shared", "stable", "share")
    assert {name: values.tolist() for name, values in found.items()} == {
        "shared, the post's": pytest.approx([2 / 3, 2 / 3]),
        "shared, TopK": [0, 0],
        "shared, the post's, untrained": pytest.approx([2 / 3]),
        "shared, TopK, untrained": [0],
    }
    assert feature_scores.concepts(rows, "relu").shape == (3, 5)
    assert feature_scores.concepts(rows, "topk")[1, 4] == pytest.approx(0.7)
    seeds = twins.seeds({"rows": rows})
    assert feature_scores.quality(seeds, "topk") == pytest.approx([0.9, 16.4, 0.1])


def test_a_model_without_a_right_answer_keeps_none():
    row = row_with(0.1)
    row["costs"]["r2"] = 0.0
    assert feature_scores.untested(row)["P4.12m"] == 0


def test_the_script_measures_what_the_rules_say():
    settings = dictionaries.Settings()
    assert (settings.width, settings.live) == (chapter.WIDTH, chapter.LIVE)
    assert f"layer_norm2.{chapter.LAYER}.after" == dictionaries.PLACE
    same = ("TOP", "NEIGHBOURS", "ONE_FAMILY")
    assert all(getattr(dictionaries, name) == getattr(chapter, name) for name in same)
    assert dictionaries.BEYOND == feature_scores.BEYOND
    assert "encoder feed-forward" in ablations.PARTS


# ---------------------------------------------------------------------------------------------
# The page, on networks with random weights

FEW = dictionaries.Settings(
    **dict(n_systems=56, n_points=14, width=40, live=4, steps=30, n_plane=60, n_exchanges=3),
    **dict(grid=3, n_asked=6, n_decoded=1),
)


@pytest.fixture(scope="module")
def toy(random_networks):
    """The paths of a table of one network under several names, and of weights by layers."""
    folder, networks = random_networks
    data = dictionaries.Data(FEW)
    row = tables.rounded(scoring.row_of(data, networks[4], trained=True))
    names = ("a", "b", "untrained-0", str(folder / "4.safetensors"))
    rows = dict.fromkeys(names, row)
    table = {"command": "", "settings": asdict(FEW), "raw": tables.rounded(data.raw), "rows": rows}
    tables.write(table, folder / "table.json")
    return folder


def test_whoever_has_the_released_geometry_is_answered_under_the_posts_ids(rerun, toy):
    given = {"table": str(toy / "table.json"), "n_permutations": 99}
    found = rerun(chapter.PAGE, model=str(toy / "4.safetensors"), **given).claims
    assert all(claim["value"] is not None for claim in found.values())
    row = tables.read(toy / "table.json")["rows"]["a"]
    assert found["P4.26"]["value"] == found["P4.26m"]["value"] == row["plane"]["rim"]
    assert found["P4.11m"]["verdict"] != "holds"  # as good as itself


def test_another_geometry_leaves_the_posts_claims_alone(rerun, toy):
    given = {"table": str(toy / "table.json"), "n_permutations": 99}
    found = rerun(chapter.PAGE, model=str(toy / "3.safetensors"), **given).claims
    untestable = {i for i, claim in found.items() if claim["verdict"] == "not_testable"}
    assert untestable == {i for i, rule in chapter.RULES.items() if not rule.seeds}
