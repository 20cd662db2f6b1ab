"""Every page: a re-run at toy size through real papermill, and what it refuses."""

import subprocess
import sys

import papermill
import pytest

from attention_in_motion import claims
from attention_in_motion.book import pages

PAGES = {str(p.relative_to(pages.BOOK).with_suffix("")): p for p in pages.pages()}

# Tiny parameters, changed physics, and what a re-run must show: {page: (parameters, claim, check)}
TOY = {
    "01_fixed_omega": (
        {"omega0": 3.3, "gamma": 0.7, "dt": 0.05, "steps": 300, "rollout_steps": 20}
        | {"n_seeds": 2, "n_starts": 20},
        "P1.5",
        lambda value: abs(value - ((3.3**2 + 0.7**2) / (3.3**2 - 0.7**2)) ** 0.5 + 1) < 1e-9,
    ),
    "02_linear_collapse": (
        {"steps": 40, "context": 5, "n_seeds": 2, "batch": 8, "retrain": True}
        | {"n_starts": 10, "rollout_steps": 20},
        "P2.4",  # hardly trained, so attention still matters
        lambda value: value > 0.05,
    ),
    "03_variable_omega": (
        {"steps": 4, "context": 8, "n_seeds": 2, "batch": 16, "retrain": True}
        | {"n_test": 64, "rollout_steps": 10, "gamma": 0.3, "longer_seeds": 2},
        "P2.19",  # an identity, whatever the weights
        lambda value: value < 1e-12,
    ),
    "03_solver": (
        {"steps": 4, "context": 8, "n_seeds": 2, "retrain": True}
        | {"n_test": 64, "rollout_steps": 10, "gamma": 0.3, "gamma_seeds": 2}
        | {"solver_seeds": 2, "solver_steps": 5, "polishing": 1}
        | {"criteria_seeds": 2, "criteria_steps": 5},
        "P2.26c",  # nothing is trained, so the untrained network is no worse
        lambda value: value < 0.3,
    ),
    "04_uniform_motion": (
        {"n_seeds": 3, "steps": 100, "embed_dim": 2},
        "P3.10",  # no seed gets off the plateau so soon
        lambda value: value == 0,
    ),
    "05_odeformer/model": (
        {"n_curves": 2, "n_samples": 2, "n_points": 24},
        "P4.15",  # an identity, whatever the weights
        lambda value: value == 1,
    ),
}

REFUSED = [
    ("01_fixed_omega", ["-p", "omega0", "-1"], "omega0 = -1: must be > 0"),
    ("01_fixed_omega", ["-p", "gamma", "2.5"], "gamma = 2.5: must be < omega0 = 2"),
    ("01_fixed_omega", ["-p", "omega_0", "3.0"], "omega_0: unknown parameter"),
    ("02_linear_collapse", ["-p", "retrain", "false"], "retrain = 'false': must be True or False"),
    ("02_linear_collapse", ["-p", "context", "1"], "context = 1: must be >= 2"),
    ("02_linear_collapse", ["-p", "steps", "many"], "steps = 'many': must be a whole number"),
    (
        "03_variable_omega",
        ["-p", "omega0_max", "1.0"],
        "omega0_max = 1.0: must be > omega0_min = 1",
    ),
    ("03_variable_omega", ["-p", "gamma", "1.5"], "gamma = 1.5: must be < omega0_min = 1"),
    ("03_variable_omega", ["-p", "context", "1"], "context = 1: must be >= 5"),
    ("03_variable_omega", ["-p", "examined", "9LA"], "examined = '9LA': must be 'OLA 2/2', 'OLA"),
    ("03_variable_omega", ["-p", "gamma_max", "1.0"], "gamma_max = 1.0: must be < omega0_min = 1"),
    ("03_solver", ["-p", "dt_min", "2.0"], "dt_min = 2.0: must be < 6.28 / omega0_max = 1.57"),
    ("03_solver", ["-p", "criteria_seeds", "1"], "criteria_seeds = 1: must be >= 2"),
    ("04_uniform_motion", ["-p", "embed_dim", "0"], "embed_dim = 0: must be >= 1"),
    ("05_odeformer/model", ["-p", "model", "theirs"], "model = 'theirs': no file theirs; must be"),
    ("05_odeformer/model", ["-p", "temperature", "0.0"], "temperature = 0.0: must be > 0"),
    ("04_uniform_motion", ["-p", "layers", "9"], "layers = 9: must be <= 4"),
]


@pytest.mark.parametrize("page", TOY)
def test_a_rerun_moves_the_numbers_the_right_way(page, tmp_path, monkeypatch):
    given, claim, check = TOY[page]
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path / "weights"))
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(PAGES[page], out, given, cwd=tmp_path, progress_bar=False)
    found = {record["id"]: record for record in claims.claims_of(out)}
    assert set(found) == {record["id"] for record in claims.claims_of(PAGES[page])}
    assert check(found[claim]["value"])


def test_every_page_has_a_toy_rerun():
    assert set(TOY) == set(PAGES)


@pytest.mark.parametrize(("page", "options", "line"), REFUSED)
def test_papermill_ends_with_the_one_line(page, options, line, tmp_path):
    command = [sys.executable, "-m", "papermill", str(PAGES[page]), str(tmp_path / "out.ipynb")]
    done = subprocess.run(
        [*command, *options, "--no-progress-bar"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith(f"ValueError: {line}")


def test_run_refuses_before_a_kernel_starts():
    command = [sys.executable, "-m", "attention_in_motion", "run", "01_fixed_omega"]
    done = subprocess.run([*command, "-p", "gamma", "9"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: gamma = 9.0: must be < omega0 = 2\n"
