"""The section on probes: what its numbers are made of, on rows with planted scores."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from attention_in_motion.chapters import probes as chapter
from attention_in_motion.chapters import twins
from attention_in_motion.odeformer import probes, tables, weights
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.systems.trajectories import Sample

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


def test_the_amplitude_is_divided_away_and_the_steepness_is_not():
    times = np.linspace(1, 10, 60)
    one, other = (chapter.seen_of(a, 0.5, times) for a in (1.0, 32.0))
    assert np.abs(one - other).max() < 1e-12 and one[0] == 1
    assert np.abs(chapter.seen_of(1.0, 0.6, times) - one).max() > 0.1


def test_the_ceiling_of_the_posts_slope_is_that_of_its_product_grid():
    """For independent a and b: Var b · E[a]² / (E[a²] E[b²] − E[a]² E[b]²)."""
    a, b = np.arange(1, 33), np.linspace(0.04, 1, 25)
    whole = (a**2).mean() * (b**2).mean() - a.mean() ** 2 * b.mean() ** 2
    expected = b.var() * a.mean() ** 2 / whole
    assert chapter.explained_by_steepness() == pytest.approx(expected)


def test_the_posts_curves_have_a_number_a_layer():
    assert all(len(values) == 16 for values in chapter.THE_POSTS.values())
    found = chapter.the_posts("dimension", 8)
    assert np.isnan(found[:4]).all() and found[4:] == [0.854, 0.825, 0.775, 0.817]


def test_positive_constants_are_counted():
    sample = Sample([["add", "mul", -0.5, "x_0", "mul", 2.0, "pow", "x_0", 2]], None, None, "")
    assert chapter.positive_constants([sample, sample]) == (2, 4)


def test_lists_are_picked_by_their_path():
    rows = {"a": row_with(0.9), "b": row_with(0.8)}
    assert chapter.by_layer(rows, "curves", "time") == [[0.3, 0.9], [0.3, 0.8]]


# ---------------------------------------------------------------------------------------------
# The page, on planted rows and a network with random weights

FEW = probes.Settings(12, 12, 14, 12, 16, 12, 2, 1)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The paths of a planted table and of random weights that are not of the released geometry."""
    folder = tmp_path_factory.mktemp("toy")
    widths = {"encoder_width": 16, "decoder_width": 16, "embedding_width": 8, "precision": 2}
    config = ODEFormerConfig(**widths, encoder_layers=2, decoder_layers=1, max_dimension=2)
    network = ODEFormer(config, torch.Generator().manual_seed(0))
    weights.save(network, {"config": {"model": asdict(config)}}, folder / "toy.safetensors")
    rows = {f"m{i}": row_with(0.9 + i / 50) for i in range(3)}
    rows["untrained-0"] = row_with(0.5, trained=False)
    for row in rows.values():
        for linear in row["linear"].values():
            linear |= {"n": 20, "determinant": 0.3}
        if "errors" in row:
            row["errors"]["spearman"] = row["errors"]["r2"]
    raw = RAW | {"log slope": 0.9}
    table = {"command": "", "settings": asdict(FEW), "raw": raw, "rows": rows}
    tables.write(table, folder / "table.json")
    return folder


def test_the_page_judges_the_table_that_it_is_given(rerun, toy):
    given = {"model": str(toy / "toy.safetensors"), "table": str(toy / "table.json")}
    found = rerun(chapter.PAGE, **given, n_permutations=99).claims
    assert found["P4.3m"]["value"] == pytest.approx(0.92)
    assert found["P4.5b"]["value"] == 1 and found["P4.5m"]["verdict"] == "holds"
    assert found["P4.4"]["value"] < 1e-12 and found["P4.4b"]["verdict"] == "holds"
    untestable = {i for i, claim in found.items() if claim["verdict"] == "not_testable"}
    assert untestable == {"P4.3", "P4.5", "P4.6", "P4.7", "P4.9"}
