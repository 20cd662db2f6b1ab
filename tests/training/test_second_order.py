"""Second-order steps against exact answers."""

import torch
from torch import nn

from attention_in_motion.models.linear import LinearPredictor
from attention_in_motion.training.descent import initialisers
from attention_in_motion.training.oscillator import SolverRun
from attention_in_motion.training.second_order import LevenbergMarquardt
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
