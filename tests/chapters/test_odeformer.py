"""The page on the model: other draws at toy size, refusals, rows picked out of the evaluation."""

import pytest
import torch

from attention_in_motion.chapters import odeformer as chapter
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig

PAGE = chapter.PAGE
TOY = {"n_curves": 2, "n_samples": 2, "n_points": 24, "temperature": 0.2, "seed": 3}


def test_another_model_has_its_own_size_and_no_evaluation_is_borrowed(rerun):
    found = rerun(PAGE, **TOY).claims
    of_twelve = 12 * found["P4.20m"]["value"]  # two curves in each of six cells
    assert of_twelve == pytest.approx(round(of_twelve), abs=1e-9)
    low, high = found["P4.20m"]["interval"]
    assert high - low > 0.3  # two curves say little


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("model", "theirs", "model = 'theirs': no file theirs; must be 'ours',"),
        ("temperature", "0.0", "temperature = 0.0: must be > 0"),
        ("n_points", "7", "n_points = 7: must be >= 8"),
    ],
)
def test_bad_parameters_end_in_one_line(refusal, name, value, line):
    assert refusal(PAGE, "-p", name, value).startswith(f"ValueError: {line}")


ROWS = [
    {"group": f"families {d}", "condition": "c", "method": m, "share": s, "n": n} | wrong
    for d, n in (("1-D", 10), ("2-D", 30))
    for m, s, wrong in (
        ("10 samples", 0.5, {}),
        ("greedy", 0.1, {"wrong_dimension": 0.2}),
    )
]


def test_rows_are_picked_and_counted():
    assert chapter.row_of(ROWS, "families 2-D", "c")["n"] == 30
    assert chapter.hits(ROWS, "c") == 20
    assert chapter.wrong_dimensions(ROWS, "c") == (8, 40)


def test_the_worst_kind_is_that_of_all_systems():
    keys = [("all", "sign", 0.8), ("all", "operator", 0.7), ("families", "sign", 0.1)]
    tokens = [{"systems": s, "kind": k, "share": v} for s, k, v in keys]
    assert chapter.worst_kind(tokens, ["operator", "sign"])["share"] == 0.7


def test_scores_of_twins_tell_a_steep_fall_from_a_saturated_start():
    cells = [(a, b) for a in chapter.STEEPNESS for b in chapter.SATURATION for _ in range(3)]
    a, b = zip(*cells, strict=True)
    rows = {
        "stumbles over the start": {"r2": [1.0 if start < 7 else -1.0 for start in b]},
        "stumbles over the fall": {"r2": [1.0 if fall < 3 else -1.0 for fall in a]},
    }
    raw = {"steepness": a, "saturation": b, "b": b}
    found = chapter.twin_scores({"raw": raw, "rows": rows})
    assert found["P4.20c"] == [1.0, 0.0] and found["P4.20d"] == [0.0, 1.0]
    assert found["P4.20e"] == [1.0, 1.0]
    assert found["P4.20f"][0] < -1 and abs(found["P4.20f"][1]) < 0.01
    by_cell = chapter.shares_by_cell({"raw": raw, "rows": rows})  # (saturation, steepness)
    assert by_cell[0] == [1, 1, 1, 0.5, 0.5] and by_cell[-1] == [0.5, 0.5, 0.5, 0, 0]


def test_what_follows_the_end_is_the_bias_and_before_it_is_not():
    network = ODEFormer(ODEFormerConfig(16, 1, 2, 16, 1, 2, 8, 2, 2), torch.Generator()).eval()
    with torch.no_grad():
        logits = chapter.logits_after_the_end(network, torch.Generator().manual_seed(0))
    assert (logits == network.decoder.proj.bias).all() and len(logits) == 9
