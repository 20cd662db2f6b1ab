"""Our reproduction of the official prior against a sample drawn with the published generator.

The sample's statistics are stored (tests/data/odeformer_official_prior.json), so the comparison
before the filters needs no official package; this file, run as a script, writes them:

    python tests/official/test_official_prior.py > tests/data/odeformer_official_prior.json

A *target* is an equation as it would be tokenised, before any filter; an *accepted* system has
also passed the official integration and filters.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from attention_in_motion.odeformer.language.expressions import round_constants
from attention_in_motion.odeformer.systems.prior import random_group, random_system
from attention_in_motion.odeformer.systems.trajectories import Group

REASON = "needs the official package: make test-official installs requirements-official.txt"
STORED = Path(__file__).parents[1] / "data" / "odeformer_official_prior.json"
LEVEL = 1e-4  # of each χ² test; there are 27
TARGETS = {1: 2400, 2: 2400, 3: 2400}  # equations per dimension of the system
ACCEPTED = {1: 300, 2: 150}  # systems per dimension


def describe(equation: list) -> dict[str, int]:
    """What is counted of an equation: its words by kind, its variables, its largest constant."""
    floats = [abs(word) for word in equation if isinstance(word, float)]
    variables = [w for w in equation if isinstance(w, str) and w.startswith("x_")]
    return {
        "words": len(equation),
        **{operator: equation.count(operator) for operator in ("add", "mul", "pow", "sin")},
        "inverses": equation.count(-1),
        "floats": len(floats),
        "leaves": len(variables),
        "variables": len(set(variables)),
        "magnitude": round(np.log2(max(floats, default=1))),
    }


def describe_system(system: list[list]) -> dict[str, int]:
    """The same of a whole system, summed over its equations, without the magnitude."""
    descriptions = [describe(equation) for equation in system]
    names = set(describe([])) - {"magnitude"}
    return {name: sum(d[name] for d in descriptions) for name in names}


def histograms(descriptions: list[dict[str, int]]) -> dict[str, dict[str, int]]:
    names = descriptions[0]
    return {name: dict(Counter(str(d[name]) for d in descriptions)) for name in names}


def two_sample_chi_squared(first: dict[str, int], second: dict[str, int]) -> float:
    """p-value of Pearson's test that two histograms have one distribution.

    Σ (√(m/n) a − √(n/m) b)² / (a + b) with n = Σ a, m = Σ b; cells with a + b < 20 are merged.
    """
    keys = sorted(first | second)
    counts = np.array([[h.get(key, 0) for key in keys] for h in (first, second)], dtype=float)
    rare = counts.sum(axis=0) < 20
    merged = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    a, b = merged[:, merged.sum(axis=0) > 0]
    n, m = a.sum(), b.sum()
    statistic = ((np.sqrt(m / n) * a - np.sqrt(n / m) * b) ** 2 / (a + b)).sum()
    return float(chi2.sf(statistic, len(a) - 1))


def our_targets(dimension: int, prior: str, n: int, seed: int) -> dict[str, dict[str, int]]:
    rng = np.random.default_rng(seed)
    systems = [random_system(rng, dimension, prior) for _ in range(n // dimension)]
    return histograms([describe(round_constants(e)) for system in systems for e in system])


def our_accepted(dimension: int, prior: str, groups: int, seed: int) -> list[Group]:
    """Groups of 64 columns, with the official filters alone: a large step budget."""
    rng = np.random.default_rng(seed)
    return [
        random_group(
            *(rng, random_system(rng, dimension, prior), int(rng.integers(50, 201))),
            **dict(columns=64, prior=prior, most=64, extra_steps=200),
        )
        for _ in range(groups)
    ]


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads(STORED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("dimension", TARGETS)
def test_targets_have_the_official_distribution(stored, dimension):
    """Two-sample χ² on each histogram at level 10⁻⁴: equation length, operators, variables, …"""
    ours = our_targets(dimension, "official", 3000, seed=dimension)
    for name, counts in stored["targets"][str(dimension)].items():
        assert two_sample_chi_squared(counts, ours[name]) > LEVEL, name


def test_the_repaired_prior_differs_where_the_quirks_are(stored):
    """The same test tells the priors apart: in 3-D the official one loses variables."""
    ours, official = our_targets(3, "repaired", 3000, seed=0), stored["targets"]["3"]
    for name in ("variables", "words"):
        assert two_sample_chi_squared(official[name], ours[name]) < 1e-9


def mean_over_columns(groups: list[Group], name: str) -> tuple[float, float]:
    """Mean of a description over accepted columns and its standard error.

    Columns of one system are not independent: the mean is a ratio of sums over systems, and its
    error that of the linearised ratio.
    """
    accepted = np.array([group.values.shape[2] for group in groups])
    systems = [[round_constants(equation) for equation in group.system] for group in groups]
    described = np.array([describe_system(system)[name] for system in systems])
    mean = (accepted * described).sum() / accepted.sum()
    residual = accepted * (described - mean) / accepted.mean()
    return mean, residual.std() / len(groups) ** 0.5


@pytest.mark.official
@pytest.mark.parametrize("dimension", ACCEPTED)
def test_accepted_systems_have_the_official_means(stored, dimension):
    """Each within 4 standard errors of the difference. Slow, so in the official tier."""
    pytest.importorskip("odeformer", reason=REASON)
    groups = our_accepted(dimension, "official", 150, seed=dimension)
    for name, (official, error) in stored["accepted"][str(dimension)].items():
        mean, own_error = mean_over_columns(groups, name)
        assert abs(mean - official) < 4 * np.hypot(own_error, error), name


@pytest.mark.official
def test_the_stored_sample_is_what_the_package_gives(stored):
    """A fresh official sample with another seed, by the same χ² test."""
    pytest.importorskip("odeformer", reason=REASON)
    fresh = official_targets(2, 600, seed=99)
    for name, counts in stored["targets"]["2"].items():
        assert two_sample_chi_squared(counts, fresh[name]) > LEVEL, name


# ---------------------------------------------------------------------------------------------
# Drawing with the official generator


def official_environment(dimension: int, seed: int):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from odeformer.envs import FunctionEnvironment
    parser = argparse.ArgumentParser()
    FunctionEnvironment.register_args(parser)
    params = parser.parse_args([])
    vars(params).update(min_dimension=dimension, max_dimension=dimension, debug=False, cpu=True)
    environment = FunctionEnvironment(params)
    environment.rng = np.random.RandomState(seed)
    return environment


def official_words(tree) -> list[list]:
    """The official tree of a system as our prefix lists."""

    def leaf(word: str) -> str | int | float:
        try:
            return int(word) if word.lstrip("-").isdigit() else float(word)
        except ValueError:
            return word

    return [[leaf(word) for word in node.prefix().split(",")] for node in tree.nodes]


def official_targets(dimension: int, n: int, seed: int) -> dict[str, dict[str, int]]:
    environment = official_environment(dimension, seed)
    equations = []
    while len(equations) < n:
        tree, *_ = environment.generator.generate_multi_dimensional_tree(rng=environment.rng)
        equations += official_words(environment.simplifier.simplify_tree(tree))
    return histograms([describe(equation) for equation in equations])


def official_accepted(dimension: int, n: int, seed: int) -> dict[str, tuple[float, float]]:
    """Mean and standard error of each description over n accepted systems."""
    environment = official_environment(dimension, seed)
    samples = [environment.gen_expr(True, dimension=dimension)[0] for _ in range(n)]
    described = [describe_system(official_words(sample["tree"])) for sample in samples]
    columns = {name: np.array([d[name] for d in described]) for name in sorted(described[0])}
    return {name: (c.mean(), c.std() / n**0.5) for name, c in columns.items()}


def main() -> None:
    statistics = {
        "package": "odeformer 0.1.7",
        "command": "python tests/official/test_official_prior.py",
        "seeds": "the dimension",
        "equations": TARGETS,
        "systems": ACCEPTED,
        "targets": {d: official_targets(d, n, seed=d) for d, n in TARGETS.items()},
        "accepted": {d: official_accepted(d, n, seed=d) for d, n in ACCEPTED.items()},
    }
    json.dump(statistics, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
