"""Jacobians: those of linear maps are their matrices, those of estimators what errors do."""

import pytest
import torch

from attention_in_motion.measures import fingerprint, trajectories
from attention_in_motion.models.linear import in_context_least_squares
from attention_in_motion.physics import oscillator

GAMMA, DT, T = 0.1, 0.1, 12
OMEGA0 = trajectories.evenly(1.0, 4.0, 10)
TEST = trajectories.held_out(
    OMEGA0, gamma=(GAMMA, GAMMA), dt=DT, context=T, dtype=torch.float64, seed=3
)
METHODS = {"next": fingerprint.next_by_next(GAMMA, DT), "orbit": fingerprint.whole_orbit(GAMMA, DT)}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_jacobian_of_a_linear_map_is_its_matrix():
    matrix = normal(2, T, 2)

    def predict(windows):
        return torch.einsum("otc,...tc->...o", matrix, windows)

    found = fingerprint.jacobian(predict, TEST.windows.expand(3, -1, -1, -1))
    torch.testing.assert_close(found, matrix.expand(3, 10, 2, T, 2))


@pytest.mark.parametrize("name", METHODS)
def test_an_estimator_is_exact_without_noise(name):
    predict = fingerprint.estimator(METHODS[name], OMEGA0)
    torch.testing.assert_close(predict(TEST.windows), TEST.next, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_the_derivative_of_one_step_is_that_of_the_minimum(name):
    """Beside a difference quotient of answers that many steps have brought to the minimum."""
    found = fingerprint.jacobian(fingerprint.estimator(METHODS[name], OMEGA0), TEST.windows)
    push, size = normal(*TEST.windows.shape, seed=1), 1e-5
    minimal = fingerprint.estimator(METHODS[name], OMEGA0, steps=6)
    there, back = (minimal(TEST.windows + sign * size * push) for sign in (1, -1))
    moved = (found * push[:, None]).sum(dim=(-2, -1))
    torch.testing.assert_close((there - back) / (2 * size), moved, rtol=1e-5, atol=1e-7)


def test_the_whole_orbit_bears_noise_best_and_as_its_fingerprint_says():
    """To first order the error of an exact method is its Jacobian times the noise."""
    sigma, many = 1e-3, 400
    noisy = TEST.windows + sigma * normal(many, *TEST.windows.shape, seed=2)
    errors = {}
    for name, method in METHODS.items():
        answers = fingerprint.estimator(method, OMEGA0, steps=6)(noisy)
        errors[name] = ((answers - TEST.next) ** 2).sum(-1).mean().item() / sigma**2
        jacobian = fingerprint.jacobian(fingerprint.estimator(method, OMEGA0), TEST.windows)
        expected = jacobian.square().sum(dim=(1, 2, 3)).mean().item()
        assert errors[name] == pytest.approx(expected, rel=0.1)
    free = ((in_context_least_squares(noisy) - TEST.next) ** 2).sum(-1).mean().item() / sigma**2
    assert errors["orbit"] < errors["next"] / 3 and errors["next"] < free


def test_the_posterior_mean_is_the_sum_over_all_starts_and_frequencies():
    """Beside a plain sum over a fine grid of starts as well, which integrates nothing out."""
    noise, grid = 0.3, trajectories.evenly(1.0, 4.0, 16)
    windows = TEST.windows[:2, :6] + noise * normal(2, 6, 2, seed=4)
    x, p = torch.meshgrid(*2 * [torch.linspace(-5, 5, 161, dtype=torch.float64)], indexing="ij")
    starts = torch.stack([x, p], dim=-1).reshape(-1, 1, 2)
    times = torch.arange(1, 8, dtype=torch.float64) * DT
    flow = oscillator.propagator(grid[:, None, None], GAMMA, times)  # (G, 1, 7, 2, 2)
    orbits = (flow @ starts[..., None])[..., 0]  # (G, start, 7, 2)
    misfit = (windows[:, None, None] - orbits[..., :6, :]).square().sum((-2, -1))
    belief = (-misfit / (2 * noise**2)).flatten(1).softmax(-1)  # (2, G · start)
    expected = belief @ orbits[..., 6, :].flatten(0, 1)
    found = fingerprint.posterior_mean(GAMMA, DT, noise, grid)(windows)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_with_little_noise_the_posterior_mean_is_maximum_likelihood_and_with_much_it_is_better():
    grid = trajectories.evenly(0.99, 4.01, 600)
    errors = {}
    for sigma in (0.01, 0.3):
        noisy = TEST.windows + sigma * normal(20, *TEST.windows.shape, seed=5)
        mean = fingerprint.posterior_mean(GAMMA, DT, sigma, grid)(noisy)
        best = fingerprint.estimator(METHODS["orbit"], OMEGA0, steps=8)(noisy)
        errors[sigma] = [(one - TEST.next).square().mean().item() for one in (mean, best)]
    assert errors[0.01][0] == pytest.approx(errors[0.01][1], rel=0.1)
    assert errors[0.3][0] < 0.9 * errors[0.3][1]


def test_likeness_is_one_zero_and_minus_one_where_it_must_be():
    a, b = torch.zeros(2, 4, 2, T, 2, dtype=torch.float64)
    a[..., 0, 0], b[..., 1, 1] = 2.0, 3.0
    for other, expected in ((5 * a, 1.0), (b, 0.0), (-a, -1.0)):
        assert float(fingerprint.likeness(a, other)) == pytest.approx(expected)
    a[..., -1, :], b[..., -1, :] = 100.0, 100.0  # the last state does not count
    assert fingerprint.between_windows(a).item() == pytest.approx(1)
    mixed = torch.cat([a[:2], b[:1]])  # of three pairs of windows one is alike
    assert fingerprint.between_windows(mixed).item() == pytest.approx(1 / 3)
    alike = fingerprint.between_seeds(torch.stack([a, a, b]))
    torch.testing.assert_close(alike, torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64))
