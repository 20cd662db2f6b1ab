"""Equations as prefix lists: evaluating, the canonical form, skeletons, and SymPy.

An equation is a list such as ["mul", -0.5, "x_0"]: operators and variables are str, integers are
int, every other constant is float; a system is a list of equations, one per dimension. Targets use
the words add, mul, pow, sin; the generators also write inv, pow2, id, which `canonical` removes.

Sources: package odeformer 0.1.7 for the words and for which algebra its targets have been through.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from attention_in_motion.odeformer.language.tokens import ARITY, Equation, Leaf, System

VARIABLE = re.compile(r"x_(0|[1-9]\d*)", re.ASCII)


def fold(equation: Equation, leaf: Callable[[Leaf], Any], node: Callable[..., Any]) -> Any:
    """Value of a prefix tree, given the value of a leaf and of a node(operator, *arguments).

    Leaves are visited last first. Everything that computes with an equation goes through here, so
    no other leaf than those of `check_leaf` reaches it. Raises ValueError for one, and unless the
    list is exactly one complete tree.
    """
    stack: list[Any] = []
    for word in reversed(equation):
        arity = ARITY.get(word, 0) if type(word) is str else 0
        if not arity:
            check_leaf(word)
        if len(stack) < arity:
            raise ValueError(f"equation = {equation}: {word!r} needs {arity} arguments")
        arguments = [stack.pop() for _ in range(arity)]
        stack.append(node(word, *arguments) if arity else leaf(word))
    if len(stack) != 1:
        raise ValueError(f"equation = {equation}: must be one complete prefix tree")
    return stack[0]


def check_leaf(word: object) -> None:
    """Raises ValueError unless `word` is a variable x_0, x_1, …, an int or a float.

    Types count and not what a value can be read as: a bool is no int and a NumPy integer is none,
    while numpy.float64 is a float. So no text but that of a variable is ever compiled.
    """
    is_number = type(word) is int or isinstance(word, float)
    if not is_number and not (type(word) is str and VARIABLE.fullmatch(word)):
        shown = f"{' '.join(repr(word).split()):.40} ({type(word).__name__})"
        raise ValueError(f"equation has {shown}: must be an operator, x_<int>, an int or a float")


# ---------------------------------------------------------------------------------------------
# Numbers

SOURCE = {
    "add": "({} + {})",
    "mul": "{} * {}",
    "pow": "({}) ** {}",
    "inv": "({}) ** -1",
    "pow2": "({}) ** 2",
    "sin": "sin({})",
    "id": "({})",
}


def constants_of(system: System) -> list[float]:
    """The floats of a system, in reading order: what `vector_field` takes as `constants`."""
    return [word for equation in system for word in equation if isinstance(word, float)]


def with_constants(system: System, constants: NDArray | list[float]) -> System:
    """The same system with its floats replaced, in reading order."""
    values = iter(constants)
    return [[float(next(values)) if isinstance(w, float) else w for w in e] for e in system]


def variables_of(system: System) -> set[str]:
    """The variables that a system names."""
    words = (word for equation in system for word in equation)
    return {word for word in words if type(word) is str and VARIABLE.fullmatch(word)}


def vector_field(system: System) -> Callable[[NDArray, NDArray], NDArray]:
    """Compile f(x, constants): states (dimension, ...) → derivatives (n_equations, ...).

    `constants` is (n_constants, ...), broadcast against one coordinate of x, and stands for the
    system's floats in reading order, so one compiled skeleton serves many constant sets. Raises
    ValueError for a leaf that `check_leaf` refuses, an operator without a formula here or a
    malformed equation.
    """
    left = list(range(len(constants_of(system))))  # places of constants, the last used first

    def leaf(word: Leaf) -> str:
        return f"c[{left.pop()}]" if isinstance(word, float) else leaf_source(word)

    sources = [fold(equation, leaf, node_source) for equation in reversed(system)]
    function = eval(f"lambda x, c, sin: ({', '.join(reversed(sources))},)", {"__builtins__": {}})

    def field(x: NDArray, constants: NDArray) -> NDArray:
        derivative = np.empty((len(sources), *x.shape[1:]))  # (n_equations, ...)
        for i, value in enumerate(function(x, constants, np.sin)):
            derivative[i] = value
        return derivative

    return field


def leaf_source(word: str | int) -> str:
    """Python source of a leaf that is no constant: x_3 → x[3]; an integer in brackets."""
    return f"({word})" if isinstance(word, int) else f"x[{int(word[2:])}]"


def node_source(operator: str, *arguments: str) -> str:
    """Python source of an operator. Raises ValueError for one without a formula here."""
    if operator not in SOURCE:
        raise ValueError(f"operator = {operator!r}: must be one of {', '.join(SOURCE)}")
    return SOURCE[operator].format(*arguments)


# ---------------------------------------------------------------------------------------------
# Canonical form. A sum is a tuple of terms (coefficient, monomial); a monomial is a tuple of
# (base, integer exponent); a base is "x_i", ("sin", sum) or ("sum", sum).

Sum = tuple[tuple[int | float, tuple], ...]


def canonical(equation: Equation) -> Equation:
    """The equation in the one form that targets have.

    Constants are gathered, a constant factor of a sum is distributed, equal factors become
    integer powers, sin(−u) becomes −sin(u), 1/u is pow u −1, and longer sums and products are
    right-nested. This is the algebra that official targets get from SymPy. Only the order is ours:
    constants first, then terms and factors by structure, whatever the values of the constants
    (SymPy sorts the terms of a sum by coefficient), so one skeleton is always one sequence.
    """
    return to_prefix(fold(equation, leaf_sum, node_sum))


def leaf_sum(word: Leaf) -> Sum:
    """A leaf as a sum of one term; zero is the empty sum."""
    if isinstance(word, str):
        return ((1, ((word, 1),)),)
    return ((word, ()),) if word else ()


def node_sum(operator: str, *arguments: Sum) -> Sum:
    """An operator applied to sums. Raises ValueError for one without a formula here."""
    match operator, arguments:
        case "add", (a, b):
            return collect(a + b)
        case "mul", (a, b):
            return product(a, b)
        case "pow", (a, ((int(exponent), ()),)):
            return power(a, exponent)
        case "inv", (a,):
            return power(a, -1)
        case "pow2", (a,):
            return power(a, 2)
        case "sin", (a,):
            return sine(a)
        case "id", (a,):
            return a
    raise ValueError(f"operator = {operator!r}: must be {', '.join(SOURCE)}, with integer powers")


def collect(terms: Sum) -> Sum:
    """Add the coefficients of equal monomials, drop zeros, order by structure."""
    total: dict[tuple, int | float] = {}
    for coefficient, monomial in terms:
        total[monomial] = total.get(monomial, 0) + coefficient
    kept = [(coefficient, monomial) for monomial, coefficient in total.items() if coefficient]
    return tuple(sorted(kept, key=lambda term: (structure(term[1]), term)))


def structure(monomial: tuple) -> tuple:
    """Sort key that sees the shape of a monomial and not its constants."""
    return tuple(
        (0, base, exponent)
        if isinstance(base, str)
        else (1 + (base[0] == "sum"), tuple(structure(m) for _, m in base[1]), exponent)
        for base, exponent in monomial
    )


def product(a: Sum, b: Sum) -> Sum:
    """a · b, with equal factors gathered."""
    if not a or not b:
        return ()
    (first, left), (second, right) = as_term(a), as_term(b)
    powers = dict(left)
    for base, exponent in right:
        powers[base] = powers.get(base, 0) + exponent
    factors = [(base, exponent) for base, exponent in powers.items() if exponent]
    monomial = tuple(sorted(factors, key=lambda f: (structure((f,)), f)))
    return from_term(first * second, monomial)


def as_term(a: Sum) -> tuple[int | float, tuple]:
    """A sum as one term: several terms become the factor ("sum", a)."""
    return a[0] if len(a) == 1 else (1, ((("sum", a), 1),))


def from_term(coefficient: int | float, monomial: tuple) -> Sum:
    """Inverse of `as_term`; a constant times a lone sum is distributed."""
    match monomial:
        case ((("sum", inner), 1),):
            return collect(tuple((coefficient * c, m) for c, m in inner))
    return ((coefficient, monomial),)


def power(a: Sum, exponent: int) -> Sum:
    """a to an integer power, taken of its factors."""
    if exponent == 0:
        return ((1, ()),)
    coefficient, monomial = as_term(a)
    if coefficient in (1, -1) and isinstance(coefficient, int):
        scale: int | float = coefficient ** abs(exponent)
    else:
        scale = coefficient**exponent
    return from_term(scale, tuple((base, e * exponent) for base, e in monomial))


def sine(a: Sum) -> Sum:
    """sin(a) with the sign taken out if most terms are negative; a tie goes by the last term."""
    if all(monomial == () for _, monomial in a):
        value = math.sin(a[0][0]) if a else 0
        return ((value, ()),) if value else ()
    negative = sum(coefficient < 0 for coefficient, _ in a)
    if 2 * negative > len(a) or (2 * negative == len(a) and a[-1][0] < 0):
        flipped = collect(tuple((-c, m) for c, m in a))
        return ((-1, ((("sin", flipped), 1),)),)
    return ((1, ((("sin", a), 1),)),)


def to_prefix(a: Sum) -> Equation:
    """The prefix list of a sum."""
    return chain("add", [term_prefix(c, m) for c, m in a]) if a else [0]


def term_prefix(coefficient: int | float, monomial: tuple) -> Equation:
    """The prefix list of coefficient · monomial."""
    unit = isinstance(coefficient, int) and coefficient == 1 and monomial
    factors = [factor_prefix(base, exponent) for base, exponent in monomial]
    return chain("mul", factors if unit else [[coefficient], *factors])


def factor_prefix(base: str | tuple, exponent: int) -> Equation:
    """The prefix list of base^exponent."""
    match base:
        case ("sin", inner):
            words = ["sin", *to_prefix(inner)]
        case ("sum", inner):
            words = to_prefix(inner)
        case _:
            words = [base]
    return words if exponent == 1 else ["pow", *words, exponent]


def chain(operator: str, parts: list[Equation]) -> Equation:
    """Right-nested: [a, b, c] → op a op b c."""
    words = parts[-1]
    for part in reversed(parts[:-1]):
        words = [operator, *part, *words]
    return words


def monic(equation: Equation) -> Equation:
    """The same in canonical form, with coefficient 1 for the last term of every sum under a power.

    a x / (b x + c) has one constant too many: it becomes (a/b) x / (x + c/b).
    """
    return to_prefix(monic_sum(fold(equation, leaf_sum, node_sum)))


def monic_sum(a: Sum) -> Sum:
    """`monic` of a sum: the leading coefficients go before the powers."""
    total: Sum = ()
    for coefficient, monomial in a:
        term: Sum = leaf_sum(coefficient)
        for base, exponent in monomial:
            inner = monic_sum(base[1]) if isinstance(base, tuple) else ()
            lead = inner[-1][0] if base[0] == "sum" else 1
            divided = (
                (*((c / lead, m) for c, m in inner[:-1]), (1, *inner[-1][1:])) if inner else ()
            )
            base = (base[0], divided if base[0] == "sum" else inner) if inner else base
            term = product(term, from_term(lead**exponent, ((base, exponent),)))
        total = collect(total + term)
    return total


def round_constants(equation: Equation, decimals: int = 4) -> Equation:
    """Canonical form with every float rounded to so many decimals; what rounds to zero vanishes.

    Official targets are rounded this way (4 decimals) before they are tokenised.
    """
    rounded = [round(w, decimals) if isinstance(w, float) else w for w in canonical(equation)]
    return canonical(rounded)


# ---------------------------------------------------------------------------------------------
# Skeletons


def skeleton(system: System) -> str:
    """The structure of a system: canonical, without coefficients, with other floats written C.

    It depends on no constant's value, sign or unit: x' = 2 x + 1 and x' = x − 3 are both add C x_0.
    """
    return " | ".join(" ".join(equation_skeleton(canonical(e))) for e in system)


def equation_skeleton(equation: Equation) -> list[str]:
    """The words of an equation in canonical form, without coefficients."""
    words: list[str] = []
    for word in equation:
        if words[-1:] == ["mul"] and not isinstance(word, str):
            words.pop()  # a coefficient
        else:
            words.append("C" if isinstance(word, float) else str(word))
    return words


def skeleton_hash(text: str) -> int:
    """A fixed 64-bit number of a skeleton, the same in every process and on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


