"""The section on lenses: what its numbers are made of, on a table with planted scores."""

from dataclasses import asdict

import pytest

from attention_in_motion.chapters import lens_scores, twins
from attention_in_motion.chapters import lenses as chapter
from attention_in_motion.odeformer import lenses, sinks, tables

LAYERS = 12


def steps(*ends):
    """Twelve numbers: the first from layer 0 on, each next one from its layer on."""
    return [[value for at, value in ends if at <= i][-1] for i in range(LAYERS)]


def lens(middle):
    return {
        "agrees": {"all": steps((0, 0.1), (6, middle), (11, 1.0))},
        "certainty": {
            "all": steps((0, 0.2), (7, 0.4), (11, 0.7)),
            "no number": steps((0, 0.2), (11, 0.9)),
            "mantissa": steps((0, 0.0), (11, 0.1)),
        },
        "repeats": {"otherwise": steps((0, 0.8), (1, 0)), "after a constant": steps((0, 0.3))},
    }


def row_with(shift, trained=True):
    length = {"share": 0.4 + shift, "sixty": 0.1 + shift, "longer": 0.5}
    row = {
        "words": {"logit": lens(0.3), "tuned": lens(0.5 + shift)},
        "sign": {
            "lens": {
                "plus then minus": 0.2 + shift,
                "falling": {"leads": 0.5 + shift},
                "rising": {"leads": 0.1},
            },
            "magnitude best": 0.7,
        },
        "attended": {
            "sinks best": 0.25,
            "lengths": {"25": length | {"sixty": 0.3 + shift}, "50": length},
            "moves": {"time": 0.9, "value": 0.2, "smallest": 0.06},
            "smooth": {"weighted": 0.9, "plain": 0.7},
        },
        "extrema": {
            "encoder": [0.6, 0.9, 0.1],
            "decoder": steps((0, 0.2), (5, 0.45), (6, 0.3)),
            "separate": steps((0, 0.1), (6, 0.35), (7, 0.2)),
        },
        "avoids": 0.55,
        "layers": {"x": [0.9, 0.1, 0.2], "extrema": [0.3, 0.9, 0.2], "slope": [0.1, 0.2, 0.8]},
        "diagonals": {"ratio": [-1.0, -2.0, -3.0]},
        "subtracted": [-0.2, -0.4, -0.3],
    }
    if trained:
        heads = {"chosen": [[0.1, 0.5], [0.2, 0.2]], "scored": [[0.1, 0.4], [0.9, 0.2]]}
        row["sign"]["costs"] = {
            "swaps": {"heads": heads},
            "dimension": {"best": 0.6, "others": [0.1, 0.3], "direction": 0.9},
            "magnitude": {"best": 0.5, "random": [0.1, 0.1]},
        }
        row["point costs"] = {"point": 0.05, "others": [0.01, 0.03]}
        row["head costs"] = {"best": 1, "heads": [0.01, 0.05, 0.03]}
        row["subtraction costs"] = {"own": 0.5, "another": 0.1}
    return row


def table():
    rows = {f"model-{i}": row_with(0.3 + i / 100) for i in range(6)}
    rows |= {f"untrained-{i}": row_with(0.0, trained=False) for i in range(20)}
    return {"command": "", "settings": {}, "raw": {}, "rows": rows}


def test_each_claim_has_the_number_that_its_rule_says():
    row = row_with(0.3)
    found = lens_scores.reading(row, {}) | lens_scores.differences(row, {})
    assert found | lens_scores.untested(row) == pytest.approx(
        {
            "P4.13m": 0.8,
            "P4.13b": 0.8,
            "P4.13c": 0.6,
            "P4.13d": 0.8,
            "P4.13e": 0.5,
            "P4.13f": 0.5,
            "P4.14m": 0.5,
            "P4.14b": 0.8,
            "P4.14c": 0.7,
            "P4.14d": 0.4 - 0.4,
            "P4.28m": 0.4,
            "P4.28b": 0.3,
            "P4.30m": 0.4,
            "P4.30b": 0.7,
            "P4.16m": 0.25,
            "P4.17m": 0.5,
            "P4.17b": 0.7,
            "P4.17c": 0.5,
            "P4.17e": 0.03,
            "P4.18m": 0.7,
            "P4.18b": 0.06,
            "P4.31m": 0.9,
            "P4.31b": 0.2,
            "P4.32m": 0.55,
            "P4.19m": 0.6,
            "P4.19b": 0.35,
            "P4.19c": 0.45,
            "P4.19d": 0.03,
            "P4.33m": 2 / 3,
            "P4.21m": 2.0,
            "P4.21b": 2.0,
            "P4.21c": 0.3,
            "P4.21d": 0.4,
        }
    )


