"""What the page on variable steps trains: short runs, each of one seed, and what it refuses."""

import pytest

from attention_in_motion.chapters import variable_step as chapter
from attention_in_motion.training.run import digest

GIVEN = {"omega0_min": 1.0, "omega0_max": 4.0, "gamma_max": 0.05, "dt_min": 0.02, "context": 10}
GIVEN |= {"steps": 3, "batch": 8, "lr": 0.003, "n_seeds": 2, "polishing": 100, "n_test": 32}
GIVEN |= {"relative": 7, "retrain": False, "device": "cpu"}


def test_every_run_is_one_seed_of_its_own():
    p = chapter.Parameters.given(GIVEN)
    runs = chapter.runs(p)
    solvers, less, foreign = chapter.groups(p)
    assert [len(group) for group in (solvers, less, foreign)] == [2, 3, 2]
    assert [runs[name].seeds for name in solvers + less] == [(k,) for k in range(5)]
    assert [runs[name].iterations for name in solvers + less] == [100, 100, 0, 4, 20]
    assert [runs[name].relative for name in solvers + less + foreign] == [7, 7, 0, 0, 0, 7, 7]
    assert all(runs[name].foreign_last == (name in foreign) for name in runs)
    assert len({digest(run) for run in runs.values()}) == len(runs) == 7
    assert all(run.dt_min == 0.02 and run.later == 0.0 for run in runs.values())


def test_there_are_eight_models_to_compare():
    p = chapter.Parameters.given({**GIVEN, "n_seeds": 5})
    solvers, less, _ = chapter.groups(p)
    assert len(solvers) + len(less) == 8
    assert "eight models" in chapter.RULES["P2.30"].measure


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("gamma_max", 1.0, "gamma_max = 1.0: must be < omega0_min = 1"),
        ("gamma_max", 0.0, "gamma_max = 0.0: must be > 0"),
        ("dt_min", 1.6, "dt_min = 1.6: must be < 2π / omega0_max = 1.57"),
        ("polishing", -1, "polishing = -1: must be >= 0"),
    ],
)
def test_bad_parameters_end_in_one_line(name, value, line):
    with pytest.raises(ValueError) as refused:
        chapter.Parameters.given({**GIVEN, name: value})
    assert str(refused.value) == line
