"""Which layers can be exact: the impossibility and the possibility, at toy size."""

import pytest
import torch

from attention_in_motion.training import exactness
from attention_in_motion.training.descent import fit, initialisers, one_thread
from attention_in_motion.training.exactness import CELLS, Cell, Cells, ExactnessMap, Objective


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
    assert not cell.exact
    assert bounded_minimum(cell) > 1e-10


def test_success_where_theory_allows_it():
    cell = Cell(True, 1, 1, False)
    assert cell.exact
    assert bounded_minimum(cell) < 1e-20


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
