"""Random ODE systems: exact flows, SciPy, filters, corruption, and the scaled convention."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from attention_in_motion.odeformer.language.expressions import (
    canonical,
    constants_of,
    skeleton,
    vector_field,
    with_constants,
)
from attention_in_motion.odeformer.systems.families import (
    FAMILIES,
    FAMILY_SKELETONS,
    family_group,
    signed,
)
from attention_in_motion.odeformer.systems.prior import (
    PRIORS,
    decorate,
    held_out,
    random_group,
    random_system,
    random_tree,
    stationary,
    words_of,
)
from attention_in_motion.odeformer.systems.scale import change_units
from attention_in_motion.odeformer.systems.simulate import extrapolation_weights, integrate, solve
from attention_in_motion.odeformer.systems.trajectories import (
    Sample,
    corrupt,
    corrupt_as_published,
    rescale,
    with_canonical_target,
)


def reference(sample: Sample) -> np.ndarray:
    """SciPy's solution from the sample's first point on its times, (n_points, dimension)."""
    field, constants = vector_field(sample.system), np.array(constants_of(sample.system))
    solution = solve_ivp(
        lambda _, x: field(x, constants),
        (sample.times[0], sample.times[-1]),
        sample.values[0],
        method="DOP853",
        t_eval=sample.times,
        rtol=1e-12,
        atol=1e-14,
    )
    return solution.y.T


def relative_error(sample: Sample) -> float:
    size = np.maximum(1, np.abs(sample.values).max(axis=0))
    return (np.abs(reference(sample) - sample.values) / size).max()


def random_samples(dimension: int, n: int, seed: int, prior: str = "repaired") -> list[Sample]:
    """Samples of the random prior, at most three of one system."""
    rng = np.random.default_rng(seed)
    systems = (random_system(rng, dimension, prior) for _ in itertools.count())
    groups = (random_group(rng, system, 40, 64, prior, most=3) for system in systems)
    return list(itertools.islice((s for group in groups for s in group.samples()), n))


# ---------------------------------------------------------------------------------------------
# Integration


def test_extrapolation_weights_remove_even_powers():
    weights, n = extrapolation_weights(np.array([8, 6, 4, 2])), np.array([8.0, 6, 4, 2])
    assert np.isclose(weights.sum(), 1)
    for power in (2, 4, 6):
        assert abs(weights @ n**-power) < 1e-13


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


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("prior", PRIORS)
def test_random_systems_agree_with_scipy(dimension, prior):
    for sample in random_samples(dimension, 12, seed=dimension, prior=prior):
        assert relative_error(sample) < 1e-6, sample.system


def test_columns_do_not_see_each_other():
    rng = np.random.default_rng(3)
    system, times = FAMILIES["linear"].system, np.linspace(1, 10, 20)
    constants, start = FAMILIES["linear"].draw(rng, 16)
    field = vector_field(system)
    values, kept = integrate(field, start, constants, times)
    for j in range(16):
        alone, kept_alone = integrate(field, start[:, [j]], constants[:, [j]], times)
        assert kept_alone[0] == kept[j]
        assert np.allclose(alone[:, :, 0], values[:, :, j], rtol=1e-12, equal_nan=True)


def test_error_falls_with_the_tolerance():
    field, times = vector_field(FAMILIES["damped"].system), np.linspace(1, 10, 5)
    arguments = field, np.array([[1.0], [0.0]]), np.array([[-9.0], [0.0]]), times
    exact = np.cos(3 * (times - 1))
    errors = []
    for tolerance in (1e-4, 1e-6, 1e-8):
        values, _ = integrate(*arguments, tolerance=tolerance, max_steps=1000)
        errors.append(np.abs(values[:, 0, 0] - exact).max())
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


# ---------------------------------------------------------------------------------------------
# Filters


def test_blow_ups_poles_and_stiff_systems_are_left_out():
    field, times = vector_field([["mul", 1.0, "pow", "x_0", 2]]), np.linspace(1, 10, 20)
    start = np.array([[1.0, -1.0, 0.1]])  # poles at t = 2, none, 11
    _, kept = integrate(field, start, np.ones((1, 3)), times)
    assert kept.tolist() == [False, True, True]
    pole = vector_field([["mul", 1.0, "pow", "x_0", -1]])  # x² = 1 − 2 t reaches zero
    assert not integrate(pole, np.array([[1.0]]), np.array([[-1.0]]), times)[1][0]
    linear = vector_field([["mul", 1.0, "x_0"]])
    assert not integrate(linear, np.array([[1.0]]), np.array([[-1e4]]), times)[1][0]


@pytest.mark.parametrize("bound", [2.0, 100.0])
def test_no_kept_trajectory_reaches_the_bound(bound):
    rng = np.random.default_rng(4)
    field, constants = vector_field([["mul", 1.0, "x_0"]]), signed(rng, 0.01, 2, (1, 200))
    values, kept = integrate(
        field, np.ones((1, 200)), constants, np.linspace(1, 10, 9), bound=bound
    )
    assert np.abs(values[:, :, kept]).max() < bound
    assert np.array_equal(kept, np.exp(9 * constants[0]) < bound)


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


def test_stationary_needs_every_coordinate_still():
    still, moving = np.full(10, 3.0), np.linspace(0, 1, 10)
    values = np.stack([np.stack([still, still]), np.stack([still, moving])], axis=-1)
    assert stationary(values.transpose(1, 0, 2), 10).tolist() == [True, False]


def test_nine_in_ten_stationary_trajectories_are_left_out():
    """x' = c x, 4 000 draws: one decay in ten with −8 < c < −3 stays, every one with −0.2 < c."""
    rng = np.random.default_rng(5)
    rates = random_group(rng, [["mul", 1.0, "x_0"]], 40, 4000, "repaired", most=4000).constants[0]
    share = 1 / 2 / np.log(400)  # of the draws, per unit of log |c|, with c < 0
    for low, high, stay in ((-8, -3, 0.1), (-0.2, -0.05, 1.0)):
        expected = 4000 * share * np.log(low / high) * stay
        count = ((low < rates) & (rates < high)).sum()
        assert abs(count - expected) < 4 * expected**0.5


