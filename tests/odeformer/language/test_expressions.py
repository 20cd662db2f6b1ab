"""Expressions: numbers, canonical form and SymPy agree, skeletons ignore constants."""

from __future__ import annotations

import os

import numpy as np
import pytest
import sympy

from attention_in_motion.odeformer.language.expressions import (
    canonical,
    constants_of,
    from_sympy,
    monic,
    round_constants,
    rounded,
    skeleton,
    skeleton_hash,
    to_infix,
    to_latex,
    to_sympy,
    vector_field,
    with_constants,
)
from attention_in_motion.odeformer.systems.prior import PRIORS, random_equation, random_system
from attention_in_motion.odeformer.systems.scale import change_units

# 10 000 takes minutes: ODEFORMER_TREES=10000 pytest tests/odeformer/language
N_TREES = int(os.environ.get("ODEFORMER_TREES", 600))


def random_trees(n: int, seed: int) -> list[list]:
    rng = np.random.default_rng(seed)
    return [random_equation(rng, 1 + i % 3, PRIORS[i % 2] == "official") for i in range(n)]


def values(equation: list, x: np.ndarray) -> np.ndarray:
    constants = np.array(constants_of([equation]))[:, None]
    return vector_field([equation])(x, constants)[0]


def distance(first: list, second: list, x: np.ndarray) -> float:
    """Largest difference of the values at x, relative where they are above one.

    Points where moving x by 10⁻¹⁰ moves the value by 10⁻⁷ (near a pole) do not count.
    """
    a, b, moved = values(first, x), values(second, x), values(first, x * (1 + 1e-10))
    scale = np.maximum(1, np.abs(a))
    return (np.abs(a - b) / scale)[np.abs(moved - a) < 1e-7 * scale].max(initial=0)


def words_without_constants(equation: list) -> list[str]:
    return sorted("C" if isinstance(w, float) else str(w) for w in equation)


def test_values_by_hand():
    x = np.array([[2.0, -1.0], [3.0, 0.5]])
    assert np.allclose(values(["add", 0.5, "mul", -1, "pow", "x_0", 2], x), [-3.5, -0.5])
    assert np.allclose(values(["mul", 2.0, "sin", "x_1"], x), 2 * np.sin([3, 0.5]))
    assert np.allclose(values(["pow", "add", "x_0", "x_1", -1], x), [0.2, -2.0])
    assert np.allclose(values(["inv", "pow2", "id", "x_0"], x), [0.25, 1.0])


def test_one_compiled_skeleton_serves_many_constants_and_states():
    rng = np.random.default_rng(0)
    system = [["add", 1.0, "mul", 1.0, "x_1"], ["mul", 1.0, "sin", "x_0"]]
    x, constants = rng.standard_normal((2, 4, 5)), rng.standard_normal((3, 5))
    batched = vector_field(system)(x, constants)  # (2, 4, 5)
    for j in range(5):
        single = vector_field(with_constants(system, constants[:, j]))
        assert np.array_equal(single(x[:, :, j], constants[:, j]), batched[:, :, j])


def test_with_constants_is_the_inverse_of_constants_of():
    system = random_system(np.random.default_rng(16), 3)
    assert with_constants(system, constants_of(system)) == system


def test_sympy_round_trip_keeps_values_and_is_idempotent():
    x = np.random.default_rng(1).standard_normal((3, 100))
    for equation in random_trees(N_TREES, seed=2):
        once = from_sympy(to_sympy(equation))
        assert distance(equation, once, x) < 1e-12, equation
        assert from_sympy(to_sympy(once)) == once


def test_canonical_keeps_values_and_is_idempotent():
    x = np.random.default_rng(3).standard_normal((3, 100))
    for equation in random_trees(2000, seed=4):
        once = canonical(equation)
        assert distance(equation, once, x) < 1e-12, equation
        assert canonical(once) == once


def test_canonical_does_the_algebra_of_sympy():
    """Same words as SymPy's form, up to the order and up to the sign of a sine with a tie.

    SymPy resolves sin(a − b) = −sin(b − a) by its own order of terms, so a factor −1 may differ.
    """
    signs = 0
    for equation in random_trees(400, seed=5):
        ours = words_without_constants(canonical(equation))
        theirs = words_without_constants(from_sympy(to_sympy(equation)))
        signs += ours != theirs
        assert {w for w in ours if ours.count(w) != theirs.count(w)} <= {"mul", "-1"}, equation
    assert signs < 8


