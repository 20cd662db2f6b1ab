"""Chapter 1, re-run with another oscillator: what is read off the weights is that oscillator."""

import pytest

from attention_in_motion.book import pages
from attention_in_motion.chapters import fixed_omega as chapter

MOVED = {"omega0": 3.3, "gamma": 0.7, "dt": 0.05, "start": "box", "steps": 500, "batch": 64}
MOVED |= {"lr": 0.02, "n_seeds": 2, "rollout_steps": 20, "n_starts": 20}


def test_the_page_follows_the_physics_it_is_given(rerun):
    claims = rerun(chapter.PAGE, **MOVED).claims
    wrong_sign = ((3.3**2 + 0.7**2) / (3.3**2 - 0.7**2)) ** 0.5 - 1
    assert claims["P1.5"]["value"] == pytest.approx(wrong_sign, rel=1e-9)
    assert claims["P1.11"]["value"] == pytest.approx(0.5**0.5, abs=1e-4)
    # an ensemble trained at the defaults would be off by 0.4 in omega0 and 0.86 in gamma
    assert claims["P1.7"]["value"] < 0.02
    assert claims["P1.7b"]["value"] < 0.02
    assert claims["P1.2"]["value"] < 0.1
    assert claims["P1.7"]["n_seeds"] == 2


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("omega0", -1.0, "must be > 0"),
        ("gamma", 2.5, "must be < omega0 = 2"),
        ("gamma", 0.0, "must be > 0"),
        ("dt", 1.6, "must be < 3.14 / omega0 = 1.57"),
        ("start", "gauss", "must be 'normal' or 'box'"),
        ("steps", 1.5, "must be a whole number"),
        ("batch", 0, "must be >= 1"),
        ("lr", 2.0, "must be <= 1"),
        ("n_seeds", 1, "must be >= 2"),
        ("rollout_steps", 9, "must be >= 10"),
        ("n_starts", 1, "must be >= 10"),
        ("device", "tpu", "must be 'cpu' or 'cuda'"),
    ],
)
def test_what_the_page_cannot_use_is_refused_in_one_line(name, value, allowed):
    with pytest.raises(ValueError) as error:
        chapter.Parameters.given(pages.defaults(chapter.PAGE) | {name: value})
    assert str(error.value) == f"{name} = {value!r}: {allowed}"


def test_the_page_itself_refuses_an_unknown_name(refusal):
    line = refusal(chapter.PAGE, "-p", "omega_0", "3.0")
    assert line.startswith("ValueError: omega_0: unknown parameter; known are omega0, gamma, dt")


def test_the_three_ensembles_differ_in_damping_and_bias_alone():
    p = chapter.Parameters.given(pages.defaults(chapter.PAGE) | MOVED)
    runs = chapter.runs(p)
    dampings = {name: (run.gamma_min, run.gamma_max) for name, run in runs.items()}
    assert dampings == {"undamped": (0, 0), "damped": (0.7, 0.7), "no bias": (0.7, 0.7)}
    assert [run.bias for run in runs.values()] == [True, True, False]
    shared = {(r.omega0_min, r.omega0_max, r.dt, r.start, r.steps, r.lr) for r in runs.values()}
    assert shared == {(3.3, 3.3, 0.05, "box", 500, 0.02)}
