"""The page on algorithms: moved physics at toy size, refusals."""

import re

import nbformat
import pytest

from attention_in_motion.chapters import algorithm as chapter

PAGE = chapter.PAGE
MOVED = {"omega0_min": 2.0, "omega0_max": 6.0, "gamma": 0.3, "dt": 0.05, "context": 12}
TOY = {"steps": 3, "batch": 16, "lr": 0.002, "n_seeds": 2, "n_test": 16, "polishing": 0}


def test_methods_stay_exact_and_untrained_solvers_are_none_of_them(rerun, tmp_path):
    claims = rerun(PAGE, **MOVED, **TOY, retrain=True, noise=0.01).claims
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    text = "".join(o.get("text", "") for c in cells if c.cell_type == "code" for o in c.outputs)
    errors = [float(found) for found in re.findall(r"largest error (\S+)", text)]
    assert len(errors) == 3 and max(errors) < 1e-9
    assert claims["P2.27f"]["n_seeds"] == 2
    for claim in ("P2.27", "P2.27d", "P2.27f", "P2.27g"):
        assert abs(claims[claim]["value"]) < 0.9


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("noise", "0.2", "noise = 0.2: must be <= 0.1, a tenth of a start's size"),
        ("noise", "0", "noise = 0: must be > 0"),
        ("n_seeds", "1", "n_seeds = 1: must be >= 2"),
    ],
)
def test_bad_parameters_end_in_one_line(refusal, name, value, line):
    assert refusal(PAGE, "-p", name, value) == f"ValueError: {line}"


def test_noise_is_all_that_differs_and_fresh_seeds_are_fresh():
    given = {"omega0_min": 1.0, "omega0_max": 4.0, "gamma": 0.1, "dt": 0.1, "context": 40} | TOY
    p = chapter.Parameters.given({**given, "noise": 0.03, "retrain": False, "device": "cpu"})
    runs = chapter.runs(p)
    noisy = [runs[chapter.name_of(noise)] for noise in p.noises]
    assert [run.noise for run in noisy] == [0, 0.01, 0.03, 0.1, 0.3]
    assert len({str({**vars(run), "noise": 0}) for run in noisy}) == 1
    assert not set(runs[chapter.FRESH].seeds) & set(noisy[0].seeds)
    assert runs[chapter.FRESH].noise == 0.1