# ---------------------------------------------------------------------------------------------
# SymPy


def to_sympy(equation: Equation, real: bool | None = True) -> sympy.Expr:
    """The equation as SymPy evaluates it; floats keep their 53 bits.

    Variables are real symbols, which deep sines need to be evaluated in bounded time; real = None
    gives plain ones, which equal any other of their name.

    Raises ValueError for an operator without a formula here or a malformed equation.
    """
    return fold(equation, lambda word: leaf_sympy(word, real), node_sympy)


def leaf_sympy(word: Leaf, real: bool | None) -> sympy.Expr:
    """A leaf for SymPy."""
    return sympy.Symbol(word, real=real) if isinstance(word, str) else sympy.sympify(word)


def node_sympy(operator: str, *arguments: sympy.Expr) -> sympy.Expr:
    """An operator of SymPy. Raises ValueError for one without a formula here."""
    match operator, arguments:
        case "add", (a, b):
            return a + b
        case "mul", (a, b):
            return a * b
        case "pow", (a, b):
            return a**b
        case "inv", (a,):
            return 1 / a
        case "pow2", (a,):
            return a**2
        case "sin", (a,):
            return sympy.sin(a)
        case "id", (a,):
            return a
    raise ValueError(f"operator = {operator!r}: must be one of {', '.join(SOURCE)}")