def test_canonical_only_has_target_words():
    allowed = {"add", "mul", "pow", "sin", "x_0", "x_1", "x_2"}
    for equation in random_trees(500, seed=6):
        words = canonical(equation)
        assert {word for word in words if isinstance(word, str)} <= allowed
        assert all(type(word) in (str, int, float) for word in words)


@pytest.mark.parametrize(
    ("equation", "expected"),
    [
        (["mul", 2.0, "add", 1.0, "mul", -0.5, "x_0"], ["add", 2.0, "mul", -1.0, "x_0"]),
        (["inv", "mul", 2.0, "x_0"], ["mul", 0.5, "pow", "x_0", -1]),
        (["sin", "mul", -3.0, "x_0"], ["mul", -1, "sin", "mul", 3.0, "x_0"]),
        (["mul", "x_1", "mul", "x_0", "x_1"], ["mul", "x_0", "pow", "x_1", 2]),
        (["add", "x_0", "add", "x_0", 1.0], ["add", 1.0, "mul", 2, "x_0"]),
        (["add", "x_0", "mul", -1, "x_0"], [0]),
        (["mul", "x_0", "inv", "x_0"], [1]),
        (["pow2", "pow", "add", 1.0, "x_0", -1], ["pow", "add", 1.0, "x_0", -2]),
        (
            ["add", "x_1", "add", "mul", 5.0, "x_0", 2.0],
            ["add", 2.0, "add", "mul", 5.0, "x_0", "x_1"],
        ),
    ],
)
def test_canonical_by_hand(equation, expected):
    assert canonical(equation) == expected


def test_order_does_not_depend_on_constants():
    for c in (-3.0, 0.1, 7.0):
        assert canonical(["add", "mul", c, "x_1", "mul", 1.0, "x_0"])[2:4] == [1.0, "x_0"]


def test_rounding_is_to_decimals_and_drops_what_vanishes():
    equation = ["add", "mul", 0.123456, "x_0", "mul", 0.00004, "x_1"]
    assert round_constants(equation) == ["mul", 0.1235, "x_0"]
    assert round_constants(equation, decimals=5)[2] == 0.12346


def test_skeleton_ignores_the_values_signs_and_units_of_constants():
    rng = np.random.default_rng(7)
    for i in range(300):
        system = [random_equation(rng, 2, bool(i % 2)) for _ in range(2)]
        n = len(constants_of(system))
        other = with_constants(system, rng.choice([-1, 1], n) * np.exp(rng.normal(size=n)))
        assert skeleton(system) == skeleton(other)
        assert skeleton(system) == skeleton(change_units(other, rng.normal(size=2), 1.3))


def test_skeleton_sees_structure():
    equations = [
        ["mul", 2.0, "x_0"],
        ["mul", 2.0, "pow", "x_0", 2],
        ["add", 1.0, "mul", 2.0, "x_0"],
    ]
    assert len({skeleton([equation]) for equation in equations}) == 3
    assert skeleton([["add", 1.0, "mul", 2.0, "x_0"], ["x_1"]]) == "add C x_0 | x_1"


def test_skeleton_hash_is_the_same_on_every_machine():
    assert skeleton_hash("mul C x_0") == 0xC1D004D578CB9932


def test_printing():
    system = [["mul", -0.51234567, "x_0"], ["pow", "x_1", 2]]
    assert to_infix(system) == "-0.5123*x_0 | x_1**2"
    assert to_latex(system) == r"\dot{x}_{0} = - 0.5123 x_{0} \\ \dot{x}_{1} = x_{1}^{2}"


def test_fractions_and_unknown_functions():
    assert from_sympy(sympy.Rational(2, 3)) == ["mul", 2, "pow", 3, -1]
    with pytest.raises(ValueError, match=r"cos\(x\)"):
        from_sympy(sympy.cos(sympy.Symbol("x")))


@pytest.mark.parametrize("malformed", [[], ["add", "x_0"], ["x_0", "x_0"], ["sin"]])
def test_malformed_equations_are_refused(malformed):
    for function in (canonical, to_sympy, lambda e: vector_field([e])):
        with pytest.raises(ValueError, match="equation"):
            function(malformed)


@pytest.mark.parametrize("function", [canonical, to_sympy, lambda e: vector_field([e])])
def test_operators_without_a_formula_are_refused(function):
    with pytest.raises(ValueError, match="operator = 'tan'"):
        function(["tan", "x_0"])


# ---------------------------------------------------------------------------------------------
# Leaves: only types count