# ---------------------------------------------------------------------------------------------
# The random priors


def test_trees_are_uniform_over_shapes():
    """Five binary trees with three operators, 2 500 draws: χ²(4) below its 0.999 quantile."""
    rng = np.random.default_rng(6)
    shapes = [
        "".join("o" if w in ("add", "mul") else "." for w in words_of(random_tree(rng, 3, 1)))
        for _ in range(2500)
    ]
    counts = np.unique(shapes, return_counts=True)[1]
    assert len(counts) == 5
    assert ((counts - 500) ** 2 / 500).sum() < 18.5


def test_official_id_writes_the_child_twice_and_loses_the_second():
    """add(x_0, x_1) becomes add(x_0, x_0) where id is drawn for x_0: in half of the cases."""
    rng = np.random.default_rng(7)
    tree = ("add", ("x_0",), ("x_1",))
    counts = {prior: 0 for prior in PRIORS}
    for prior, _ in itertools.product(PRIORS, range(2000)):
        words = [w for w in decorate(rng, tree, prior == "official") if w.startswith("x_")]
        counts[prior] += words[:2] == ["x_0", "x_0"]
    assert counts["repaired"] == 0
    assert abs(counts["official"] - 1000) < 5 * 500**0.5


@pytest.mark.parametrize("prior", PRIORS)
def test_random_systems_have_the_stated_constants_and_operators(prior):
    rng = np.random.default_rng(8)
    systems = [random_system(rng, 3, prior) for _ in range(150)]
    constants = np.array([c for system in systems for c in constants_of(system)])
    assert np.abs(constants).min() >= 1 / 20 and np.abs(constants).max() <= 20
    assert abs((constants > 0).mean() - 0.5) < 5 * 0.5 / len(constants) ** 0.5
    assert abs(np.log(np.abs(constants)).mean()) < 5 * np.log(20) / (3 * len(constants)) ** 0.5
    unary = [sum(w in ("sin", "inv", "pow2", "id") for w in e) for s in systems for e in s]
    assert max(unary) == 3 and min(unary) == 0
    if prior == "repaired":
        assert not any("id" in e for s in systems for e in s)


def test_every_term_of_a_sum_has_a_coefficient():
    rng = np.random.default_rng(9)
    for _ in range(300):
        equation = canonical(random_system(rng, 2)[0])
        if equation[0] == "add":
            assert isinstance(equation[1], float) or isinstance(equation[2], float)


def test_unknown_prior_is_refused():
    with pytest.raises(ValueError, match="prior = 'other'"):
        random_system(np.random.default_rng(0), 1, "other")


def test_held_out_skeletons_are_one_in_twenty_and_never_a_family():
    rng = np.random.default_rng(10)
    systems = {skeleton(s): s for s in (random_system(rng, 2) for _ in range(800))}
    share = np.mean([held_out(system) for system in systems.values()])
    assert abs(share - 0.05) < 5 * (0.05 * 0.95 / len(systems)) ** 0.5
    assert not any(held_out(family.system) for family in FAMILIES.values())
    assert "x_0" in FAMILY_SKELETONS  # exponential


# ---------------------------------------------------------------------------------------------
# Corruption and the scaled convention


