"""The algebra against differentiation of the exact map, and the proofs it is used for."""

import pytest
import sympy as sp
import torch

from attention_in_motion.measures import motion_layer, taylor
from attention_in_motion.measures.taylor import DERIVATIVES, D, R, epsilon, sigma1, sigma2, x0, x1
from attention_in_motion.models.motion import first_order_family

POINT = {D: sp.Rational(-4, 5), R: sp.Rational(-9), x0: sp.Rational(1, 3), x1: sp.Rational(-5, 7)}
SCALE = {taylor.a: 1, taylor.P: 1, taylor.c: 0, taylor.p0: 0}


@pytest.mark.parametrize("order", [0, 1, 2])
def test_expansion_is_the_taylor_series_of_the_exact_map(order):
    derivative = sp.diff(taylor.exact_map().subs(SCALE).subs(POINT), epsilon, order)
    series = taylor.expansion()[order].as_expr().subs(DERIVATIVES).subs(POINT)
    assert abs(sp.N(derivative.subs(epsilon, 0) / sp.factorial(order) - series, 30)) < 1e-25


def test_first_order_agrees_with_the_numerical_formula():
    numerical = motion_layer.first_order(torch.tensor(-0.8, dtype=torch.float64), -9.0)
    for symbolic, number in zip(taylor.first_order(), numerical, strict=True):
        assert float(symbolic.subs(DERIVATIVES).subs(POINT)) == pytest.approx(number.item())


def test_family_agrees_with_the_numerical_formula():
    solution = {str(k): v.subs(DERIVATIVES).subs(POINT) for k, v in taylor.family().items()}
    R_, gain = first_order_family(torch.tensor(-0.8, dtype=torch.float64))
    assert float(solution["R"]) == pytest.approx(R_.item())
    assert float(solution["a s"]) == pytest.approx(gain.item())


def test_second_derivative_of_the_sigmoid_is_named_right():
    slope = DERIVATIVES[sigma1]
    assert sp.simplify(DERIVATIVES[sigma2] - slope * (1 - 2 * taylor.SIGMOID)) == 0


def test_second_order_never_vanishes():
    """x0² and x0 x1 vanish together only at D = 0 or at D σ'' = −2 σ'; x1² then stays."""
    quadratic = taylor.second_order()
    square = sp.solve(quadratic[x0**2], sigma2)
    assert square == [-2 * sigma1 / D]
    left = {m: sp.factor(value.subs(sigma2, square[0])) for m, value in quadratic.items()}
    assert left[x0 * x1] == 0
    assert sp.simplify(left[x1**2] + R**2 * sigma1 / D) == 0
    at_zero = {m: value.subs({D: 0, sigma2: 0}) for m, value in quadratic.items()}
    assert at_zero[x0**2] == 0
    assert sp.simplify(at_zero[x0 * x1] + 2 * R * sigma1) == 0


def test_the_error_that_is_left_is_the_numerical_one():
    """As ε → 0 the search among all layers finds the gap and the error of the expansion."""
    gap = taylor.least_error_gap()
    best = motion_layer.best_layer(1e-3)
    assert abs(best.D - gap) < 1e-4
    expected = float(taylor.leading_error().subs(D, gap))
    assert best.nmse / 1e-6 == pytest.approx(expected, rel=1e-3)


def test_no_other_gap_errs_less():
    error = sp.lambdify(D, taylor.leading_error())
    least = error(taylor.least_error_gap())
    others = [g for g in torch.linspace(-12, 12, 481).tolist() if abs(g) > 1e-6]
    assert all(error(gap) > least for gap in others)
    assert all(error(taylor.least_error_gap() + step) > least for step in (-1e-3, 1e-3))


def test_an_average_cannot_have_coefficients_of_two_signs():
    assert taylor.gains_of_an_average(-1, 2).is_empty
    assert taylor.gains_of_an_average(2, -1).is_empty
    assert taylor.gains_of_an_average(1, 1) == sp.Interval(1, sp.oo)
    assert 1 in taylor.gains_of_an_average(sp.Rational(1, 4), sp.Rational(3, 4))
