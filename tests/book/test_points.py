"""Texts become points: checked, each once, named by all that their result depends on."""

import pytest

from attention_in_motion.book import pages, points

PAGE = "01_fixed_omega"


def grid(**axes):
    return points.grid("1", axes)


def test_every_combination_is_a_point_with_all_its_parameters():
    asked = grid(gamma="0.1, 0.3,1", steps="5:8")
    pairs = [(p.values["gamma"], p.values["steps"]) for p in asked]
    assert pairs == [(g, s) for g in (0.1, 0.3, 1.0) for s in (5, 6, 7)]
    rest = {k: v for k, v in pages.defaults(PAGE).items() if k not in ("gamma", "steps")}
    assert all(rest.items() <= p.values.items() for p in asked)
    assert points.varied(asked) == ["gamma", "steps"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1,0.3", [0.1, 0.3]),
        ("0:3", [0, 1, 2]),
        ("0:10:5,7", [0, 5, 7]),
        ("False", [False]),
        ("8LA 16/8", ["8LA 16/8"]),
        ("a:b", ["a:b"]),
    ],
)
def test_texts_name_values(text, expected):
    assert points.values("name", text) == expected


def test_one_point_however_it_is_written():
    """A default that is named, a whole number for a number, a value given twice."""
    keys = [{p.key for p in grid(**axes)} for axes in ({}, {"omega0": "2"}, {"gamma": "0.1,0.10"})]
    assert keys[0] == keys[1] == keys[2] and len(keys[0]) == 1


def test_the_key_depends_on_parameters_and_version(monkeypatch):
    before = grid()[0]
    assert grid(gamma="0.2")[0].key != before.key
    monkeypatch.setattr(points, "version", lambda page: "another")
    assert grid()[0].key != before.key


def test_the_version_follows_what_the_page_computes_with(tmp_path, monkeypatch):
    now, page = points.version(PAGE), (points.BOOK / f"{PAGE}.ipynb").read_text(encoding="utf-8")
    monkeypatch.setattr(points, "BOOK", tmp_path)
    for old, new, same in (
        ("text", "text", True),
        ("# Chapter", "# Part", True),
        ("p =", "q =", False),
    ):
        changed = page.replace(old, new)
        (tmp_path / f"{PAGE}.ipynb").write_text(changed, encoding="utf-8")
        assert (points.version(PAGE) == now) == same, old
    monkeypatch.undo()
    monkeypatch.setattr(points.metadata, "version", lambda name: "9.9")
    assert points.version(PAGE) != now


def test_seeds_of_an_ensemble_are_counted_from_zero():
    (one,) = grid(seed="0:32")
    assert one.values["n_seeds"] == 32
    assert [p.values["seed"] for p in points.grid("model", {"seed": "3:5"})] == [3, 4]


@pytest.mark.parametrize(
    ("axes", "line"),
    [
        ({"gamma": "0.1,9"}, "gamma = 9.0: must be < omega0 = 2"),
        ({"gamma": ""}, "gamma = '': must be values like 0.1,0.3, or whole numbers like 0:32"),
        ({"steps": "5:5"}, "steps = '5:5': must be values like"),
        ({"omega_0": "1"}, "omega_0: unknown parameter; known are omega0"),
        ({"seed": "3:5"}, "seed = 3,4: must be 0:n, because the page trains its seeds"),
        ({"seed": "0:4", "n_seeds": "3"}, "seed: unknown parameter"),
        ({"steps": "1:1000", "batch": "1:1000"}, "sweep: must have at most 100000 points"),
    ],
)
def test_bad_values_are_one_line(axes, line):
    with pytest.raises(ValueError) as error:
        grid(**axes)
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


def test_a_name_given_twice_is_refused():
    with pytest.raises(ValueError, match=r"^gamma: is named twice; write -p gamma 1,2$"):
        points.axes_of([("gamma", "1"), ("gamma", "2")])
    with pytest.raises(ValueError, match=r"^gamma: is named twice, by -p and by the file"):
        points.grid("1", {"gamma": "1"}, [{"gamma": "0.5"}])


def test_a_file_names_points(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("gamma,start\n0.1,box\n0.3,normal\n", encoding="utf-8")
    asked = points.grid("1", {"steps": "5,6"}, points.rows_of(path))
    found = [(p.values["gamma"], p.values["start"], p.values["steps"]) for p in asked]
    assert found == [(0.1, "box", 5), (0.1, "box", 6), (0.3, "normal", 5), (0.3, "normal", 6)]


@pytest.mark.parametrize("text", ["", "gamma\n", "gamma,dt\n0.1\n", "gamma\n0.1,0.2\n"])
def test_a_file_without_whole_rows_is_refused_by_name(text, tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"points.csv"):
        points.rows_of(path)


def test_what_is_drawn_is_checked_beforehand():
    asked = grid(gamma="0.1,0.3")
    assert points.plottable(asked, "P1.7", None) == "gamma"
    assert points.plottable(asked, "P1.7", "omega0") == "omega0"
    with pytest.raises(ValueError, match=r"^plot = 'P9': must be one of P1.1, "):
        points.plottable(asked, "P9", "gamma")
    with pytest.raises(ValueError, match=r"^against = 'gama': must be one of gamma$"):
        points.plottable(asked, "P1.7", "gama")
