"""The oscillator against a matrix exponential, a numerical solver, and its conservation laws."""

import math

import pytest
import torch
from scipy.integrate import solve_ivp

from attention_in_motion.physics import oscillator

double = torch.float64


REGIMES = {"under": (0.0, 0.95), "critical": (1.0, 1.0), "over": (1.05, 8.0)}


def parameters(regime, n=200):
    rng = torch.Generator().manual_seed(1)
    low, high = REGIMES[regime]
    omega0 = 0.2 + 5 * torch.rand(n, generator=rng, dtype=double)
    gamma = omega0 * (low + (high - low) * torch.rand(n, generator=rng, dtype=double))
    dt = 0.01 + torch.rand(n, generator=rng, dtype=double)
    return omega0, gamma, dt


@pytest.mark.parametrize("regime", REGIMES)
def test_propagator_is_the_matrix_exponential(regime):
    omega0, gamma, dt = parameters(regime)
    exact = torch.linalg.matrix_exp(oscillator.dynamics_matrix(omega0, gamma) * dt[:, None, None])
    torch.testing.assert_close(
        oscillator.propagator(omega0, gamma, dt), exact, rtol=1e-11, atol=1e-13
    )


@pytest.mark.parametrize("regime", REGIMES)
def test_trajectory_agrees_with_a_numerical_solver(regime):
    omega0, gamma, _ = (part[0] for part in parameters(regime))
    times = torch.linspace(0, 3, 7, dtype=double)
    start = torch.tensor([0.3, -1.2], dtype=double)
    matrix = oscillator.dynamics_matrix(omega0, gamma).numpy()
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-13, "t_eval": times.numpy()}
    solved = solve_ivp(lambda t, x: matrix @ x, (0, 3), start.numpy(), **options).y.T
    mine = oscillator.trajectory(start, omega0, gamma, times)
    torch.testing.assert_close(mine, torch.from_numpy(solved), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("regime", REGIMES)
def test_two_half_steps_are_one(regime):
    omega0, gamma, dt = parameters(regime)
    half = oscillator.propagator(omega0, gamma, dt / 2)
    torch.testing.assert_close(
        half @ half, oscillator.propagator(omega0, gamma, dt), rtol=1e-12, atol=1e-14
    )


def test_determinant_obeys_abel():
    omega0, gamma, dt = parameters("under")
    det = torch.linalg.det(oscillator.propagator(omega0, gamma, dt))
    torch.testing.assert_close(det, torch.exp(-2 * gamma * dt), rtol=1e-12, atol=0)


def test_smooth_through_critical_damping():
    omega0 = torch.full((9,), 1.7, dtype=double)
    offset = torch.tensor([-1e-4, -1e-7, -1e-10, -1e-14, 0, 1e-14, 1e-10, 1e-7, 1e-4])
    near = oscillator.propagator(omega0, omega0 + offset.double(), 0.3)
    slope = (near[-1] - near[0]) / 2e-4  # a smooth curve stays on its chord
    chord = near[4] + slope * offset.double()[:, None, None]
    torch.testing.assert_close(near, chord, rtol=0, atol=1e-8)


def test_extreme_damping_stays_finite_in_float32():
    flow = oscillator.propagator(
        torch.tensor([1e-3, 1.0, 500.0]), torch.tensor([400.0, 1e4, 3.0]), 10.0
    )
    assert flow.isfinite().all()


def test_energy_is_conserved_without_damping_and_falls_with_it():
    start = oscillator.sample_normal((50,), 1.0, torch.Generator().manual_seed(0)).to(double)
    times = oscillator.uniform_times(500, 0.1, double)
    free = oscillator.energy(oscillator.trajectory(start, 2.0, 0.0, times), 2.0)
    torch.testing.assert_close(free, free[:, :1].expand_as(free), rtol=1e-12, atol=0)
    damped = oscillator.energy(oscillator.trajectory(start, 2.0, 0.3, times), 2.0)
    assert (damped.diff(dim=1) < 0).all()


def test_phase_space_error_splits_into_amplitude_and_phase():
    omega0, gamma = torch.tensor(2.0, dtype=double), torch.tensor(0.1, dtype=double)
    omega = oscillator.damped_frequency(omega0, gamma)
    start = torch.tensor([0.4, 0.9], dtype=double)
    times = torch.tensor([1.0, 1.0 + 0.01 / omega], dtype=double)
    true, late = oscillator.trajectory(start, omega0, gamma, times)
    boost = 1.02 * torch.exp(gamma * 0.01 / omega)  # undo the decay, then grow by 2%
    error, amplitude, phase = oscillator.phase_space_error(boost * late, true, omega0, gamma)
    assert amplitude.item() == pytest.approx(math.log(1.02), abs=1e-12)
    assert phase.item() == pytest.approx(0.01, abs=1e-12)
    assert error.item() == pytest.approx(abs(1.02 * complex(math.cos(0.01), 0.01) - 1), rel=1e-4)


def test_identify_inverts_the_propagator():
    omega0, gamma, dt = parameters("under")
    keep = oscillator.damped_frequency(omega0, gamma) * dt < 3
    found = oscillator.identify(oscillator.propagator(omega0, gamma, dt)[keep], dt[keep])
    torch.testing.assert_close(found[0], omega0[keep], rtol=1e-9, atol=0)
    torch.testing.assert_close(found[1], gamma[keep], rtol=1e-8, atol=1e-10)


def test_integrators_have_their_textbook_order():
    omega0, gamma = torch.tensor(1.3, dtype=double), torch.tensor(0.2, dtype=double)
    orders = {"Euler": 2, "symplectic Euler": 2, "midpoint": 3, "RK4": 5}

    def gap(dt):
        exact = oscillator.propagator(omega0, gamma, dt)
        maps = oscillator.integrator_maps(omega0, gamma, dt)
        return {name: (exact - m).norm().item() for name, m in maps.items()}

    coarse, fine = gap(0.02), gap(0.01)
    for name, order in orders.items():
        assert math.log2(coarse[name] / fine[name]) == pytest.approx(order, abs=0.1)


def test_samplers_keep_their_ranges_and_their_generator():
    for draw in (
        lambda rng: oscillator.sample_box((1000,), 0.2, 0.7, rng),
        lambda rng: oscillator.sample_normal((1000,), 2.0, rng),
        lambda rng: oscillator.sample_energy((1000,), 1.0, 4.0, 3.0, rng),
    ):
        one, two = (draw(torch.Generator().manual_seed(5)) for _ in range(2))
        assert torch.equal(one, two)
    box = oscillator.sample_box((1000,), 0.2, 0.7, torch.Generator().manual_seed(0))
    assert 0.2 <= box.min() < 0.21 and 0.69 < box.max() <= 0.7
    energies = oscillator.energy(
        oscillator.sample_energy((1000,), 1, 4, 3, torch.Generator().manual_seed(0)), 3
    )
    assert 0.999 < energies.min() < 1.05 and 3.95 < energies.max() < 4.001


@pytest.mark.parametrize(
    ("omega0", "gamma", "named"),
    [(-1.0, 0.1, "omega0 = -1"), (2.0, -0.1, "gamma = -0.1"), (2.0, 2.0, "gamma = 2")],
)
def test_regimes_without_a_frequency_are_refused(omega0, gamma, named):
    with pytest.raises(ValueError, match=named):
        oscillator.phase_point(torch.ones(2), torch.tensor(omega0), torch.tensor(gamma))


def test_reversed_energies_are_refused():
    with pytest.raises(ValueError, match="e_min = 2"):
        oscillator.sample_energy((1,), 2.0, 1.0, 1.0, torch.Generator())
