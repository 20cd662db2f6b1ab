"""Probes by scikit-learn, fitted and scored on different systems; the penalty is chosen inside.

A probe says what can be read off activations x (n, d), rows that belong to `systems` (n,). Rows of
one system never stand on both sides of a split, neither when a penalty is chosen nor when the probe
is scored: points of one trajectory resemble each other.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, ParameterGrid
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from attention_in_motion.statistics import permutation_p

FOLDS, INNER_FOLDS = 5, 3
PENALTIES = tuple(float(a) for a in np.logspace(-2, 5, 8))  # of ridge, on standardised columns
INVERSE_PENALTIES = tuple(float(c) for c in np.logspace(-4, 2, 4))  # of logistic regression
HIDDEN = 64  # units of the probe with one hidden layer


def linear(penalties: Sequence[float] = PENALTIES) -> GridSearchCV:
    """Ridge regression: argmin |y − b − x W|² + α |W|² on standardised x, α from `penalties`."""
    return search(Ridge(), {"alpha": penalties})


def logistic() -> GridSearchCV:
    """Multinomial logistic regression with |W|²/(2C) on standardised x."""
    return search(LogisticRegression(max_iter=1000), {"C": INVERSE_PENALTIES})


def mlp(seed: int = 0) -> GridSearchCV:
    """One hidden layer of 64 ReLUs, 60 epochs of Adam at 0.003, batches of 200, α = 3 on |W|²."""
    options = {"alpha": 3.0, "learning_rate_init": 3e-3, "max_iter": 60, "random_state": seed}
    return search(MLPRegressor(hidden_layer_sizes=(HIDDEN,), **options), {})


def search(model: Ridge | LogisticRegression | MLPRegressor, grid: dict) -> GridSearchCV:
    """The model on standardised columns, with what its grid offers chosen by inner folds."""
    pipeline = Pipeline([("scale", StandardScaler()), ("model", model)])
    return GridSearchCV(pipeline, {f"model__{k}": v for k, v in grid.items()}, cv=INNER_FOLDS)


def fitted(probe: GridSearchCV, x: ArrayLike, y: ArrayLike, systems: ArrayLike) -> Pipeline:
    """The probe fitted to all rows; its penalty is the one that is best on systems left out.

    Raises ValueError as `check` does.
    """
    x, y, systems = check(x, y, systems, INNER_FOLDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are part of the probe
        if len(options := list(ParameterGrid(probe.param_grid))) == 1:  # nothing to choose
            return probe.estimator.set_params(**options[0]).fit(x, y)
        probe.cv = list(GroupKFold(INNER_FOLDS).split(x, y, systems))
        return probe.fit(x, y).best_estimator_


def held_out(
    make: Callable[[], GridSearchCV],
    x: ArrayLike,
    y: ArrayLike,
    systems: ArrayLike,
    folds: int = FOLDS,
) -> NDArray:
    """What probes say of y on the systems they were not fitted to: predictions like y (n, …).

    `make` is `linear`, `logistic` or `mlp`. Raises ValueError as `check` does.
    """
    x, y, systems = check(x, y, systems, folds)
    predicted = np.empty_like(y)
    for seen, unseen in GroupKFold(folds).split(x, y, systems):
        probe = fitted(make(), x[seen], y[seen], systems[seen])
        predicted[unseen] = probe.predict(x[unseen])
    return predicted


def held_out_score(
    make: Callable[[], GridSearchCV], x: ArrayLike, y: ArrayLike, systems: ArrayLike
) -> float:
    """R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)² of `held_out`; for classes the share that is right."""
    return score(y, held_out(make, x, y, systems))


def score(y: ArrayLike, predicted: ArrayLike) -> float:
    """The R² of predicted numbers, or the share of predicted classes (integers) that is right."""
    measure = r2_score if np.asarray(y).dtype.kind == "f" else accuracy_score
    return float(measure(np.asarray(y), predicted))


def permutation_test(
    make: Callable[[], GridSearchCV],
    x: ArrayLike,
    y: ArrayLike,
    systems: ArrayLike,
    n_permutations: int = 999,
    seed: int = 0,
) -> tuple[float, float]:
    """The held-out score, and the share of exchanges of labels between systems that do as well.

    y must be one label per system. Raises ValueError if it is not, or as `check` does.
    """
    x, y, systems = check(x, y, systems, FOLDS)
    names, first, member = np.unique(systems, return_index=True, return_inverse=True)
    if not (y == y[first][member]).all():
        raise ValueError("y: must be one label per system to be exchanged between systems")
    rng, score = np.random.default_rng(seed), held_out_score(make, x, y, systems)
    exchanged = (y[first][rng.permutation(len(names))][member] for _ in range(n_permutations))
    return score, permutation_p(score, [held_out_score(make, x, z, systems) for z in exchanged])


def shuffled(y: ArrayLike, seed: int = 0) -> NDArray:
    """The same labels in another order, row by row: what a probe must not be able to read."""
    return np.random.default_rng(seed).permutation(np.asarray(y))


def direction(probe: Pipeline) -> NDArray:
    """The unit vector (d,) of a linear probe of one number, in the units of the activations.

    Raises ValueError for a probe that depends on nothing.
    """
    weights = np.ravel(probe["model"].coef_) / probe["scale"].scale_
    size = float(np.linalg.norm(weights))
    if size == 0:
        raise ValueError("probe: all weights are zero, so that it has no direction")
    return weights / size


def check(
    x: ArrayLike, y: ArrayLike, systems: ArrayLike, folds: int
) -> tuple[NDArray, NDArray, NDArray]:
    """The three as arrays. Raises ValueError, in one line, for what no probe can be fitted to.

    That is: other shapes than (n, d), (n, …) and (n,), a NaN or infinity, equal labels, fewer
    systems than folds, or for labels that are classes, a class in fewer systems than folds.
    """
    x, y, systems = np.asarray(x), np.asarray(y), np.asarray(systems)
    if x.ndim != 2 or systems.shape != (len(x),) or len(y) != len(x):
        raise ValueError(f"x {x.shape}, y {y.shape}, systems {systems.shape}: must agree in rows")
    for name, values in (("x", x), ("y", y)):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{name}: must be finite, has {values[~np.isfinite(values)][0]}")
    labels = np.unique(y)
    if len(labels) < 2:
        raise ValueError(f"y: must have different labels, all are {y.flat[0]}")
    if (n := len(np.unique(systems))) < folds:
        raise ValueError(f"systems: must be at least {folds}, one per fold; there are {n}")
    if y.dtype.kind != "f":
        rarest = min(labels, key=lambda label: len(np.unique(systems[y == label])))
        if (n := len(np.unique(systems[y == rarest]))) < folds:
            raise ValueError(f"class {rarest}: must be in at least {folds} systems, is in {n}")
    return x, y, systems
