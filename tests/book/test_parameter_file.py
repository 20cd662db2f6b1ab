"""A parameter file reaches every page that knows a name, and nobody else's."""

import pytest

from attention_in_motion.book import parameter_file, parameters
from attention_in_motion.chapters import contents


@pytest.fixture
def given(tmp_path):
    """given("gamma = 0.3") → what each page is given."""

    def read(text):
        path = tmp_path / "parameters.toml"
        path.write_text(text, encoding="utf-8")
        return parameter_file.read(path)

    return read


def test_a_name_at_the_top_goes_to_every_page_that_knows_it(given):
    found = given("gamma = 0.3")
    know = {page for page in contents.PAGES if "gamma" in parameters.defaults(page)}
    assert found == {page: {"gamma": 0.3} for page in know} and 1 < len(know) < len(contents.PAGES)


def test_a_section_goes_to_one_page_and_wins(given):
    found = given("n_test = 64\n[solver]\nn_test = 128\n[1]\ngamma = 0.2")
    assert found["03_variable_omega/solver"] == {"n_test": 128}
    assert found["03_variable_omega/mask"] == {"n_test": 64}
    assert found["01_fixed_omega"] == {"gamma": 0.2}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("gama = 0.3", "gama: unknown parameter; no page of the book has it"),
        ("[solver]\ngama = 1", "03_variable_omega/solver: gama: unknown parameter; known are "),
        ("[9]\ngamma = 0.3", "chapter = '9': must be one of 01_fixed_omega,"),
        ("[1]\ngamma = 9.0", "01_fixed_omega: gamma = 9.0: must be < omega0 = 2"),
        (
            "[1]\ngamma = 1979-05-27",
            "01_fixed_omega: gamma = datetime.date(1979, 5, 27): must be a",
        ),
        ("[1]\n[1.gamma]\nx = 1", "01_fixed_omega: gamma = {'x': 1}: must be a number"),
        ("gamma = ", "parameters.toml: not TOML: "),
        ("", "parameters.toml: changes nothing"),
        ("[1]", "parameters.toml: changes nothing"),
    ],
)
def test_what_nobody_can_use_is_refused_in_one_line(given, tmp_path, text, line):
    with pytest.raises(ValueError) as error:
        given(text)
    said = str(error.value).replace(f"{tmp_path}/", "")
    assert said.startswith(line) and "\n" not in said
