"""Which layers can be exact: the impossibility and the possibility, at toy size."""

import pytest
import torch

from attention_in_motion.measures.motion_layer import largest_answer
from attention_in_motion.models import motion
from attention_in_motion.training import exactness
from attention_in_motion.training.descent import fit, initialisers, one_thread
from attention_in_motion.training.exactness import (
    CELLS,
    NORMED,
    Cell,
    Cells,
    ExactnessMap,
    Objective,
)


def bounded_minimum(cell, n_seeds=3):
    ensemble = cell.model(initialisers(range(n_seeds)))
    objective = Objective(ensemble)
    with one_thread():
        fit(objective, lambda m, _: m(), lambda step: torch.zeros(()), steps=150, lr=0.02)
        exactness.refine(cell, ensemble, int(objective().argmin()), 200)
    return objective().min().item()


@pytest.mark.parametrize(
    "cell",
    [Cell(False, 1, 1, True), Cell(False, 2, 1, True), Cell(False, 2, 2, False)],
    ids=["one head", "two heads, d = 1", "two heads, no positions"],
)
def test_no_success_where_theory_forbids_it(cell):
    assert not cell.possible
    assert bounded_minimum(cell) > 1e-10


def test_success_where_theory_allows_it():
    cell = Cell(True, 1, 1, False)
    assert cell.possible
    assert bounded_minimum(cell) < 1e-20


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.possible], ids=str)
def test_what_is_possible_is_written_down_within_the_bounds(cell):
    """`Objective` adds the squared excess over every bound to the error."""
    model = cell.by_hand()
    assert exactness.error_by_hand(cell) < 1e-20
    shapes = {name: weight.shape for name, weight in model.state_dict().items()}
    peer = cell.model(initialisers([0])).state_dict()
    assert shapes == {name: weight.shape for name, weight in peer.items()}


def test_every_cell_is_written_down_or_excluded_by_a_proof():
    counts = {why: sum(cell.why == why for cell in CELLS) for why in exactness.PROOFS}
    assert sum(counts.values()) == len(CELLS) == 46
    assert counts[exactness.EXACTLY] == 27 and counts[exactness.TO_ROUNDING] == 2
    assert counts[exactness.SATURATION] == 1 and counts[exactness.BOUNDED] == 0
    assert {cell.why for cell in NORMED} == {exactness.EXACTLY, exactness.BOUNDED}


def test_nothing_is_written_down_for_a_layer_norm():
    with pytest.raises(ValueError, match=r"^cell = residual, 1 head, .* pre-LN: cannot be exact"):
        NORMED[0].by_hand()


def test_the_cells_with_layer_norm_come_with_their_twins():
    run = ExactnessMap(seeds=(0, 1), layer_norm=True)
    model = run.model()
    assert [c._replace(layer_norm=False) for c in NORMED[:4]] == list(NORMED[4:])
    assert run.loss(model, torch.zeros(())).shape == (2 * len(NORMED),)
    unplaced = ExactnessMap(seeds=(0, 1), layer_norm=True, positions=False).model()
    assert [c._replace(positions=True) for c in unplaced.kinds] == list(model.kinds) == list(NORMED)
    assert all(cell.P is None for cell in unplaced.cells)
    names = [name for name, _ in model.ensemble(NORMED[1]).named_parameters()]
    assert "blocks.0.ln_1.w" in names and "blocks.0.ln_2.w" in names


def test_sealed_cells_have_no_stream_around_their_layer_norm():
    model = ExactnessMap(seeds=(0, 1), others="sealed").model()
    assert len({str(cell) for cell in model.kinds}) == len(model.kinds) == 12
    assert {cell.why for cell in model.kinds} == {exactness.BOUNDED}
    for cell, ensemble in zip(model.kinds, model.cells, strict=True):
        assert ensemble.blocks[0].post == cell.post
        assert (largest_answer(ensemble) > 0).all()  # it is refused where a stream goes around


