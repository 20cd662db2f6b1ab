"""Chapter 3's measurements against closed forms and planted answers."""

import math

import pytest
import torch
from attention_in_motion.experiments import OscillatorRun, SolverRun

from attention_in_motion import oscillator, variable_omega
from attention_in_motion.models import in_context_least_squares

double = torch.float64


def make(n=64, *, gamma=(0.1, 0.1), context=12, steps=10, low=1.0, high=4.0, **options):
    omega0 = variable_omega.evenly(low, high, n)
    shared = {"dt": 0.1, "context": context, "steps": steps, "dtype": double}
    return variable_omega.held_out(omega0, gamma=gamma, **{**shared, **options})


def exact_predictor(test):
    k = oscillator.propagator(test.omega0, test.gamma, test.dt)
    return lambda windows: (k * windows[..., -1:, :]).sum(-1)


def test_the_exact_map_makes_no_error_and_never_reaches_the_limit():
    test = make()
    assert variable_omega.one_step_mse(exact_predictor(test), test) < 1e-30
    error, phase = variable_omega.rollout_error(exact_predictor(test), test)
    assert error.max() < 1e-13 and phase.abs().max() < 1e-13
    assert (variable_omega.horizon(error) == 10).all()


def test_a_frozen_state_has_the_phase_error_of_the_time_it_waits():
    test = make(gamma=(0.0, 0.0))
    frozen = variable_omega.rollout_error(lambda windows: windows[..., -1, :], test)[1]
    swept = test.omega0[:, None] * 0.1 * torch.arange(1, 11)  # radians the truth moves on
    assert torch.allclose(torch.polar(torch.ones(1, dtype=double), frozen[0] + swept).angle(),
                          torch.zeros(1, dtype=double), atol=1e-9)  # fmt: skip


