"""The two random priors: the published generator of ODE systems, as it is and repaired.

Sources: package odeformer 0.1.7 for the official prior and its filters. The shape of a random
expression is uniform over binary trees, as in Lample and Charton, "Deep Learning for Symbolic
Mathematics" (2020), appendix C. Every draw takes a NumPy Generator.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from attention_in_motion.odeformer.language.expressions import (
    constants_of,
    skeleton,
    skeleton_hash,
    vector_field,
)
from attention_in_motion.odeformer.language.tokens import ARITY, Equation, System
from attention_in_motion.odeformer.systems.families import FAMILY_SKELETONS, signed
from attention_in_motion.odeformer.systems.scale import T_FIRST, T_LAST
from attention_in_motion.odeformer.systems.simulate import BOUND, EXTRA_STEPS, integrate, solve
from attention_in_motion.odeformer.systems.trajectories import Group

PRIORS = ("official", "repaired")
UNARY, UNARY_WEIGHTS = ("id", "sin", "inv", "pow2"), np.array([3, 1, 1, 1]) / 6
MAX_BINARY, MAX_UNARY = 5, 3  # per equation: 1…5 binary operators, 0…3 unary ones
MAX_UNARY_SIZE = 7  # a subtree this large gets no unary operator
MAX_CONSTANT = 20.0  # constants of the random priors lie in [1/20, 20] in size
HELD_OUT_SHARE = 20  # one skeleton in so many


def random_system(rng: Generator, dimension: int, prior: str = "repaired") -> System:
    """A system as the generator writes it (not canonical), constants drawn.

    Per equation: a uniformly random binary tree with U{1..5} operators, add : mul = 3 : 1, leaves
    uniform over the variables; unary operators drawn for every child of weight (id 3, sin 1, inv 1,
    pow2 1) and deleted at random down to U{0..3}; one constant in front of every term of a sum, an
    affine a + b·u inside every unary operator. Constants: fair sign, log-uniform in [1/20, 20].

    prior "official" keeps two quirks of the published generator: where `id` is drawn the child is
    written twice, so that a re-draw of it takes the place of the next argument, which is lost; and
    `id` counts as a unary operator, for the budget and for the affine. In "repaired", `id` is no
    operator at all. Raises ValueError for another prior.
    """
    if prior not in PRIORS:
        raise ValueError(f"prior = {prior!r}: must be one of {', '.join(PRIORS)}")
    return [random_equation(rng, dimension, prior == "official") for _ in range(dimension)]


def random_equation(rng: Generator, dimension: int, official: bool) -> Equation:
    """One equation of `random_system`, as the generator writes it."""
    n_binary, n_unary = rng.integers(1, MAX_BINARY + 1), rng.integers(0, MAX_UNARY + 1)
    words = decorate(rng, random_tree(rng, n_binary, dimension), official)
    unary = [i for i, word in enumerate(words) if word in UNARY]
    surplus = rng.permutation(unary)[: max(len(unary) - n_unary, 0)]
    words = [word for i, word in enumerate(words) if i not in surplus]
    tree, _ = read_tree(words)  # what follows the first complete tree is lost
    if not any(word == "add" or word in UNARY for word in words_of(tree)):
        return ["mul", random_constant(rng), *words_of(tree)]
    return add_constants(rng, tree)


def catalan(n: int) -> int:
    """How many binary trees have n operators."""
    return math.comb(2 * n, n) // (n + 1)


def random_tree(rng: Generator, n_binary: int, dimension: int) -> tuple:
    """Nested (word, *children), uniform over the shapes with n_binary operators."""
    if n_binary == 0:
        return (f"x_{rng.integers(dimension)}",)
    splits = [catalan(k) * catalan(n_binary - 1 - k) for k in range(n_binary)]
    left = int(rng.choice(n_binary, p=np.array(splits) / sum(splits)))
    operator = "add" if rng.random() < 0.75 else "mul"
    children = (random_tree(rng, k, dimension) for k in (left, n_binary - 1 - left))
    return (operator, *children)


def decorate(rng: Generator, tree: tuple, official: bool) -> Equation:
    """Prefix words with a unary operator drawn in front of every child; see `random_system`."""
    word, *children = tree
    words: Equation = [word]
    for child in children:
        unary = "none"
        if len(words_of(child)) < MAX_UNARY_SIZE:
            unary = str(rng.choice(UNARY, p=UNARY_WEIGHTS))
        if unary == "id" and official:
            words += decorate(rng, child, official)
        if unary != "none" and (unary != "id" or official):
            words.append(unary)
        words += decorate(rng, child, official)
    return words


def words_of(tree: tuple) -> Equation:
    """The prefix list of a nested tree."""
    word, *children = tree
    return [word, *(w for child in children for w in words_of(child))]


def read_tree(words: Equation) -> tuple[tuple, Equation]:
    """The first complete tree of a prefix list, and the words after it."""
    word, rest = words[0], words[1:]
    children = []
    for _ in range(ARITY.get(word, 0)):
        child, rest = read_tree(rest)
        children.append(child)
    return (word, *children), rest


def random_constant(rng: Generator) -> float:
    """A constant of either sign, log-uniform in size in [1/20, 20]."""
    return float(signed(rng, 1 / MAX_CONSTANT, MAX_CONSTANT, 1)[0])


def add_constants(rng: Generator, tree: tuple) -> Equation:
    """One constant in front of each term of a sum, an affine inside each unary operator."""
    word, *children = tree
    words: Equation = [word]
    for child in children:
        if word == "add" and child[0] != "add":
            words += ["mul", random_constant(rng)]
        if word in UNARY and child[0] != "add":
            words += ["add", random_constant(rng), "mul", random_constant(rng)]
        words += add_constants(rng, child)
    return words


def random_group(
    rng: Generator,
    system: System,
    n_points: int,
    columns: int,
    prior: str,
    most: int,
    extra_steps: int = EXTRA_STEPS,
) -> Group:
    """At most `most` trajectories of a random system with fresh constants and starts N(0, 1).

    A coarse integration of all columns applies the official filters: |x| < 100 throughout, no NaN,
    and with probability 0.9 not `stationary`. The first `most` that pass are then solved. Fewer
    `extra_steps` are faster and leave out more of the stiff and fast systems.
    """
    constants = signed(rng, 1 / MAX_CONSTANT, MAX_CONSTANT, (len(constants_of(system)), columns))
    start = rng.standard_normal((len(system), columns))
    coarse = np.array([T_FIRST, *np.linspace(T_LAST - (T_LAST - T_FIRST) / 4, T_LAST, 8)])
    values, kept = integrate(
        *(vector_field(system), start, constants, coarse),
        bound=BOUND,
        tolerance=1e-4,
        max_steps=extra_steps,
    )
    moving = ~stationary(values[1:], n_points // 4) | (rng.random(columns) >= 0.9)
    first = np.flatnonzero(kept & moving)[:most]
    return solve(system, constants[:, first], start[:, first], n_points, prior, extra_steps)


def stationary(values: NDArray, n_points: int) -> NDArray:
    """Whether each coordinate's range over `values` is below 10⁻³ per point: (columns,)."""
    return (np.ptp(values, axis=0) < 1e-3 * n_points).all(axis=0)


def held_out(system: System) -> bool:
    """Whether training never shows this skeleton: its hash is 0 modulo 20 and it is no family's.

    Families share their skeleton between training and evaluation by design; there the constants
    and starts are drawn from another random stream.
    """
    text = skeleton(system)
    return skeleton_hash(text) % HELD_OUT_SHARE == 0 and text not in FAMILY_SKELETONS
