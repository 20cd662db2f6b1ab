"""Constants and starts from whole trajectories; terms that do not matter are dropped."""

import numpy as np
import pytest

from attention_in_motion.odeformer.language.expressions import constants_of
from attention_in_motion.odeformer.measurements import Track
from attention_in_motion.odeformer.shooting import (
    Budget,
    cleared,
    distinct,
    lightened,
    shoot,
    shoot_all,
    steps_of,
)

T = np.linspace(1, 10, 40)
DECAY = Track(T, np.exp(-(T - 1) / 2)[:, None])
RIGHT = [["mul", -0.5, "x_0"]]


def test_constants_and_start_are_exact():
    wrong_start = Track(T, DECAY.values.copy())
    shot = shoot([["mul", -0.3, "x_0"]], [DECAY])
    assert constants_of(shot.system) == pytest.approx([-0.5], rel=1e-6)
    assert shot.error.max() < 1e-14
    again = shoot(RIGHT, [wrong_start], starts=np.array([[1.4]]))
    assert again.starts[0, 0] == pytest.approx(1, rel=1e-6)


def test_nothing_is_fitted_in_no_trials():
    shot = shoot([["mul", -0.3, "x_0"]], [DECAY], 0)
    assert constants_of(shot.system) == [-0.3] and shot.starts == [[1.0]]


def test_two_tracks_have_two_starts_and_one_constant():
    shot = shoot([["mul", -0.4, "x_0"]], [DECAY, Track(T[:9], 2 * DECAY.values[:9])])
    assert shot.starts[:, 0] == pytest.approx([1, 2]) and shot.n_points == 49
    assert constants_of(shot.system) == pytest.approx([-0.5], rel=1e-6)


def test_residue_and_minor_terms_are_dropped_and_others_kept():
    cluttered = [["add", 1e-9, "add", "mul", -0.5, "x_0", "mul", 1e-8, "pow", "x_0", 3]]
    assert cleared(shoot(cluttered, [DECAY], 0), [DECAY]).system == RIGHT
    shifted = [["mul", -0.5, "sin", "add", 1e-12, "x_0"]]
    assert cleared(shoot(shifted, [DECAY]), [DECAY]).system[0][2:] == ["sin", "x_0"]
    minor = [["add", "mul", -0.505, "x_0", "mul", 0.01, "pow", "x_0", 2]]
    assert len(lightened(shoot(minor, [DECAY], 0), [DECAY], Budget()).system[0]) == 3
    needed = [["add", 0.25, "mul", -0.5, "x_0"]]
    level = Track(T, 0.5 + DECAY.values)
    assert len(lightened(shoot(needed, [level], 0), [level], Budget()).system[0]) == len(needed[0])


def test_the_right_system_comes_first_and_each_once():
    tried = [[["sin", "x_0"]], [["mul", -0.2, "x_0"]], [["mul", -0.9, "x_0"]]]
    found = shoot_all([DECAY], tried, fast=False)
    assert constants_of(found[0].system) == pytest.approx([-0.5], rel=1e-6)
    assert len(found) == len(distinct(found)) == 2


def test_what_explodes_costs_much_and_breaks_nothing():
    shot = shoot([["mul", 9.0, "pow", "x_0", 5]], [DECAY], 2)
    assert shot.cost > shoot(RIGHT, [DECAY], 0).cost and np.isfinite(shot.error).all()


def test_a_budget_bounds_the_work_and_an_empty_one_leaves_systems_as_they_stand():
    tried = [[["mul", -0.3, "x_0"]], [["add", 0.1, "mul", -0.2, "x_0"]], [["sin", "x_0"]]]
    budget, spent = Budget(9 * steps_of([DECAY])), []
    for system in tried:
        before = budget.left
        shoot(system, [DECAY], budget=budget)
        spent.append((before - budget.left) / steps_of([DECAY]))
    assert spent[0] > 3 and spent[-1] == 1  # its error is still counted
    assert budget.left >= -len(tried) * steps_of([DECAY])
    found = shoot_all([DECAY], tried, fast=False, budget=Budget(0))
    assert constants_of(found[0].system) == [-0.3]
    minor = shoot([["add", "mul", -0.505, "x_0", "mul", 0.01, "pow", "x_0", 2]], [DECAY], 0)
    assert lightened(minor, [DECAY], Budget(0)) is minor
