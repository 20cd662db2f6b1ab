"""Every bad parameter is refused by one clear line that names it."""

import pytest

from attention_in_motion import parameters
from attention_in_motion.book import pages

ONE = pages.defaults("01_fixed_omega")
TWO = pages.defaults("02_linear_collapse")

BAD = [
    ("01_fixed_omega", {"omega0": -1.0}, "omega0 = -1.0: must be > 0"),
    ("01_fixed_omega", {"omega0": 0.0}, "omega0 = 0.0: must be > 0"),
    ("01_fixed_omega", {"omega0": "2"}, "omega0 = '2': must be a number"),
    ("01_fixed_omega", {"omega0": float("nan")}, "omega0 = nan: must be"),
    ("01_fixed_omega", {"omega0": float("inf")}, "omega0 = inf: must be finite"),
    ("01_fixed_omega", {"gamma": 0.0}, "gamma = 0.0: must be > 0"),
    ("01_fixed_omega", {"gamma": 2.0}, "gamma = 2.0: must be < omega0 = 2"),
    ("01_fixed_omega", {"gamma": None}, "gamma = None: must be a number"),
    ("01_fixed_omega", {"dt": 0}, "dt = 0: must be > 0"),
    ("01_fixed_omega", {"dt": 2.0}, "dt = 2.0: must be < 3.14 / omega0 = 1.57"),
    ("01_fixed_omega", {"start": "uniform"}, "start = 'uniform': must be 'normal' or 'box'"),
    ("01_fixed_omega", {"steps": 0}, "steps = 0: must be >= 1"),
    ("01_fixed_omega", {"steps": 10.5}, "steps = 10.5: must be a whole number"),
    ("01_fixed_omega", {"steps": True}, "steps = True: must be a whole number"),
    ("01_fixed_omega", {"batch": -3}, "batch = -3: must be >= 1"),
    ("01_fixed_omega", {"lr": 0.0}, "lr = 0.0: must be > 0"),
    ("01_fixed_omega", {"lr": 2.0}, "lr = 2.0: must be <= 1"),
    ("01_fixed_omega", {"n_seeds": 1}, "n_seeds = 1: must be >= 2"),
    ("01_fixed_omega", {"rollout_steps": 3}, "rollout_steps = 3: must be >= 10"),
    ("01_fixed_omega", {"device": "tpu"}, "device = 'tpu': must be 'cpu' or 'cuda'"),
    ("01_fixed_omega", {"omega_0": 2.0}, "omega_0: unknown parameter; known are omega0, gamma"),
    ("02_linear_collapse", {"context": 1}, "context = 1: must be >= 2"),
    ("02_linear_collapse", {"context": 300}, "batch = 256: must be >= context = 300"),
    ("02_linear_collapse", {"gamma": -0.1}, "gamma = -0.1: must be >= 0"),
    ("02_linear_collapse", {"gamma": 5}, "gamma = 5.0: must be < omega0 = 2"),
    ("02_linear_collapse", {"retrain": "false"}, "retrain = 'false': must be True or False"),
    ("02_linear_collapse", {"retrain": 1}, "retrain = 1: must be True or False"),
    ("03_nothing", {}, "chapter = '03_nothing': must be one of"),
]


@pytest.mark.parametrize(("chapter", "change", "line"), BAD)
def test_bad_parameters_are_refused_in_one_line(chapter, change, line):
    good = {"01_fixed_omega": ONE, "02_linear_collapse": TWO}.get(chapter, {})
    with pytest.raises(ValueError) as refused:
        parameters.validate(chapter, good | change)
    assert str(refused.value).startswith(line) and "\n" not in str(refused.value)


@pytest.mark.parametrize("chapter", parameters.CHAPTERS)
def test_the_notebook_and_the_model_know_the_same_names(chapter):
    defaults = pages.defaults(chapter)
    assert list(defaults) == list(parameters.CHAPTERS[chapter].model_fields)
    parameters.validate(chapter, defaults)


def test_every_notebook_has_parameters():
    found = {str(p.relative_to(pages.BOOK).with_suffix("")) for p in pages.pages()}
    assert found == set(parameters.CHAPTERS)


def test_whole_numbers_serve_where_a_number_is_wanted():
    assert parameters.validate("01_fixed_omega", ONE | {"omega0": 3}).omega0 == 3.0


def test_unknown_names_are_found_in_an_injected_cell_only():
    injected = "# Parameters\nomega_0 = 3.0\n"
    with pytest.raises(ValueError, match="omega_0: unknown parameter"):
        parameters.check("01_fixed_omega", ONE | {"omega_0": 3.0, "In": ["", injected]})
    parameters.check("01_fixed_omega", ONE | {"scratch": 3.0, "In": ["", "scratch = 3.0"]})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("false", False),
        ("True", True),
        ("box", "box"),
        ("[1, 2]", [1, 2]),
    ],
)
def test_command_line_texts_become_literals(text, value):
    assert pages.literal(text) == value and type(pages.literal(text)) is type(value)
