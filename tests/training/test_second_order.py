"""Second-order steps against exact answers."""

import pytest
import torch
from torch import nn

from attention_in_motion.models.linear import LinearPredictor
from attention_in_motion.training import exactness
from attention_in_motion.training.descent import initialisers
from attention_in_motion.training.oscillator import SolverRun
from attention_in_motion.training.second_order import LevenbergMarquardt, polish
from attention_in_motion.training.store import train


def problem(n=60):
    rng = torch.Generator().manual_seed(0)
    windows = torch.randn(n, 3, 2, generator=rng, dtype=torch.float64)
    truth = LinearPredictor(initialisers([9]), 3).double()
    with torch.no_grad():
        return windows, truth(windows[None])[0, :, -1]


def test_a_linear_model_is_solved_in_a_few_steps():
    windows, target = problem()
    optimiser = LevenbergMarquardt(LinearPredictor(initialisers([0, 1]), 3).double(), index=1)
    with torch.no_grad():
        errors = [optimiser.step(windows, target) for _ in range(4)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-20


def test_the_jacobian_is_that_of_finite_differences():
    model = SolverRun(seeds=(0,), context=3, positions=True, causal=False, d_mlp=3).model()
    optimiser, (windows, _) = LevenbergMarquardt(model.double(), index=0), problem(5)
    with torch.no_grad():
        jacobian = optimiser.jacobian(windows)
        for k in (0, 7, len(optimiser.theta) - 1):
            shift = torch.zeros_like(optimiser.theta)
            shift[k] = 1e-6
            ends = [optimiser.predict(optimiser.theta + s * shift, windows) for s in (1, -1)]
            slope = (ends[0] - ends[1]).flatten() / 2e-6
            assert torch.allclose(jacobian[:, k], slope, atol=1e-8)


def test_a_weight_counts_a_window_as_often_as_its_square_says():
    windows, target = problem()
    thrice = (
        torch.cat([windows, windows[:20].repeat(3, 1, 1)]),
        torch.cat([target, target[:20].repeat(3, 1)]),
    )
    weight = torch.ones(60, 1, dtype=torch.float64)
    weight[:20] = 2
    found = []
    for data in (
        (windows, target + windows[:, 0] ** 2, weight),
        (thrice[0], thrice[1] + thrice[0][:, 0] ** 2),
    ):
        optimiser = LevenbergMarquardt(LinearPredictor(initialisers([0]), 3).double(), index=0)
        with torch.no_grad():
            for _ in range(4):
                optimiser.step(*data)
        found.append(optimiser.theta)
    assert torch.allclose(*found, atol=1e-8)


def test_relative_errors_are_those_over_the_step_of_later_windows():
    range_ = {"omega0_min": 1.0, "omega0_max": 4.0, "dt_min": 0.1}
    run = SolverRun(seeds=(3,), context=3, points=8, iterations=5, **range_)
    (states, one), (later, weight) = (run.double_batches(3, on)(0) for on in (False, True))
    assert one == 1.0 and states.shape == later.shape and not torch.equal(states, later)
    assert weight.shape == (8, 1) and (weight >= 1).all() and (weight <= 1 / 0.1).all()
    # where the motion is undamped the step can be read off three states: cos(ω0 Δt) from their sum
    plain = SolverRun(seeds=(3,), context=3, points=8, dt_min=0.1, omega0_min=2.0, omega0_max=2.0,
                      gamma_min=0.0, gamma_max=0.0)  # fmt: skip
    x, over = plain.double_batches(3, relative=True)(0)
    turn = (x[:, 0, 0] + x[:, 2, 0]) / (2 * x[:, 1, 0])
    steps = torch.where(over[:, 0] > 1, 1 / over[:, 0], torch.acos(turn) / 2)
    assert torch.allclose(torch.cos(2 * steps), turn, atol=1e-4)


def test_polishing_lowers_the_error_of_every_seed_and_keeps_the_precision():
    run = SolverRun(
        seeds=(0, 1), steps=20, batch=32, context=5, omega0_min=1.0, omega0_max=4.0, d_model=4,
        d_head=4, positions=True, causal=False, d_mlp=4, loss_on="last", points=128,
    )  # fmt: skip
    plain = train(run)
    polished = train(SolverRun(**{**vars(run), "iterations": 5}))
    states = run.draw(torch.Generator().manual_seed(0), 1)[0][0].expand(2, -1, -1, -1)

    def error(model: nn.Module):
        return (model(states[:, :, :-1])[:, :, -1] - states[:, :, -1]).square().mean(dim=(1, 2))

    assert (error(polished.model) < error(plain.model) / 2).all()
    assert next(polished.model.parameters()).dtype == torch.float32


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
    seen = watch(monkeypatch, LevenbergMarquardt, "step")
    polish(run.model(), 0, run.double_batches(0), 2)
    assert seen == [1, 1] and torch.get_num_threads() == 2


def test_a_failure_gives_the_threads_back_too(two_threads, monkeypatch):
    seen = watch(monkeypatch, exactness.Objective, "forward", fails)
    with pytest.raises(ArithmeticError, match="planted"):
        exactness.refine(CELL, CELL.model(initialisers([0])), 0, iterations=2)
    assert seen == [1] and torch.get_num_threads() == 2
