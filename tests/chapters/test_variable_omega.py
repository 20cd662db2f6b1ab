"""Chapter 3's head page: moved physics at toy size, refusals, its tables, and what it derives."""

import math
import re

import nbformat
import numpy as np
import pytest
import torch
from scipy.linalg import expm

from attention_in_motion.chapters import variable_omega as chapter
from attention_in_motion.chapters.oscillators import shown_over_seeds

PAGE = chapter.PAGE
TOY = {"batch": 8, "lr": 0.002, "steps": 4, "n_seeds": 3, "longer": 3, "longer_seeds": 2}
TOY |= {"n_test": 48, "rollout_steps": 12, "retrain": True}
MOVED = {"omega0_min": 4.0, "omega0_max": 10.0, "gamma": 0.3, "gamma_max": 2.0, "dt": 0.2}
DEFAULT = {"omega0_min": 1.0, "omega0_max": 4.0, "gamma": 0.1, "gamma_max": 0.5, "dt": 0.1}
DEFAULT |= {"context": 40, "steps": 5000, "batch": 256, "lr": 0.001, "n_seeds": 6, "n_test": 1024}
DEFAULT |= {"rollout_steps": 50, "longer": 4, "longer_seeds": 3, "retrain": False, "device": "cpu"}


def parameters(**changed):
    return chapter.Parameters.given({**DEFAULT, **changed})


def solved_by_numpy(low, high, gamma, dt, tokens, n):
    """Held-out MSE of least squares on tokens + 1, by matrix exponentials and numpy alone."""
    rng = np.random.default_rng(0)
    inputs, targets = np.empty((2 * n, 2 * tokens + 1)), np.empty((2 * n, 2))
    for row, omega0 in enumerate(rng.uniform(low, high, 2 * n)):
        flow = expm(dt * np.array([[0, 1], [-(omega0**2), -2 * gamma]]))
        states = [rng.uniform(0, 1, 2)]
        for _ in range(tokens):
            states.append(flow @ states[-1])
        inputs[row], targets[row] = [*np.concatenate(states[:-1]), 1.0], states[-1]
    beta = np.linalg.lstsq(inputs[:n], targets[:n], rcond=None)[0]
    return np.mean((inputs[n:] @ beta - targets[n:]) ** 2)


def test_moved_physics_moves_the_linear_question_to_where_least_squares_puts_it(rerun, tmp_path):
    found = rerun(PAGE, context=12, **MOVED, **TOY)
    expected = solved_by_numpy(4.0, 10.0, 0.3, 0.2, chapter.ENOUGH, 2000)
    assert expected > 1e-8  # far above rounding, unlike the post's range
    assert found.claims["P2.6b"]["value"] == pytest.approx(expected, rel=0.5)
    assert found.claims["P2.21"]["value"] < 1e-8  # in context no frequency is too high
    assert found.claims["P2.12c"]["n_seeds"] == 2 and found.claims["P2.12b"]["n_seeds"] == 3
    text = printed(tmp_path / "out.ipynb")
    assert re.findall(r"T = +(\d+): MSE", text) == ["1", "2", "3", "5", "10"]  # none beyond 12
    assert "8LA 32/16 open, 4 steps, then 12" in text


def printed(path):
    cells = nbformat.read(path, as_version=4).cells
    outputs = [out for cell in cells if cell.cell_type == "code" for out in cell.outputs]
    return "\n".join(out.get("text", "") for out in outputs)


def test_a_bad_parameter_ends_the_page_with_one_line(refusal):
    line = "ValueError: longer_seeds = 7: must be <= n_seeds = 6"
    assert refusal(PAGE, "-p", "longer_seeds", "7") == line


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"omega0_min": 4.0}, "omega0_max = 4.0: must be > omega0_min = 4"),
        ({"gamma": 1.5}, "gamma = 1.5: must be < omega0_min = 1"),
        ({"gamma_max": 1.0}, "gamma_max = 1.0: must be < omega0_min = 1"),
        ({"omega0_max": 40.0}, "dt = 0.1: must be < 3.14 / omega0_max = 0.0785"),
        ({"context": 4}, "context = 4: must be >= 5"),
        ({"rollout_steps": 9}, "rollout_steps = 9: must be >= 10"),
        ({"n_test": 8}, "n_test = 8: must be >= 16"),
        ({"longer": 1}, "longer = 1: must be >= 2"),
        ({"n_seeds": 1}, "n_seeds = 1: must be >= 2"),
        ({"lr": 2.0}, "lr = 2.0: must be <= 1"),
        ({"batch": 0}, "batch = 0: must be >= 1"),
        ({"device": "gpu"}, "device = 'gpu': must be 'cpu' or 'cuda'"),
        ({"examined": "OLA 2/2"}, "examined: unknown parameter; known are omega0_min"),
    ],
)
def test_every_range_says_what_is_allowed(changed, line):
    with pytest.raises(ValueError) as error:
        parameters(**changed)
    assert str(error.value).startswith(line)


def test_the_posts_numbers_follow_from_its_range():
    p = parameters()
    assert p.middle == 2.0 and p.search == (0.05, 8.0)
    moved = parameters(omega0_min=8.0, omega0_max=12.0, dt=0.2)
    assert 8.0 < moved.middle < 12.0
    assert moved.search == (0.4, math.pi / 0.2)  # π/Δt is below 24


def test_runs_are_those_of_the_parameters():
    runs = chapter.runs(parameters(longer=3, longer_seeds=2, gamma_max=0.7, context=7, steps=9))
    longer, varied = runs[f"{chapter.LAST_RUNG} longer"], runs["4LA 32/16 open variable gamma"]
    assert (longer.steps, longer.seeds, longer.n_layers) == (27, (0, 1), 8)
    assert (varied.gamma_min, varied.gamma_max, varied.seeds) == (0.0, 0.7, (0, 1))
    assert [name for name in runs if name.startswith("linear")] == [
        f"linear {t}" for t in (1, 2, 3, 5)
    ]


def test_discrete_frequencies_are_solved_from_as_many_tokens_on():
    lines = chapter.discrete_table(parameters(omega0_max=9.0, dt=0.3, gamma=0.5)).splitlines()[2:]
    for n, line in enumerate(lines, 1):
        cells = [cell.strip().replace(" × 10", "e") for cell in line.split("|")[2:-1]]
        plain = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
        for tokens, value in enumerate((float(cell.translate(plain)) for cell in cells), 1):
            assert (value < 1e-20) == (tokens >= n)


def test_the_ladders_table_holds_one_row_per_rung_with_its_size():
    class Kept:
        run = chapter.runs(parameters())["OLA 2/2"]
        model, provenance = run.model(), {"seconds": 90}

    error = torch.full((6, 3, 50), 0.5)
    error[..., :7] = 0.01  # lost at the eighth step
    rows = chapter.ladder_table({"a": Kept}, {"a": torch.full((6,), 1e-3)}, {"a": error})
    cells = [cell.strip() for cell in rows.splitlines()[-1].split("|")[1:-1]]
    size = 2 * 2 + 2 + 4 * 2 * 2 + 2 * 2 + 2  # W_E and b_E; W_Q, W_K, W_V, W_O; W_U and b_U
    assert cells[:2] == ["a", str(size)] and cells[-1] == "2"
    assert cells[2].startswith("0.001") and cells[3].startswith("8") and cells[4].startswith("0.5")


def test_intervals_are_shown_around_the_geometric_mean():
    assert shown_over_seeds([0.1, 0.1]) == "0.1 [0.1, 0.1]"
    assert shown_over_seeds([1.0, 100.0]).startswith("10 [")
