"""The section on the mask: moved physics at toy size, refusals, and its cells."""

from typing import get_args

import pytest
import torch

from attention_in_motion.chapters import mask as chapter
from attention_in_motion.chapters.oscillators import LADDER
from attention_in_motion.measures import mask, trajectories
from attention_in_motion.training.oscillator import OscillatorRun

PAGE = chapter.PAGE
MOVED = {"omega0_min": 8.0, "omega0_max": 12.0, "gamma": 0.4, "dt": 0.05, "context": 9}
TOY = {"steps": 1, "batch": 4, "lr": 1e-9, "n_seeds": 3, "n_test": 40, "retrain": True}


def untrained_mse(**cell):
    """MSE of the network before training on the moved physics: (seed,)."""
    shape = {"n_layers": 4, "d_model": 32, "d_head": 16, "context": 9, **cell}
    model = OscillatorRun(seeds=(0, 1, 2), **shape).model()
    omega0 = 8.0 + 4.0 * (torch.arange(40, dtype=torch.float64) + 0.5) / 40
    test = trajectories.held_out(omega0, gamma=(0.4, 0.4), dt=0.05, context=9)
    predicted = model(test.windows.expand(3, -1, -1, -1))[:, :, -1]
    return (predicted - test.next).square().mean(dim=(1, 2)).detach().double()


def test_without_training_the_page_measures_its_initial_networks_on_the_moved_physics(rerun):
    claims = rerun(PAGE, **MOVED, **TOY).claims
    closed, opened = untrained_mse(), untrained_mse(causal=False)
    told = untrained_mse(positions=True)
    ratio = (told / opened).log().mean().exp().item()
    assert claims["P2.11e"]["value"] == pytest.approx(ratio, rel=1e-3)
    assert abs(claims["P2.11c"]["value"]) < 1e-4  # the two losses have taught nothing yet
    assert claims["P2.11b"]["value"] != 0 and (closed != opened).any()
    assert claims["P2.11"]["value"] == pytest.approx(1.0, abs=0.3)  # nor has it learned to copy
    assert claims["P2.19"]["value"] < 1e-12


def test_a_parameter_of_another_page_ends_this_one_with_one_line(refusal):
    line = refusal(PAGE, "-p", "rollout_steps", "50")
    assert line.startswith("ValueError: rollout_steps: unknown parameter; known are omega0_min, ")


def test_the_cells_hold_every_combination_and_two_rungs_of_the_ladder():
    cells = chapter.factorial()
    assert len({tuple(sorted(cell.items())) for cell in cells.values()}) == 8
    first, *_, last = cells.values()
    assert (first["causal"], first["loss_on"], first["positions"]) == (True, "all", False)
    assert (last["causal"], last["loss_on"], last["positions"]) == (False, "last", True)
    for name in (chapter.MASKED, chapter.OPEN):
        rung = {"causal": True, **LADDER[name]}
        assert cells[name] == {**rung, "loss_on": "all", "positions": False}


def test_every_open_cell_may_be_examined_and_no_other(refusal):
    opened = [name for name, cell in chapter.factorial().items() if not cell["causal"]]
    assert set(get_args(chapter.Parameters.model_fields["examined"].annotation)) == set(opened)
    line = refusal(PAGE, "-p", "examined", chapter.MASKED)
    assert line.startswith("ValueError: examined = '4LA 32/16': must be '4LA 32/16 open', ")


def test_places_reach_the_last_position_of_the_posts_window_and_stay_inside_any():
    assert chapter.places(40) == list(range(0, 40, 3))
    assert chapter.places(5) == [0, 1, 2, 3, 4]
    assert max(chapter.places(400)) < 400


def test_the_table_of_cells_measures_attention_where_it_is_open():
    class Kept:
        def __init__(self, causal):
            shape = {"n_layers": 2, "d_model": 4, "d_head": 4, "context": 6}
            self.run = OscillatorRun(seeds=(0, 1), causal=causal, **shape)
            self.model = self.run.model()

    few = trajectories.held_out(trajectories.evenly(1, 4, 8), gamma=(0, 0), dt=0.1, context=6)
    mse = {"closed": torch.tensor([1.0, 1.0]), "open": torch.tensor([4.0, 4.0])}
    table = chapter.cells_table({"closed": Kept(True), "open": Kept(False)}, mse, few)
    closed, opened = [line.split("|")[1:-1] for line in table.splitlines()[2:]]
    assert closed[1].strip() == "1 [1, 1]" and closed[2].strip() == "masked"
    assert 0 < float(opened[2].split()[0]) < 1


def test_effects_are_named_main_effects_first():
    a, b = torch.meshgrid(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]), indexing="ij")
    outcome = (a + 3 * b + 4 * a * b)[..., None].expand(2, 2, 3)
    found = mask.effects(outcome, ["first", "second"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "first": [3.0] * 3,
        "second": [5.0] * 3,
        "first × second": [2.0] * 3,
    }
    three = mask.effects(torch.zeros(2, 2, 2, 1), ["a", "b", "c"])
    assert list(three) == ["a", "b", "c", "a × b", "a × c", "b × c", "all of them"]


def test_order_matters_to_a_model_with_positions_and_to_no_set():
    test = trajectories.held_out(
        trajectories.evenly(1, 4, 8), gamma=(0.1, 0.1), dt=0.1, context=7, dtype=torch.float64
    )
    rng = torch.Generator().manual_seed(1)
    for positions in (False, True):
        run = OscillatorRun(seeds=(0, 1), context=7, causal=False, positions=positions, n_layers=2)
        predict = trajectories.predictor(run.model().double())
        change = mask.change_by_order(predict, test.windows, rng)
        assert change.shape == (2,) and (change < 1e-12).all() != positions
