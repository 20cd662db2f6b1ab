"""The section on the frequency: moved physics at toy size, refusals, planted beliefs."""

import re

import nbformat
import pytest
import torch

from attention_in_motion.chapters import frequency as chapter
from attention_in_motion.measures import frequency, probes, trajectories

PAGE = chapter.PAGE
MOVED = {"omega0_min": 8.0, "omega0_max": 12.0, "gamma": 0.5, "dt": 0.05, "context": 13}
TOY = {"steps": 400, "batch": 64, "lr": 0.003, "n_seeds": 2, "n_test": 200, "retrain": True}
NUMBER = r"([\d.]+)(?: × 10(\S+))?"


def printed(path):
    """{name: (relative error, share at an end of the search)} of the page's table."""
    cells = nbformat.read(path, as_version=4).cells
    text = "".join(o.get("text", "") for c in cells if c.cell_type == "code" for o in c.outputs)
    limits = re.search(r"at an end of \[(\S+), (\S+)\]", text).groups()
    rows = re.findall(rf"^  (.+): {NUMBER}; ([\d.]+)%$", text, flags=re.MULTILINE)
    plain = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    found = {n: (float(f"{m}e{e.translate(plain) or 0}"), float(s)) for n, m, e, s in rows}
    return tuple(map(float, limits)), found


def test_beliefs_and_estimators_follow_the_moved_physics(rerun, tmp_path):
    found = rerun(PAGE, examined="4LA 32/16 open", **MOVED, **TOY)
    limits, rows = printed(tmp_path / "out.ipynb")
    assert limits == (0.4, 24.0)
    assert rows["in-context least squares"][0] < 1e-9
    assert rows["in-context least squares"][1] == 0.0
    # a search over [0.05, 8], that of the post's range, would end at 8 for every trajectory
    assert rows["4LA 32/16 open"][0] < 0.3 and rows["4LA 32/16 open"][1] < 20.0
    assert rows["ratio of mean squares"][1] == 0.0
    assert -1 < found.claims["P2.20"]["value"] < 1 and found.claims["P2.20"]["n_seeds"] == 2


def test_an_unknown_rung_ends_the_page_with_one_line(refusal):
    line = "ValueError: examined = '9LA': must be 'OLA 2/2', 'OLA 8/4'"
    assert refusal(PAGE, "-p", "examined", "9LA").startswith(line)


def test_answers_at_an_end_are_counted():
    found = torch.tensor([0.4, 0.399, 1.0, 24.0, 25.0, 23.9])
    assert frequency.at_an_end(found, (0.4, 24.0)) == pytest.approx(4 / 6)


def test_a_belief_that_copies_the_cue_has_slope_one_and_a_stubborn_one_none():
    cue, weight = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.5, 2.0])
    pushed = cue * torch.tensor([1.1, 1.3, 1.2])
    before = torch.tensor([[2.0, 2.0, 2.0], [1.0, 4.0, 1.0], [3.0, 3.0, 3.0]])
    follows = pushed / cue
    after = torch.stack([before[0] * follows, before[1], before[2] * follows.sqrt()])
    slopes = frequency.following(before, after, cue, pushed, weight)
    assert torch.allclose(slopes, torch.tensor([1.0, 0.0, 0.5]), atol=1e-6)


def test_the_relative_error_counts_rows_by_weight():
    omega0 = torch.tensor([1.0, 2.0])
    found = torch.tensor([[1.1, 2.0], [1.0, 3.0]])
    blind = frequency.relative_error(found, omega0, torch.tensor([1.0, 0.0]))
    assert torch.allclose(blind, torch.tensor([0.1, 0.0]), atol=1e-6)
    both = frequency.relative_error(found, omega0, torch.tensor([1.0, 1.0]))
    assert torch.allclose(both, torch.tensor([0.1, 0.5]) / 2**0.5, atol=1e-6)


def test_a_planted_cause_is_found_in_the_seed_that_has_it_and_on_the_chosen_rows():
    rng = torch.Generator().manual_seed(0)
    omega0, miss, noise = torch.rand(3, 4000, generator=rng, dtype=torch.float64)
    rows = torch.arange(4000) % 3 > 0
    off = torch.stack([omega0**3 + miss, noise])
    off[:, ~rows] = 1e3  # must not count
    shares = frequency.explained_by(off, miss, omega0, torch.ones_like(miss), rows)
    assert shares[0] > 0.99 and abs(shares[1]) < 0.02


def test_probes_read_the_stream_between_the_blocks_at_every_fourth_position():
    given = {**MOVED, **TOY, "examined": "4LA 32/16", "device": "cpu", "retrain": False}
    run = chapter.runs(chapter.Parameters.given(given))["4LA 32/16"]
    model = run.model().double()
    omega0 = trajectories.evenly(8.0, 12.0, 200)
    seen = trajectories.held_out(omega0, gamma=(0.5, 0.5), dt=0.05, context=13, dtype=torch.float64)
    first = seen.windows[:, 0]  # the states themselves stand linearly in the stream
    r2 = chapter.r2_by_place(model, seen, first, probes.every_other(200))
    assert list(r2) == ["resid_pre", *(f"{i}.resid_post" for i in range(4))]
    assert all(values.shape == (4, 2) for values in r2.values())  # positions 0, 4, 8, 12
    assert (r2["resid_pre"][0] > 0.999).all() and (r2["resid_pre"][-1] < 0.99).any()