class Text(str):
    """A word that would be code wherever it were written out again."""

    def __str__(self) -> str:
        return "open(MARK, 'w')"

    __repr__ = __format__ = lambda self, *_: "open(MARK, 'w')"


class Number(int):
    """The same for a number."""

    __str__ = __repr__ = __format__ = lambda self, *_: "open(MARK, 'w')"


HOSTILE = {
    "a call": "open(MARK, 'w')",
    "an import": "__import__('os').system('touch MARK')",
    "an end of the lambda": "0), open(MARK, 'w'), (0",
    "a walrus": "(y := open(MARK, 'w'))",
    "a place of a constant": "c[0]",
    "a state": "x[0]",
    "an argument": "x",
    "a variable and more": "x_0 or open(MARK, 'w')",
    "a variable and a line": "x_0\n",
    "a variable in another script": "x_٠",
    "a variable below the first": "x_-1",
    "a variable with leading zeros": "x_00",
    "a number as text": "1.0",
    "nothing": "",
    "no text": None,
    "bytes": b"x_0",
    "a list": ["x_0"],
    "a subclass of str": Text("x_0"),
    "a subclass of int": Number(1),
    "a bool": True,
    "a NumPy integer": np.int64(2),
    "a NumPy float of 32 bits": np.float32(2),
    "a NumPy text": np.str_("x_0"),
    "an array": np.ones((3, 3)),
    "a complex number": 1j,
}


@pytest.mark.parametrize("function", [canonical, to_sympy, lambda e: vector_field([e])])
@pytest.mark.parametrize("name", HOSTILE)
def test_other_leaves_are_refused_in_one_line(monkeypatch, tmp_path, name, function):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.MARK", "MARK", raising=False)
    for equation in ([HOSTILE[name]], ["add", 0.5, "mul", HOSTILE[name], "x_0"]):
        with pytest.raises(ValueError, match=r"^equation has .*: must be an operator") as e:
            function(equation)
        assert "\n" not in str(e.value) and len(str(e.value)) < 140
    assert not list(tmp_path.iterdir())


def test_a_numpy_float_of_64_bits_is_a_float():
    x = np.array([[2.0, -1.0]])
    assert constants_of([["mul", np.float64(0.5), "x_0"]]) == [0.5]
    assert values(["mul", np.float64(0.5), "x_0"], x).tolist() == [1.0, -0.5]


def test_constants_are_numbered_in_reading_order_over_all_equations():
    system = [["add", 2.0, "mul", 3.0, "x_0"], ["sin", "mul", 5.0, "x_1"], [7.0]]
    found = vector_field(system)(np.array([1.0, 0.1]), np.array(constants_of(system)))
    assert found.tolist() == [5.0, np.sin(0.5), 7.0]


def test_digits_are_few_within_functions_too():
    system = [["mul", -9.50912345, "sin", "add", 1.83385868422696, "mul", 0.101177628, "x_0"]]
    assert to_infix(system) == "-9.509*sin(0.1012*x_0 + 1.834)"
    assert "0.1012 x_{0}" in to_latex(system) and "1.834" in to_latex(system)


def test_rounding_for_a_reader():
    given = ["add", "mul", 1.0000000001, "x_1", "mul", 1e-30, "x_0"]
    assert rounded([given], 4) == [["add", "mul", 1e-30, "x_0", "x_1"]]
    assert rounded([["add", 0.30004, "mul", -0.5, "x_0"]], 3) == [["add", 0.3, "mul", -0.5, "x_0"]]


def test_one_constant_fewer_in_a_quotient():
    """−4.66 / (−0.25 x − 2) = 18.64 / (x + 8), the same function with one constant less."""
    given = ["mul", -4.66, "pow", "add", -2.0, "mul", -0.25, "x_0", -1]
    found = monic(given)
    assert constants_of([found]) == pytest.approx([18.64, 8.0])
    x = np.linspace(0, 3, 7)[None]
    fields = [vector_field([e])(x, np.array(constants_of([e]))) for e in (given, found)]
    assert np.allclose(*fields, rtol=1e-14)
    inside = ["sin", "pow", "add", "mul", 2.0, "x_0", 4.0, 2]
    assert constants_of([monic(inside)]) == [4.0, 2.0]


def test_plain_symbols_match_those_of_a_user():
    [x] = to_sympy(["mul", 2.0, "x_0"], real=None).free_symbols
    assert x == sympy.Symbol("x_0") != sympy.Symbol("x_0", real=True)