def test_every_rule_has_its_number_and_every_test_its_p_value():
    ours, null = twins.scores(table(), lens_scores.reading, lens_scores.differences)
    p_values = twins.p_values(ours, null)
    tested = {i for i, rule in chapter.RULES.items() if rule.tested}
    assert set(p_values) == tested - {"P4.17d"}
    row = row_with(0.3)
    bare = lens_scores.of_the_post(row)
    assert set(bare) == {i for i, rule in chapter.RULES.items() if not rule.seeds}
    assert all(f"{i}m" in chapter.RULES for i in bare)
    assert set(ours) | set(lens_scores.untested(row)) | set(bare) | {"P4.17d"} == set(chapter.RULES)
    assert p_values["P4.14b"] < 0.01 and p_values["P4.21m"] > 0.4  # there the null does as well


def test_the_posts_claims_have_the_rules_of_ours_without_a_control():
    for name in lens_scores.of_the_post(row_with(0.3)):
        bare, ours = chapter.RULES[name], chapter.RULES[f"{name}m"]
        assert (bare.low, bare.high) == (ours.low, ours.high)
        assert ours.measure.startswith(bare.measure)


def arm(name, seed, share):
    at = {"commonest": 0, "share": share, "sixty": 0.0}
    return {"arm": name, "seed": seed, "lengths": {"25": at}}


def test_arms_are_compared_seed_by_seed_and_need_two_pairs(tmp_path):
    path = tmp_path / "arms.json"
    rows = {"a": arm("published", 0, 0.9), "b": arm("random", 0, 0.2)}
    tables.write({"command": "", "rows": rows}, path)
    with pytest.raises(ValueError, match="must be a table of two pairs of seeds or more"):
        lens_scores.arms(str(path))
    rows |= {"c": arm("random", 1, 0.3), "d": arm("published", 1, 0.5)}
    tables.write({"command": "", "rows": rows}, path)
    found = sinks.arm_differences(lens_scores.arms(str(path)))
    assert found == pytest.approx([0.7, 0.2])
    with pytest.raises(ValueError, match=r"nowhere\.json': no such file"):
        lens_scores.arms("nowhere.json")


def test_lists_of_models_are_stacked_by_their_path():
    rows = {"a": row_with(0.3), "b": row_with(0.1)}
    assert lens_scores.by_layer(rows, "diagonals", "ratio").shape == (2, 3)


# ---------------------------------------------------------------------------------------------
# The page, on networks with random weights

FEW = lenses.Settings(14, 12, 12, 4, 6, 12, 50, 50, 2, 1)


@pytest.fixture(scope="module")
def toy(random_networks):
    """The paths of a table of one network under several names, of weights by layers, of arms."""
    folder, networks = random_networks
    row = tables.rounded(lenses.row_of(lenses.Data(FEW), networks[3], trained=True))
    names = ("a", "b", "untrained-0", str(folder / "4.safetensors"))
    table = {"command": "", "settings": asdict(FEW), "raw": {}, "rows": dict.fromkeys(names, row)}
    tables.write(table, folder / "table.json")
    rows = {f"{a}{k}": arm(a, k, 0.3 + k / 10) for a in ("published", "random") for k in (0, 1)}
    tables.write({"command": "", "rows": rows}, folder / "arms.json")
    return folder


def test_whoever_has_the_released_geometry_is_answered_under_the_posts_ids(rerun, toy):
    given = {"table": str(toy / "table.json"), "arms": str(toy / "arms.json")}
    model = str(toy / "4.safetensors")
    found = rerun(chapter.PAGE, model=model, **given, n_permutations=99).claims
    assert all(claim["value"] is not None for claim in found.values())
    row = tables.read(toy / "table.json")["rows"]["a"]
    assert found["P4.21"]["value"] == pytest.approx(found["P4.21m"]["value"])
    assert found["P4.28"]["value"] == row["sign"]["costs"]["dimension"]["best"]
    assert found["P4.17d"]["value"] == 0 and found["P4.17d"]["verdict"] != "holds"


def test_without_the_released_model_its_claims_are_left_alone(rerun, toy):
    given = {"table": str(toy / "table.json"), "n_permutations": 99}
    found = rerun(chapter.PAGE, model=str(toy / "3.safetensors"), **given).claims
    untestable = {i for i, claim in found.items() if claim["verdict"] == "not_testable"}
    bare = {i for i, rule in chapter.RULES.items() if not rule.seeds}
    assert untestable == bare
