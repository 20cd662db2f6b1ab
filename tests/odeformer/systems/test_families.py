"""The analytic families follow their exact solutions, and none of their range is lost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from attention_in_motion.odeformer.language.expressions import vector_field
from attention_in_motion.odeformer.systems.families import FAMILIES, family_group
from attention_in_motion.odeformer.systems.simulate import solve


@pytest.mark.parametrize(
    ("name", "flow"),
    [
        ("exponential", lambda c, x, t: x * np.exp(c[0] * t)),
        (
            "logistic",
            lambda c, x, t: c[0] * x / (-c[1] * x + (c[0] + c[1] * x) * np.exp(-c[0] * t)),
        ),
        ("hyperbolic", lambda c, x, t: x / (1 - c[0] * x * t)),
        ("affine", lambda c, x, t: (x + c[0] / c[1]) * np.exp(c[1] * t) - c[0] / c[1]),
        (
            "sine",
            lambda c, x, t: (
                (2 * np.arctan2(np.sin(u(c, x)) * np.exp(c[0] * c[2] * t), np.cos(u(c, x))) - c[1])
                / c[2]
            ),
        ),
    ],
)
def test_families_in_one_dimension_follow_their_closed_form(name, flow):
    group = family_group(np.random.default_rng(0), name, 40, 64)
    assert group.values.shape[2] > 20
    for j, constants in enumerate(group.constants.T):
        x = group.values[:, 0, j]
        exact = flow(constants, x[0], group.times - 1)
        if name == "sine":  # the closed form is known up to a period
            exact += (
                2 * np.pi / constants[2] * np.round((x[0] - exact[0]) * constants[2] / 2 / np.pi)
            )
        assert np.abs(x - exact).max() < 1e-7 * np.abs(x).max()


def u(c: np.ndarray, x: float) -> float:
    """Half the phase of x' = a sin(b x + φ): tan(u) grows like exp(a b t)."""
    return (c[2] * x + c[1]) / 2


@pytest.mark.parametrize("name", ["linear", "damped"])
def test_linear_families_follow_the_matrix_exponential(name):
    group = family_group(np.random.default_rng(1), name, 30, 64)
    for j, sample in enumerate(itertools.islice(group.samples(), 20)):
        field, constants = vector_field(sample.system), group.constants[:, j]
        matrix = np.stack([field(e, constants) for e in np.eye(2)], axis=1)
        eigenvalues, vectors = np.linalg.eig(matrix)
        modes = np.linalg.solve(vectors, sample.values[0].astype(complex))
        exact = (np.exp(np.outer(sample.times - 1, eigenvalues)) * modes) @ vectors.T
        assert np.abs(sample.values - exact).max() < 1e-7 * np.abs(sample.values).max()


def test_lotka_volterra_keeps_its_invariant():
    group = family_group(np.random.default_rng(2), "lotka_volterra", 50, 64)
    a, b, c, d = np.abs(group.constants)
    x, y = group.values[:, 0], group.values[:, 1]  # (n_points, columns)
    invariant = d * x - c * np.log(x) + b * y - a * np.log(y)
    assert np.abs(invariant - invariant[0]).max() < 1e-6


def energy(name: str, constants: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """y²/2 + V(x), with y' = −V'(x): (n_points, columns)."""
    if name == "oscillator":
        return y**2 / 2 - constants[0] * x**2 / 2
    if name == "pendulum":
        return y**2 / 2 + constants[0] * np.cos(x)
    return y**2 / 2 - constants[0] * x**2 / 2 - constants[1] * x**4 / 4


@pytest.mark.parametrize("name", ["oscillator", "pendulum", "duffing"])
def test_families_without_friction_keep_their_energy(name):
    group = family_group(np.random.default_rng(17), name, 30, 64)
    found = energy(name, group.constants, group.values[:, 0], group.values[:, 1])
    size = np.abs(group.values[:, 1]).max(axis=0) ** 2 + np.abs(found[0])  # (columns,)
    assert (np.abs(found - found[0]) < 1e-6 * size).all()


def test_sir_keeps_its_sum_rule():
    """x + y − (γ/β) log x is constant: everyone infected was susceptible."""
    group = family_group(np.random.default_rng(18), "sir", 30, 64)
    x, y = group.values[:, 0], group.values[:, 1]  # (n_points, columns)
    beta, gamma = group.constants[1], -group.constants[2]
    total = x + y - gamma / beta * np.log(x)
    assert np.abs(total - total[0]).max() < 1e-6
    assert (np.diff(x + y, axis=0) < 0).all()


def test_van_der_pol_reaches_its_limit_cycle():
    """For small μ the amplitude tends to 2, from inside and from outside."""
    system = FAMILIES["van_der_pol"].system
    start, constants = np.array([[0.5, 3.5], [0.0, 0.0]]), np.array([[-16.0], [-0.8], [0.8]])
    group = solve(system, np.tile(constants, 2), start, 400, "test", 1000, 1e-8)
    assert np.abs(np.abs(group.values[300:, 0]).max(axis=0) - 2).max() < 0.02


def test_fitzhugh_nagumo_is_the_textbook_system():
    """At (v, w) the drawn constants give s(v − v³/3 − w + I) and sε(v + a − b w)."""
    system, draw = FAMILIES["fitzhugh_nagumo"]
    constants, _ = draw(np.random.default_rng(19), 50)
    current, pace, cubic, minus = constants[:4]
    assert np.allclose(minus, -pace) and np.allclose(cubic, -pace / 3)
    a, b = constants[4] / constants[5], -constants[6] / constants[5]
    for values, low, high in [
        *((pace, 1, 5), (constants[5] / pace, 0.05, 0.5), (current / pace, 0.1, 1)),
        *((a, 0.5, 1), (b, 0.4, 1)),
    ]:
        assert low <= values.min() and values.max() <= high
    v, w = np.linspace(-2, 2, 50), np.linspace(-1, 3, 50)
    found = vector_field(system)(np.stack([v, w]), constants)
    expected = [pace * (v - v**3 / 3 - w) + current, constants[5] * (v + a - b * w)]
    assert np.allclose(found, expected)


def test_a_family_loses_only_what_reaches_the_bound():
    """x' = c x: kept exactly where |x(1)| exp(9 c) is below 100, however fast it decays."""
    constants, start = FAMILIES["exponential"].draw(np.random.default_rng(20), 3000)
    group = family_group(np.random.default_rng(20), "exponential", 25, 3000)
    expected = constants[0][np.abs(start[0]) * np.exp(9 * constants[0]).clip(1) < 100]
    assert np.array_equal(group.constants[0], expected)


@pytest.mark.parametrize("name", ["oscillator", "damped", "pendulum"])
def test_no_frequency_is_filtered_out(name):
    """ω is uniform on [0.1, 5]: the largest kept, the quantiles and the share are as drawn."""
    group = family_group(np.random.default_rng(21), name, 25, 1000)
    omega = np.sqrt(-group.constants[0])
    assert len(omega) >= 980 and omega.max() > 4.5
    expected = 0.1 + 4.9 * np.array([0.25, 0.5, 0.75])
    assert np.abs(np.quantile(omega, [0.25, 0.5, 0.75]) - expected).max() < 5 * 4.9 / 2 / 31.6
