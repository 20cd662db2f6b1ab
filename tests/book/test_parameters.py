"""Parameters are read off a page as papermill reads them, in a fraction of its time."""

import papermill
import pytest

from attention_in_motion.book import parameters
from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK

every_page = pytest.mark.parametrize("page", contents.PAGES)


@every_page
def test_they_are_what_papermill_finds(page):
    found = papermill.inspect_notebook(str(BOOK / f"{page}.ipynb"))
    theirs = [
        (name, one["inferred_type_name"], parameters.literal(one["default"]), one["help"])
        for name, one in found.items()
    ]
    ours = [(p.name, p.type, p.default, p.help) for p in parameters.parameters(page)]
    assert ours == theirs


@every_page
def test_what_is_said_to_be_allowed_is_what_is_allowed(page):
    declared = contents.PAGES[page].Parameters
    for one in parameters.parameters(page):
        for part in filter(None, one.allowed.split(", ")):
            sign, _, number = part.partition(" ")
            if sign not in ("≥", "≤", ">", "<"):
                continue
            beyond = float(number) + {"≥": -1, "≤": 1, ">": 0, "<": 0}[sign]
            beyond = int(beyond) if one.type == "int" else beyond
            with pytest.raises(ValueError, match=rf"^{one.name} = "):
                declared.given(parameters.defaults(page) | {one.name: beyond})


def test_a_parameter_is_described_whole():
    (found,) = [p for p in parameters.parameters("1") if p.name == "omega0"]
    assert found == parameters.Parameter(
        *("omega0", "float", 2.0, "natural frequency [1/time]", "1/time", "> 0")
    )
    (choice,) = [p for p in parameters.parameters("1") if p.name == "start"]
    assert choice.allowed == "'normal' or 'box'"


def test_texts_become_values_and_values_stay():
    assert parameters.checked("1", {"omega0": "3.3", "n_seeds": 4}) == {"omega0": 3.3, "n_seeds": 4}
    with pytest.raises(ValueError, match=r"^gamma = 9.0: must be < omega0 = 2$"):
        parameters.checked("1", {"gamma": "9.0"})


def test_the_path_of_a_file_is_absolute_since_a_page_runs_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.json", "ours"):
        (tmp_path / name).touch()
    values = parameters.checked("probes", {"table": "mine.json", "model": "ours"})
    assert values == {"table": str(tmp_path / "mine.json"), "model": "ours"}
