"""The page on the solver: moved physics at toy size, refusals."""

import pytest
import torch

from attention_in_motion.chapters import solver as chapter
from attention_in_motion.chapters.oscillators import LADDER

PAGE = chapter.PAGE
MOVED = {"omega0_min": 2.0, "omega0_max": 6.0, "gamma": 0.3, "gamma_max": 0.8, "dt": 0.05}
TOY = {"context": 8, "steps": 3, "batch": 16, "lr": 0.002, "n_seeds": 2, "retrain": True}
TOY |= {"n_test": 64, "rollout_steps": 10, "solver_seeds": 3, "solver_steps": 5}


def test_polishing_is_what_solves_the_moved_task(rerun):
    rough = rerun(PAGE, **MOVED, **TOY, polishing=0, gamma_seeds=2).claims
    fine = rerun(PAGE, **MOVED, **TOY, polishing=10, gamma_seeds=2).claims
    assert fine["P2.15"]["value"] < rough["P2.15"]["value"] / 10
    assert fine["P2.15"]["n_seeds"] == 3 and fine["P2.18b"]["n_seeds"] == 2
    assert fine["P2.15c"]["value"] > rough["P2.15c"]["value"]  # no linear rule in disguise


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("gamma_max", "1.0", "gamma_max = 1.0: must be < omega0_min = 1"),
        ("solver_seeds", "1", "solver_seeds = 1: must be >= 2"),
        ("polishing", "-1", "polishing = -1: must be >= 0"),
        ("device", "tpu", "device = 'tpu': must be 'cpu' or 'cuda'"),
    ],
)
def test_bad_parameters_end_in_one_line(refusal, name, value, line):
    assert refusal(PAGE, "-p", name, value) == f"ValueError: {line}"


def test_the_solvers_stay_small_and_the_ladder_is_beside_them():
    given = {"omega0_min": 1.0, "omega0_max": 4.0, "gamma": 0.1, "dt": 0.1} | TOY
    p = chapter.Parameters.given(
        {**given, "gamma_max": 0.5, "polishing": 7, "gamma_seeds": 2, "device": "cpu"}
    )
    runs = chapter.runs(p)
    assert set(LADDER) <= set(runs)
    for name in chapter.SOLVERS:
        run = runs[f"solver {name}"]
        assert sum(w[0].numel() for w in run.model().parameters()) <= 16_000
        assert run.iterations == (7 if name == chapter.BEST else 0)
    assert isinstance(runs["solver plain"].draw(torch.Generator(), 1)[0], torch.Tensor)


@pytest.mark.parametrize("lowest", [1.0, 4.0])
def test_windows_begin_later_by_as_many_radians_whatever_the_range(lowest):
    physics = {"omega0_min": lowest, "omega0_max": 2 * lowest, "gamma": 0.1, "dt": 0.1}
    seeds = {"solver_seeds": 2, "gamma_seeds": 2, "polishing": 0, "device": "cpu"}
    p = chapter.Parameters.given({**TOY, **physics, **seeds, "gamma_max": 0.5})
    runs = chapter.runs(p)
    assert p.later * lowest == runs["solver small"].later * lowest == 5.0
    assert runs["solver plain"].later == 0.0
