"""What a sweep leaves, without a cluster: a reading per point, a table, a word about the cost."""

import csv

import pytest

from attention_in_motion.book import cost, points, reading, sweep
from attention_in_motion.book.reading import Reading
from attention_in_motion.chapters import contents

CLAIM = {"id": "P1.7", "value": 0.5, "interval": [0.4, 0.6], "n_seeds": 3, "verdict": "holds"}
MISSING = {"id": "P1.8", "value": None, "interval": None, "n_seeds": 0, "verdict": "not_testable"}


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(points, "RUNS", tmp_path)


def toy(point):
    """The reading of a page that claims its own gamma."""
    claims = {"P1.7": CLAIM | {"value": point.values["gamma"]}, "P1.8": MISSING}
    return Reading(point.page, point.values, claims)


@pytest.fixture
def asked():
    return points.grid("1", {"gamma": "0.3,0.1,1"})


def test_a_point_is_executed_once(asked):
    calls = []

    def run(point):
        calls.append(point)
        return toy(point)

    first, seconds = sweep.settle(asked[0], asked[0].path, run)
    again, nothing = sweep.settle(asked[0], asked[0].path, run)
    assert first == again == toy(asked[0]) and len(calls) == 1
    assert seconds > 0 and nothing == 0
    assert reading.collect(asked[0].path) == [first]  # `claims --from` reads it too


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", '[{"page": "x"}]'])
def test_what_is_no_reading_of_the_point_is_refused_by_name(asked, text):
    asked[0].path.parent.mkdir(parents=True)
    asked[0].path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{asked[0].key}.json: is not the reading"):
        sweep.finished(asked[0])


def test_the_reading_of_another_point_is_refused(asked):
    sweep.keep(toy(asked[1]), asked[0].path)
    with pytest.raises(ValueError, match="is not the reading"):
        sweep.finished(asked[0])


def test_the_table_has_a_row_for_each_point_and_claim(asked):
    for point in asked[:2]:
        sweep.keep(toy(point), point.path)
    rows = sweep.table(asked)
    written = sweep.write_table(asked, rows)
    with written[0].open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(r["gamma"], r["claim"], r["value"], r["verdict"]) for r in found] == [
        *(("0.3", "P1.7", "0.3", "holds"), ("0.3", "P1.8", "", "not_testable")),
        *(("0.1", "P1.7", "0.1", "holds"), ("0.1", "P1.8", "", "not_testable")),
    ]
    assert list(found[0]) == [*asked[0].values, *sweep.CLAIM_COLUMNS]
    assert written[0].name.startswith("gamma-")


def test_other_points_have_another_table(asked):
    assert sweep.stem(asked) == sweep.stem(asked[::-1]) != sweep.stem(asked[:2])


def test_a_claim_is_drawn_in_the_order_of_the_parameter(asked):
    for point in asked:
        sweep.keep(toy(point), point.path)
    found = sweep.against(sweep.table(asked), "P1.7", "gamma")
    assert [row["gamma"] for row in found] == [0.1, 0.3, 1.0]
    with pytest.raises(ValueError, match=r"^plot = 'P1.8': has no value"):
        sweep.against(sweep.table(asked), "P1.8", "gamma")


def test_the_cost_is_told_from_points_that_have_run(asked):
    own = cost.seconds()["01_fixed_omega"]
    times = f"each takes {cost.about(own)}, all {cost.about(2 * own)}, if each is as much work as"
    assert times in sweep.cost(asked, 2)
    sweep.receive(asked[0], toy(asked[0]), 100.0)
    line = "3 points of 01_fixed_omega: 1 finished, 2 to run, 1 at a time; "
    assert sweep.cost(asked, 1) == line + "each takes about 100 s, all about 3.3 min"
    for point in asked:
        sweep.keep(toy(point), point.path)
    assert sweep.cost(asked, 1) == "3 points of 01_fixed_omega: 3 finished, 0 to run"


def test_a_point_that_died_beside_the_deadly_one_runs_once_more_alone(asked, monkeypatch):
    """Dask blames a worker's death on all points that it held; alone, none is blamed wrongly."""
    trials, said, deadly = [], [], asked[1]

    def outcomes(points, client, run):
        trials.append(points)
        for point in points:
            dies = point == deadly or (len(points) > 1 and point == asked[2])
            yield point, sweep.KILLED if dies else None

    monkeypatch.setattr(sweep, "outcomes", outcomes)
    assert sweep.sweep(asked, None, said.append) == {deadly.key: sweep.KILLED}
    assert trials == [asked, [deadly], [asked[2]]]
    assert [line.split(": ", 2)[::2] for line in said] == [
        *(["1 of 3", "finished"], ["2 of 3", sweep.KILLED], ["3 of 3", "finished"]),
    ]


def test_a_scheduler_that_is_not_there_is_one_line():
    with (
        pytest.raises(ValueError, match=r"^scheduler = 'tcp://127.0.0.1:9': .+") as error,
        sweep.cluster("tcp://127.0.0.1:9"),
    ):
        pass
    assert "\n" not in str(error.value)


def test_no_column_of_a_claim_is_a_parameter_of_a_page():
    names = {name for page in contents.PAGES.values() for name in page.Parameters.model_fields}
    assert not names & set(sweep.CLAIM_COLUMNS)
