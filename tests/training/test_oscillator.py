"""What the runs draw."""

import math
from dataclasses import replace

import pytest
import torch

from attention_in_motion.models.linear import in_context_least_squares, in_context_map
from attention_in_motion.physics import oscillator
from attention_in_motion.training.oscillator import (
    OscillatorRun,
    SolverRun,
    between,
    log_uniform_steps,
)


def test_steps_are_log_uniform_up_to_a_whole_period():
    omega0 = 1 + 3 * torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    dt = log_uniform_steps(omega0, 0.02, torch.Generator().manual_seed(1))
    share = (dt / 0.02).log() / (2 * math.pi / omega0 / 0.02).log()
    assert share.min() >= 0 and share.max() <= 1
    deciles = share.quantile(torch.linspace(0.1, 0.9, 9))
    assert (deciles - torch.linspace(0.1, 0.9, 9)).abs().max() < 0.02


def test_a_run_with_variable_steps_draws_trajectories_of_one_step_each():
    run = OscillatorRun(omega0_min=1.0, omega0_max=4.0, dt_min=0.02, context=9, batch=64)
    states = run.draw(torch.Generator().manual_seed(0), 2)[0].double()
    assert states.shape == (2, 64, 10, 2)
    predicted = in_context_least_squares(states[..., :-1, :])
    assert torch.allclose(predicted, states[..., -1, :], atol=1e-3)
    change = (states[..., 1, :] - states[..., 0, :]).norm(dim=-1)
    assert change.std() > 0.3  # steps of very different lengths


def test_other_runs_draw_what_they_drew_before():
    run = OscillatorRun(omega0_min=1.0, omega0_max=4.0, context=5, start="box", batch=7)
    rng = torch.Generator().manual_seed(3)
    states = run.draw(rng, 2)[0]
    rng = torch.Generator().manual_seed(3)
    state0 = oscillator.sample_box((2, 7), 0.0, 1.0, rng)
    omega0 = between(1.0, 4.0, (2, 7), rng)
    times = oscillator.uniform_times(6, 0.1)
    assert torch.equal(states, oscillator.trajectory(state0, omega0, 0.1, times))


def test_scored_positions_lie_between_the_last_and_all():
    run = OscillatorRun(context=5, batch=7, seeds=(0, 1))
    model, batch = run.model(), run.batches()(0)

    def loss(**options):
        return replace(run, **options).loss(model, batch)

    torch.testing.assert_close(loss(scored=(5,)), loss(loss_on="last"))
    torch.testing.assert_close(loss(scored=(1, 2, 3, 4, 5)), loss())
    alone = torch.stack([loss(scored=(t,)) for t in (1, 5)])
    torch.testing.assert_close(loss(scored=(1, 5)), alone.mean(dim=0))
    assert not torch.allclose(loss(scored=(1, 5)), loss(), rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"scored": (0,)}, r"scored = \(0,\): must be in 1 ... context = 1"),
        ({"scored": (1, 2)}, r"scored = \(1, 2\): must be in 1 ... context = 1"),
        ({"dt_min": -0.1}, "dt_min = -0.1: must be >= 0 and < 2π/omega0_max = 3.14"),
        ({"dt_min": 4.0}, "dt_min = 4: must be >= 0 and < 2π/omega0_max = 3.14"),
    ],
)
def test_impossible_steps_are_refused(options, line):
    with pytest.raises(ValueError, match=f"^{line}$"):
        OscillatorRun(**options)


def test_a_solver_with_variable_steps_draws_the_same_motion_with_and_without_a_foreign_last_state():
    run = SolverRun(omega0_min=1.0, omega0_max=4.0, gamma_max=0.2, dt_min=0.02, context=9, batch=64)
    plain = run.draw(torch.Generator().manual_seed(0), 2)[0].double()
    foreign = replace(run, foreign_last=True).draw(torch.Generator().manual_seed(0), 2)[0].double()
    assert torch.equal(foreign[..., :-2, :], plain[..., :-2, :])
    assert torch.equal(foreign[..., -2, :], plain[..., -2, :].roll(1, dims=1))
    flow = in_context_map(plain[..., :-1, :])  # K of each window's own ω0, γ and Δt
    for states in (plain, foreign):
        after = (flow @ states[..., -2, :, None])[..., 0]
        assert (after - states[..., -1, :]).abs().median() < 1e-5
        torch.testing.assert_close(after, states[..., -1, :], atol=0.02, rtol=0)


def test_noise_falls_on_the_window_and_not_on_what_follows():
    clean = SolverRun(omega0_min=1.0, omega0_max=4.0, context=9, start="box", batch=200)
    states = clean.draw(torch.Generator().manual_seed(3), 2)[0]
    noisy = replace(clean, noise=0.03).draw(torch.Generator().manual_seed(3), 2)[0]
    assert torch.equal(noisy[..., -1, :], states[..., -1, :])
    seen = (noisy - states)[..., :-1, :]
    assert seen.std().item() == pytest.approx(0.03, rel=0.05)
    assert abs(seen.mean().item()) < 0.002


def test_a_foreign_last_state_goes_where_the_windows_own_frequency_takes_it():
    run = SolverRun(omega0_min=1.0, omega0_max=4.0, context=9, start="box", batch=50)
    rng, same = (torch.Generator().manual_seed(3) for _ in range(2))
    (states,) = run.draw(rng, 2)
    _, omega0, gamma, dt = run.oscillators(same, (2, 50))
    (mixed,) = replace(run, foreign_last=True).draw(torch.Generator().manual_seed(3), 2)
    assert torch.equal(mixed[..., :-2, :], states[..., :-2, :])
    assert torch.equal(mixed[:, 1:, -2], states[:, :-1, -2])
    flow = oscillator.propagator(omega0, gamma, dt)
    torch.testing.assert_close(mixed[..., -1, :], (flow @ mixed[..., -2, :, None])[..., 0])
