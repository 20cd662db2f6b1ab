"""The page on the criteria: moved physics at toy size, refusals."""

import re

import nbformat
import pytest
import torch

from attention_in_motion.chapters import criteria as chapter

PAGE = chapter.PAGE
MOVED = {"omega0_min": 3.0, "omega0_max": 5.0, "context": 6, "n_seeds": 2, "n_test": 256}
TOY = {"steps": 3, "batch": 16, "lr": 0.001, "retrain": True}


def copying(path):
    """The error of a model that copies the last state, as the page prints it."""
    cells = nbformat.read(path, as_version=4).cells
    text = "".join(o.get("text", "") for c in cells if c.cell_type == "code" for o in c.outputs)
    return float(re.search(r"copies the last state: (\S+)", text).group(1))


def test_short_steps_are_taylors_and_long_ones_are_not(rerun, tmp_path):
    tiny = rerun(PAGE, **MOVED, **TOY, dt_min=0.001).claims
    small = copying(tmp_path / "out.ipynb")
    rerun(PAGE, **MOVED, **TOY, dt_min=1.0)
    assert small < copying(tmp_path / "out.ipynb")  # most steps are short
    assert tiny["P2.26c"]["value"] < 0.3  # nothing is trained
    assert tiny["P2.23"]["n_seeds"] == 2


def test_pairs_that_fit_are_kept_in_order_and_too_few_are_refused_in_one_line():
    fits = torch.zeros(100, dtype=torch.bool)
    fits[3::6] = True
    assert chapter.pairs_kept(fits).tolist() == list(range(3, 100, 6))
    fits[9:] = False
    with pytest.raises(
        ValueError, match=r"^1 of 100 pairs of windows start as in training, 16 are"
    ):
        chapter.pairs_kept(fits)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("dt_min", "2.0", "dt_min = 2.0: must be < 2π / omega0_max = 1.57"),
        ("omega0_max", "1.0", "omega0_max = 1.0: must be > omega0_min = 1"),
        ("n_seeds", "1", "n_seeds = 1: must be >= 2"),
        ("device", "tpu", "device = 'tpu': must be 'cpu' or 'cuda'"),
    ],
)
def test_bad_parameters_end_in_one_line(refusal, name, value, line):
    assert refusal(PAGE, "-p", name, value) == f"ValueError: {line}"


def test_the_table_has_targets_in_rows_and_means_in_cells():
    scores = {"a": {"t": torch.tensor([[0.2], [0.4]])}, "b": {"t": torch.tensor([[1.0]])}}
    lines = ["| target | a | b |", "|---|---|---|", "| t | 0.300 | 1.000 |"]
    assert chapter.table(scores).splitlines() == lines