def test_corruption_keeps_order_and_the_right_number():
    rng = np.random.default_rng(11)
    times = np.linspace(1, 10, 41)
    sample = Sample([["x_0"]], times, times[:, None] * 2, "test")
    thinned = corrupt(rng, sample, ratio=0.3, gamma=0.0)
    assert len(thinned.times) == 41 - int(41 * 0.3)
    assert np.array_equal(thinned.values[:, 0], 2 * thinned.times)
    assert (np.diff(thinned.times) > 0).all()
    whole = corrupt(rng, sample, ratio=0.0, gamma=0.0)
    assert np.array_equal(whole.values, sample.values)


def test_noise_is_multiplicative_with_the_given_size():
    rng = np.random.default_rng(12)
    values = np.exp(rng.standard_normal((20000, 2)))
    noisy = corrupt(rng, Sample([["x_0"]], np.arange(20000.0), values, "test"), 0.0, 0.05)
    relative = noisy.values / values - 1
    assert abs(relative.std() - 0.05) < 5 * 0.05 / (2 * relative.size) ** 0.5
    assert abs(np.corrcoef(relative.T)[0, 1]) < 5 / 20000**0.5


def test_published_corruption_always_keeps_the_same_half():
    times = np.linspace(1, 10, 60)
    sample = Sample([["x_0"]], times, np.ones((60, 1)), "test")
    first, second = (corrupt_as_published(np.random.default_rng(s), sample) for s in (0, 1))
    assert len(first.times) == 30
    assert np.array_equal(first.times, second.times)
    assert not np.array_equal(first.values, second.values)


def test_rescaled_system_is_the_ode_of_the_rescaled_trajectory():
    """Scaling changes no trajectory: the scaled field at y is the field at x, in the new units."""
    for dimension in (1, 2, 3):
        for sample in random_samples(dimension, 12, seed=20 + dimension):
            if np.abs(sample.values[0]).min() < 0.01:
                continue
            scaled = rescale(sample)
            assert scaled.times[0] == 1 and np.isclose(scaled.times[-1], 10, rtol=1e-14)
            assert np.array_equal(scaled.values[0], np.ones(dimension))
            derivative = field_along(sample) / sample.values[0]
            assert np.allclose(field_along(scaled), derivative, rtol=1e-9, atol=1e-9)


def field_along(sample: Sample) -> np.ndarray:
    return values(sample.system, sample.values.T).T  # (n_points, dimension)


def values(system: list, x: np.ndarray) -> np.ndarray:
    return vector_field(system)(x, np.array(constants_of(system))[:, None])


def test_integrating_the_rescaled_system_gives_the_rescaled_trajectory():
    for name in FAMILIES:
        group = family_group(np.random.default_rng(13), name, 30, 16)
        for sample in itertools.islice(group.samples(), 4):
            thinned = corrupt(np.random.default_rng(14), sample, ratio=0.4, gamma=0.0)
            if np.abs(thinned.values[0]).min() >= 0.01:
                assert relative_error(rescale(thinned)) < 1e-8, (name, sample.system)


def test_change_of_units_there_and_back():
    rng = np.random.default_rng(15)
    for _ in range(100):
        system = [canonical(equation) for equation in random_system(rng, 2)]
        units, rate = np.exp(rng.standard_normal(2)), 0.7
        back = change_units(change_units(system, units, rate), 1 / units, 1 / rate)
        assert skeleton(back) == skeleton(system)
        x = rng.standard_normal((2, 50))
        there, home = (values(s, x) for s in (system, back))
        assert np.median(np.abs(home / there - 1)) < 1e-12


def test_rescaling_by_hand():
    times = np.array([0.0, 1.0, 3.0])
    sample = Sample([["mul", 2.0, "pow", "x_0", 2]], times, np.array([[0.5], [1.0], [2.0]]), "test")
    scaled = rescale(sample)  # t' = 1 + 3 t, x' = 2 x, so dx'/dt' = 2/3 · 2 (x'/2)² = x'²/3
    assert scaled.times.tolist() == [1, 4, 10]
    assert scaled.values[:, 0].tolist() == [1, 2, 4]
    assert np.allclose(scaled.system[0][1], 1 / 3)


def test_tiny_first_value_cannot_be_rescaled():
    sample = Sample([["x_0"]], np.array([1.0, 2.0]), np.array([[1e-3], [1.0]]), "test")
    with pytest.raises(ValueError, match=r"0\.001: must be 0\.01 or more"):
        rescale(sample)


def test_unscaled_targets_have_four_decimals():
    sample = Sample([["mul", 0.123456, "x_0"]], np.array([1.0]), np.ones((1, 1)), "test")
    assert with_canonical_target(sample).system == [["mul", 0.1235, "x_0"]]


def test_with_constants_is_the_inverse_of_constants_of():
    system = random_system(np.random.default_rng(16), 3)
    assert with_constants(system, constants_of(system)) == system
