"""The one-dimensional layer of post 3 as algebra: its exact map and its Taylor expansion.

Symbols as in `motion_layer.Layer`, in the dimensionless form ε = s/P, D = Q P, R = A P². The
weights σ, σ', σ'' are the sigmoid and its derivatives at the gap at rest, D. Post 3 obtains the
expansion from a fit of α1; here it follows from the weights alone.
"""

from __future__ import annotations

from functools import cache

import sympy as sp
from scipy.optimize import minimize_scalar

x0, x1 = sp.symbols("x_0 x_1", real=True)
a, s, c, p0, P = sp.symbols("a s c p_0 P", real=True)
D, R = sp.symbols("D R", real=True)
epsilon = sp.Symbol("epsilon", real=True)
gain = sp.Symbol("a s", real=True)

primes = (r"\sigma", r"\sigma^{\prime}", r"\sigma^{\prime\prime}")  # typeset as they stand
sigma, sigma1, sigma2 = (sp.Symbol(name, real=True) for name in primes)

SIGMOID = 1 / (1 + sp.exp(-D))
DERIVATIVES = {sigma: SIGMOID, sigma1: sp.diff(SIGMOID, D), sigma2: sp.diff(SIGMOID, D, 2)}


def gap() -> sp.Expr:
    """Δ = (Q + A s x1)(h1 − h0) = (D + R ε x1)(1 + ε (x1 − x0))."""
    return (D + R * epsilon * x1) * (1 + epsilon * (x1 - x0))


def exact_map() -> sp.Expr:
    """y = c + a (h0 + σ(Δ)(h1 − h0)) with h0 = p0 + s x0 and h1 − h0 = P (1 + ε (x1 − x0))."""
    attention = 1 / (1 + sp.exp(-gap()))
    return c + a * p0 + a * P * (epsilon * x0 + attention * (1 + epsilon * (x1 - x0)))


def expansion() -> list[sp.Poly]:
    """Orders 0, 1, 2 of (y − c − a p0) / (a P) in ε: polynomials in x0, x1, exact."""
    shift = sp.expand(gap() - D)
    attention = sigma + sigma1 * shift + sigma2 * shift**2 / 2  # + O(ε³)
    y = sp.expand(epsilon * x0 + attention * (1 + epsilon * (x1 - x0)))
    return [sp.Poly(y.coeff(epsilon, order), x0, x1) for order in range(3)]


def first_order() -> tuple[sp.Expr, sp.Expr]:
    """C0 and C1 of y = const + a s (C0 x0 + C1 x1) + O(ε), since a P ε = a s."""
    linear = expansion()[1]
    return linear.coeff_monomial(x0), linear.coeff_monomial(x1)


def second_order() -> dict[sp.Expr, sp.Expr]:
    """The coefficients of x0², x0 x1 and x1², times a s ε in y."""
    quadratic = expansion()[2]
    return {m: sp.factor(quadratic.coeff_monomial(m)) for m in (x0**2, x0 * x1, x1**2)}


def family() -> dict[sp.Symbol, sp.Expr]:
    """R and the gain a s for which (C0, C1) a s = (−1, 2): a free D, hence one parameter."""
    c0, c1 = first_order()
    return sp.solve([gain * c0 + 1, gain * c1 - 2], [R, gain], dict=True)[0]


def leading_error() -> sp.Expr:
    """Normalised MSE over ε² as ε → 0, on the first-order family: a function of D alone.

    What is left there is a s ε q with the quadratic form q of `second_order`. For N(0, 1) positions
    its variance is 2 q00² + q01² + 2 q11², that of 2 x1 − x0 is 5; the constant c takes its mean.
    """
    solution = family()
    q00, q01, q11 = (form.subs(R, solution[R]) for form in second_order().values())
    variance = 2 * q00**2 + q01**2 + 2 * q11**2
    return (solution[gain] ** 2 * variance / 5).subs(DERIVATIVES)


def gains_of_an_average(c0: sp.Expr, c1: sp.Expr) -> sp.Set:
    """The value gains v ≠ 0 at which an average could have the limits that c0 x0 + c1 x1 asks for.

    y = c + v x0 + λ (Π + v (x1 − x0)) with a weight 0 < λ < 1, whatever λ depends on. If y is
    c0 x0 + c1 x1 everywhere, λ tends to c1 / v as x1 → ∞ and to 1 − c0 / v as x0 → ∞, and both must
    lie in [0, 1]. Empty when c0 and c1 have opposite signs.
    """
    v = sp.Symbol("v", real=True)
    limits = c1 / v, 1 - c0 / v
    sets = [sp.solveset(limit >= 0, v, sp.S.Reals) for limit in limits]
    sets += [sp.solveset(limit <= 1, v, sp.S.Reals) for limit in limits]
    return sp.Intersection(*sets)


@cache
def least_error_gap() -> float:
    """The gap at rest D at which `leading_error` is least: −0.905, the choice of the best layer."""
    error = sp.lambdify(D, leading_error())
    return float(minimize_scalar(error, bounds=(-4, 1), options={"xatol": 1e-10}).x)
