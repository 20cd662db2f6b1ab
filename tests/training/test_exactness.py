"""The impossibility at toy size; second stages keep to one thread and give the others back."""

import pytest
import torch

from attention_in_motion.training import exactness, second_order
from attention_in_motion.training.descent import fit, initialisers
from attention_in_motion.training.oscillator import SolverRun

CELL = exactness.Cell(True, 1, 1, False)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def watch(monkeypatch, kind, name, then=None):
    """The thread counts at every call of kind.name, which does `then` instead if given."""
    seen, original = [], getattr(kind, name)

    def watched(*args, **options):
        seen.append(torch.get_num_threads())
        return (then or original)(*args, **options)

    monkeypatch.setattr(kind, name, watched)
    return seen


def fails(*args):
    raise ArithmeticError("planted")


def test_lbfgs_is_on_one_thread_and_gives_the_others_back(two_threads, monkeypatch):
    seen = watch(monkeypatch, exactness.Objective, "forward")
    exactness.refine(CELL, CELL.model(initialisers([0])), 0, iterations=2)
    assert seen and set(seen) == {1} and torch.get_num_threads() == 2


def test_levenberg_marquardt_is_on_one_thread_and_gives_the_others_back(two_threads, monkeypatch):
    run = SolverRun(seeds=(0,), context=3, points=8, d_mlp=2)
    seen = watch(monkeypatch, second_order.LevenbergMarquardt, "step")
    second_order.polish(run.model(), 0, run.double_batches(0), 2)
    assert seen == [1, 1] and torch.get_num_threads() == 2


def test_a_failure_gives_the_threads_back_too(two_threads, monkeypatch):
    seen = watch(monkeypatch, exactness.Objective, "forward", fails)
    with pytest.raises(ArithmeticError, match="planted"):
        exactness.refine(CELL, CELL.model(initialisers([0])), 0, iterations=2)
    assert seen == [1] and torch.get_num_threads() == 2


def bounded_minimum(cell, n_seeds=3):
    ensemble = cell.model(initialisers(range(n_seeds)))
    objective = exactness.Objective(ensemble)
    fit(objective, lambda m, _: m(), lambda step: torch.zeros(()), steps=150, lr=0.02)
    exactness.refine(cell, ensemble, int(objective().argmin()), 200)
    return objective().min().item()


@pytest.mark.parametrize(
    "cell",
    [
        exactness.Cell(False, 1, 1, True),
        exactness.Cell(False, 2, 1, True),
        exactness.Cell(False, 2, 2, False),
    ],
    ids=["one head", "two heads, d = 1", "two heads, no positions"],
)
def test_no_success_where_theory_forbids_it(cell):
    assert not cell.exact
    assert bounded_minimum(cell) > 1e-10


def test_success_where_theory_allows_it():
    cell = exactness.Cell(True, 1, 1, False)
    assert cell.exact
    assert bounded_minimum(cell) < 1e-20
