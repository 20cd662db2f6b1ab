"""Parameters are refused in one line, rules that cannot fail are refused at import."""

import pytest

from attention_in_motion.chapters import contents
from attention_in_motion.chapters.page import Parameters, claim, injected_names, rules


class Two(Parameters):
    page = "two"
    gamma: float
    n: int


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"gamma": 0.1, "n": "3"}, "n = '3': must be a whole number"),
        ({"gamma": "x", "n": 3}, "gamma = 'x': must be a number"),
        ({"gamma": 0.1}, "n = {'gamma': 0.1}: must be given"),
        ({"gamma": 0.1, "n": 3, "m": 1}, "m: unknown parameter; known are gamma, n"),
        ({"gamma": 0.1, "n": True}, "n = True: must be a whole number"),
    ],
)
def test_bad_values_are_refused_in_one_line(given, line):
    with pytest.raises(ValueError) as error:
        Two.given(given)
    assert str(error.value) == line


def test_names_are_read_from_an_injected_cell_only():
    assert injected_names("# Parameters\na = 1\nb = 2") == ["a", "b"]
    assert injected_names("a = 1") == []


@pytest.mark.parametrize("ends", [{}, {"at_least": 2.0, "at_most": 1.0}])
def test_a_rule_that_cannot_fail_is_refused(ends):
    with pytest.raises(ValueError, match=r"P1\.1 = "):
        rules("page", claim("P1.1", "says", "measure", **ends))


def test_an_id_may_stand_once():
    one = claim("P1.1", "says", "measure", at_most=1.0)
    with pytest.raises(ValueError, match="stands twice"):
        rules("page", one, one)


def test_ids_are_unique_over_the_book():
    assert len(contents.RULES) == sum(len(m.RULES) for m in contents.PAGES.values())


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("01_fixed_omega", "01_fixed_omega"),
        ("1", "01_fixed_omega"),
        ("04", "04_uniform_motion"),
        ("solver", "03_variable_omega/solver"),
        ("variable_omega", "03_variable_omega"),
        ("model", "05_odeformer"),
    ],
)
def test_pages_answer_to_short_names(name, page):
    assert page == contents.named(name).PAGE


def test_an_unknown_page_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="chapter = '9': must be one of 01_fixed_omega, 02_"):
        contents.named("9")