def test_horizon_counts_steps_up_to_the_first_one_beyond():
    errors = torch.tensor([[0.05, 0.2, 0.01], [0.2, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert variable_omega.horizon(errors).tolist() == [2, 1, 3]


def test_solved_eq_2_is_exact_for_as_many_frequencies_as_tokens():
    for n, exact in ((2, True), (3, False)):
        omega0 = torch.linspace(1, 4, n).repeat(60)
        sets = [
            variable_omega.held_out(
                omega0, gamma=(0.1, 0.1), dt=0.1, context=2, dtype=double, seed=s
            )
            for s in (0, 1)
        ]
        beta, _ = variable_omega.solved_linear(sets[0], rcond=1e-13)
        mse = variable_omega.one_step_mse(variable_omega.linear(beta), sets[1])
        assert (mse < 1e-25) == exact


def test_closed_loop_poles_of_one_frequency_are_the_oscillators():
    test = make(low=1.9999999, high=2.0000001, context=1)
    beta, _ = variable_omega.solved_linear(test, rcond=1e-13)
    poles = variable_omega.closed_loop_poles(beta)
    expected = math.exp(-0.01), math.sqrt(4 - 0.01) * 0.1
    assert torch.allclose(poles.abs(), torch.tensor(expected[0], dtype=double), atol=1e-6)
    assert torch.allclose(poles.angle().abs(), torch.tensor(expected[1], dtype=double), atol=1e-6)


def test_superposition_tells_linear_rules_from_those_that_find_the_frequency():
    test, other = make(), make(seed=5, low=4.0, high=1.0)
    affine = variable_omega.linear(torch.randn(25, 2, dtype=double))
    windows = test.windows, other.windows
    assert variable_omega.superposition_defect(affine, *windows) < 1e-12
    assert variable_omega.superposition_defect(in_context_least_squares, *windows) > 1e-2


def test_estimators_without_damping_and_over_whole_periods():
    whole = make(gamma=(0.0, 0.0), low=2 * math.pi - 1e-9, high=2 * math.pi + 1e-9, context=10)
    assert torch.allclose(variable_omega.moment_ratio(whole.windows), whole.omega0, rtol=1e-6)
    test = make(gamma=(0.0, 0.0), context=40)
    assert torch.allclose(variable_omega.slope(test.windows), test.omega0, rtol=1e-9)
    assert (variable_omega.moment_ratio(test.windows) / test.omega0 - 1).abs().max() > 0.01


def test_estimators_that_know_the_step_are_exact_with_damping():
    test = make(gamma=(0.0, 0.5), context=6)
    assert torch.allclose(variable_omega.least_squares(test.windows, 0.1), test.omega0, rtol=1e-9)
    found = variable_omega.neighbour(test.windows, test.gamma, 0.1)
    assert torch.allclose(found, test.omega0, rtol=1e-5)


def test_believed_omega0_reads_back_the_frequency_of_a_step():
    test = make(gamma=(0.0, 0.5))
    found = variable_omega.believed_omega0(test.windows[:, -1], test.next, test.gamma, 0.1)
    assert torch.allclose(found, test.omega0, rtol=1e-5)


def test_sensitivity_is_the_slope_of_the_next_state():
    test = make(n=8)
    k = oscillator.propagator(test.omega0 + 1e-7, test.gamma, 0.1)
    moved = (k * test.windows[:, -1, None, :]).sum(-1) - test.next
    found = variable_omega.sensitivity(test)
    assert torch.allclose(moved.norm(dim=-1) / 1e-7, found, rtol=1e-4)


def test_other_moments_keep_orbit_and_last_state_but_raise_the_ratio():
    test = make(gamma=(0.0, 0.0), context=40)
    cloud = variable_omega.with_other_moments(test.windows)
    energy = oscillator.energy(cloud, test.omega0[:, None])
    assert torch.allclose(energy, energy[:, :1].expand_as(energy), rtol=1e-9)
    assert torch.equal(cloud[:, -1], test.windows[:, -1])
    ratio = variable_omega.moment_ratio(cloud) / variable_omega.moment_ratio(test.windows)
    assert ratio.min() > 1.05


def test_partial_r2_finds_what_was_planted_and_nothing_else():
    rng = torch.Generator().manual_seed(0)
    given, cause, noise, idle = torch.randn(4, 4000, generator=rng, dtype=double)
    outcome = given**2 + cause + noise  # half of what the cubic leaves
    even = torch.ones_like(given)
    assert abs(variable_omega.partial_r2(outcome, cause, given, even) - 0.5) < 0.05
    assert abs(variable_omega.partial_r2(outcome, idle, given, even)) < 0.01
    noisy = torch.where(torch.arange(4000) < 2000, outcome, 1e6 * noise)
    seen = (torch.arange(4000) < 2000).double()
    assert abs(variable_omega.partial_r2(noisy, cause, given, seen) - 0.5) < 0.05


def test_the_leak_of_a_copier_is_seen_and_a_masked_model_has_none():
    test = make(context=6, dtype=torch.float32)
    run = OscillatorRun(seeds=(0, 1), n_layers=2, d_model=4, d_head=4)
    kept, exchanged = variable_omega.leak(run.model(), test, [0, 3, 5])
    assert torch.allclose(kept, exchanged, rtol=1e-4)

    class Copier(torch.nn.Linear):
        def forward(self, x):
            return torch.cat([x[:, :, 1:], x[:, :, -1:]], dim=2)

    kept, exchanged = variable_omega.leak(Copier(1, 1), test, [0, 3, 5])
    assert (kept[:, :2] == 0).all() and (exchanged[:, :2] > 0.01).all()
    assert torch.allclose(kept[:, 2], exchanged[:, 2])


def test_without_mask_and_positions_the_earlier_states_are_a_set():
    test = make(context=9)
    windows = torch.cat([test.windows[:, [3, 0, 7, 5, 1, 6, 2, 4]], test.windows[:, 8:]], dim=1)
    options = {"seeds": (0, 1), "n_layers": 3, "d_model": 8, "d_head": 4, "causal": False}
    for positions, same in ((False, True), (True, False)):
        model = OscillatorRun(context=9, positions=positions, **options).model().double()
        predict = variable_omega.predictor(model)
        change = (predict(windows[None]) - predict(test.windows[None])).abs().max()
        assert (change < 1e-12) == same


def test_effects_of_a_factorial_are_what_was_planted():
    a, b, _ = torch.meshgrid(*3 * [torch.tensor([0.0, 1.0])], indexing="ij")
    seeds = torch.tensor([0.0, 10.0])
    outcome = (2 * a - 3 * b + 4 * a * b)[..., None] + seeds  # (2, 2, 2, seed)
    # an interaction of 4 counts half in either main effect, and half of it is the interaction
    planted = {(0,): 4.0, (1,): -1.0, (2,): 0.0, (0, 1): 2.0, (0, 2): 0.0, (0, 1, 2): 0.0}
    for factors, value in planted.items():
        assert torch.allclose(variable_omega.effect(outcome, factors), torch.tensor(value))


@pytest.mark.parametrize("normalised", [True, False])
def test_a_normalised_solver_scales_with_its_window(normalised):
    run = SolverRun(
        seeds=(0, 1), context=7, positions=True, causal=False, d_mlp=4, normalised=normalised
    )
    model, windows = run.model().double(), make(context=7).windows.expand(2, -1, -1, -1)
    scaled = model(3 * windows) - 3 * model(windows)
    assert (scaled.abs().max() < 1e-12) == normalised