def from_sympy(expression: sympy.Expr) -> Equation:
    """A prefix list with SymPy's own order of arguments; a fraction p/q is mul p pow q −1.

    Raises ValueError for a function other than sums, products, powers and sin.
    """
    match expression:
        case sympy.Symbol():
            return [str(expression)]
        case sympy.Integer():
            return [int(expression)]
        case sympy.Float():
            return [float(expression)]
        case sympy.Rational():
            return ["mul", expression.p, "pow", expression.q, -1]
        case sympy.sin():
            return ["sin", *from_sympy(expression.args[0])]
        case sympy.Add() | sympy.Mul() | sympy.Pow():
            name = type(expression).__name__.lower()
            return chain(name, [from_sympy(argument) for argument in expression.args])
    raise ValueError(f"expression holds {expression}: must be sums, products, powers and sin")


def rounded(system: System, digits: int) -> System:
    """The system with so many significant digits per constant, and without 1.0 as a factor.

    Monic, so that no double sign is left; what cancels at that precision is gone.
    """
    short = [
        [float(f"{w:.{digits}g}") if isinstance(w, float) else w for w in monic(e)] for e in system
    ]
    plain = [[int(w) if isinstance(w, float) and abs(w) == 1 else w for w in e] for e in short]
    return [canonical(equation) for equation in plain]


def with_digits(equation: Equation, digits: int) -> sympy.Expr:
    """The equation for a reader: SymPy with so many digits, within functions too."""
    short = to_sympy(equation).evalf(digits)
    floats = short.atoms(sympy.Float)
    return short.xreplace({number: sympy.Float(number, digits) for number in floats})


def to_latex(system: System, digits: int = 4) -> str:
    """LaTeX of a system, one line per dimension, constants with so many significant digits."""
    lines = []
    for i, equation in enumerate(system):
        right = sympy.latex(with_digits(equation, digits))
        lines.append(rf"\dot{{x}}_{{{i}}} = {right}")
    return r" \\ ".join(lines)


def to_infix(system: System, digits: int = 4) -> str:
    """Text of a system, one equation per dimension joined by " | "."""
    return " | ".join(str(with_digits(equation, digits)) for equation in system)