def test_the_layer_written_by_hand_meets_the_bound_at_its_own_epsilon():
    """Its stream is (εx, −εx, 1, −1): 1/ε is what stands beside x, and the MSE is 0.043 ε⁴."""
    epsilon, cubic = 0.1, 1 / 4 * (2 / 7) / (5 / 3)
    layer = motion.pre_ln_layer(epsilon)
    assert exactness.constant(layer).item() == pytest.approx(1 / epsilon)
    within = Objective(layer, min_epsilon=0.999 * epsilon)().item()
    assert within == pytest.approx(cubic * epsilon**4, rel=0.05)
    beyond = Objective(layer, min_epsilon=2 * epsilon)().item()
    assert beyond - within == pytest.approx((1 / epsilon - 1 / (2 * epsilon)) ** 2)


def test_the_law_has_every_bound_once_for_each_layer():
    run = ExactnessMap(seeds=(0, 1), others="law")
    model = run.model()
    assert run.loss(model, torch.zeros(())).shape == (2 * 2 * len(exactness.EPSILONS),)
    by_layer = {}
    for cell, objective in zip(model.kinds, model.objectives, strict=True):
        assert objective.min_epsilon == cell.min_epsilon
        by_layer.setdefault(cell._replace(min_epsilon=0.0), []).append(cell.min_epsilon)
    assert list(by_layer.values()) == [list(exactness.EPSILONS)] * 2


def test_refining_keeps_to_the_bound_of_the_cell():
    cell = Cell(False, 1, 1, True, min_epsilon=1 / 4)
    cells = Cells((0,), (cell,))
    before = cells.objectives[0]().item()
    cells.refine(100, every_seed=True)
    assert 1 < exactness.constant(cells.cells[0]).item() <= 4.01
    assert cells.objectives[0]().item() < before / 2


def test_cells_that_nobody_knows_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^others = 'loud': must be one of sealed, law, or empty"):
        ExactnessMap(others="loud")


def test_every_seed_is_refined_where_asked():
    cells = Cells((0, 1), (Cell(True, 1, 1, False),))
    before = cells.objectives[0]()
    cells.refine(20)
    assert (cells.objectives[0]() < 0.9 * before).sum() == 1
    cells.refine(20, every_seed=True)
    assert (cells.objectives[0]() < 0.9 * before).all()


def test_a_mask_finds_its_cells():
    deep = exactness.which(lambda cell: cell.layers == 3)
    assert deep.dtype == torch.bool and len(deep) == len(CELLS)
    assert [cell for cell, chosen in zip(CELLS, deep, strict=True) if chosen] == [
        Cell(residual, 1, 2, not residual, 3, d_mlp)
        for residual in (False, True)
        for d_mlp in (0, 8)
    ]


def test_the_best_seed_of_a_cell_is_a_copy_of_its_own():
    cells, cell = Cells((0, 1, 2)), Cell(False, 2, 1, True)
    number = CELLS.index(cell)
    errors = cells.objectives[number]()
    best = cells.best(cell)
    assert Objective(best)().item() == pytest.approx(errors.min().item(), rel=1e-12)
    assert errors.min() < 0.99 * errors.max()  # the others would not pass
    best.P.add_(1.0)
    torch.testing.assert_close(cells.objectives[number](), errors)


def test_a_cell_off_the_map_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^cell = 3 heads, d = 1: is not on the map$"):
        Cells((0,)).best(Cell(False, 3, 1, False))


def test_silent_cells_have_the_unit_of_error():
    run = ExactnessMap(seeds=(0, 1))
    silent = run.model()
    for weight in silent.parameters():
        torch.nn.init.zeros_(weight)
    errors = run.normalised_mse(silent, torch.Generator().manual_seed(0))
    torch.testing.assert_close(errors, torch.ones(len(CELLS), 2, dtype=torch.float64))
