"""The table of scores: kept under settings, shared by processes, summed up over systems."""

import json
import math
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from multiprocessing import get_context
from statistics import mean

import pytest

from attention_in_motion.odeformer.odebench_scores import (
    CONDITIONS,
    EVERY,
    ONE,
    TWO,
    Case,
    Method,
    Score,
    add,
    best_of,
    by_condition,
    by_samples,
    compare,
    find,
    markdown,
    read,
    remaining_seconds,
    summary,
)

GOOD, BAD = Score(0.95, 0.91, 3, 2.0), Score(0.9, -math.inf, 5, 4.0)
CLEAN = Case(0.0, 0.0, 0, 1)


def test_what_is_added_is_read_again_and_other_settings_are_another_entry(tmp_path):
    path = tmp_path / "scores.json"
    assert read(path) == []
    add(path, "ours", {"weights": "a"}, {CLEAN: BAD})
    add(path, "ours", {"weights": "b"}, {CLEAN: GOOD})
    add(path, "ours", {"weights": "a"}, {Case(0.05, 0.5, 2, 30): GOOD})
    first, second = read(path)
    assert first.scores == {CLEAN: BAD, Case(0.05, 0.5, 2, 30): GOOD}
    assert find([first, second], "ours", {"weights": "b"}) is second
    assert find([first, second], "ours", {"weights": "c"}).scores == {}
    assert "Infinity" not in path.read_text(encoding="utf-8")
    assert len(json.loads(path.read_text(encoding="utf-8"))[0]["rows"]) == 2


def test_a_condition_and_a_dimension_are_picked_out(tmp_path):
    path = tmp_path / "scores.json"
    given = [CLEAN, Case(0.0, 0.5, 0, 1), Case(0.0, 0.0, 0, 40)]
    add(path, "ours", {}, dict.fromkeys(given, GOOD))
    [entry] = read(path)
    assert set(entry.at(0.0, 0.0, EVERY)) == {given[0], given[2]}
    assert set(entry.at(0.0, 0.0, ONE)) == {given[0]} and set(entry.at(0.0, 0.5, TWO)) == set()


def write_ten(path, seed):
    for i in range(1, 11):
        add(path, "ours", {}, {Case(0.05, 0.0, seed, i): GOOD})


def test_two_processes_lose_nothing_of_each_other(tmp_path):
    path = tmp_path / "scores.json"
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        list(pool.map(write_ten, [path] * 2, range(2)))
    [entry] = read(path)
    assert len(entry.scores) == 20


def test_a_damaged_table_is_refused_and_left(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("[{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"scores\.json: is no JSON"):
        add(path, "ours", {}, {CLEAN: GOOD})
    assert path.read_text(encoding="utf-8") == "[{"


def over_seeds(*good):
    """{case: score} of systems 1, 2, …, each with the number of its five seeds that are good."""
    return {
        Case(0.05, 0.0, seed, i): GOOD if seed < n else BAD
        for i, n in enumerate(good, start=1)
        for seed in range(5)
    }


def test_seeds_are_averaged_and_systems_are_counted():
    found = summary(over_seeds(5, 5, 2, 0))
    assert (found.n_systems, found.n_seeds) == (4, 5)
    rate, (low, high) = found.given
    assert rate == 0.6 and found.other[0] == 0.6
    # Wilson's interval of 2 in 4, the nearest whole number, and not of 12 in 20
    z2 = 1.959964**2
    half = z2**0.5 * math.sqrt(4 * 0.25 + z2 / 4) / (4 + z2)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)
    assert (found.terms, found.seconds, found.slowest) == (3, 2.0, 4.0)
    with pytest.raises(ValueError, match=r"^scores is empty"):
        summary({})


def test_what_the_page_shows_is_of_methods_that_were_tried_on_everything():
    every = {Case(*c, 0, i): GOOD if i % 2 else BAD for c in CONDITIONS for i in EVERY}
    part = {case: score for case, score in every.items() if case.id != 7}
    old = dict.fromkeys(every, GOOD)
    methods = [Method("ours", {"v": 1}, old), Method("ours", {}, every), Method("part", {}, part)]
    found = by_condition(methods, "given")
    assert list(found) == ["ours"] and len(found["ours"]) == len(CONDITIONS)
    assert [rate for rate, _ in found["ours"]] == pytest.approx([26 / 51] * 6)
    *_, row = markdown(methods[:2], 0.05, 0.5).splitlines()
    assert row == "| ours | 51% (38%–64%) | 51% (38%–64%) | 3 | 2.0 |"


def test_methods_are_compared_on_their_common_cases():
    one, other = over_seeds(5, 5, 3, 0, 5), over_seeds(1, 2, 3, 0)
    found = compare(one, other, "given")
    assert (found.more, found.fewer) == (2, 0) and found.p == pytest.approx(0.5)
    assert compare(one, one, "other") == (0, 0, 1.0)


def test_the_best_of_n_is_the_mean_over_all_choices_of_n():
    samples = [(0.95, 0.2), (0.99, 0.97), (0.5, 0.95), (-math.inf, -math.inf), (0.93, 0.99)]
    for n in range(1, 6):
        chosen = [max(some) for some in combinations(samples, n)]
        assert best_of(samples, n, "given") == pytest.approx(mean(g > 0.9 for g, _ in chosen))
        assert best_of(samples, n, "other") == pytest.approx(mean(o > 0.9 for _, o in chosen))
    with pytest.raises(ValueError, match=r"^n = 6: must be from 1 to the 5 samples"):
        best_of(samples, 6, "given")


def test_shares_by_samples_are_means_over_systems_and_nothing_counts_as_a_failure():
    good, bad, none = [1.0, 1.0], [0.95, 0.1], [None, None]
    rows = {"1": {"as written": [good, none]}, "2": {"as written": [bad, bad]}}
    assert by_samples(rows, "given", [1, 2]) == {"as written": [0.75, 1.0]}
    assert by_samples(rows, "other", [1, 2]) == {"as written": [0.25, 0.5]}


def test_what_is_left_is_timed_by_what_is_known(tmp_path):
    path = tmp_path / "scores.json"
    scores = {Case(0.0, 0.0, 0, i): Score(1, 1, 1, s) for i, s in ((1, 1.0), (2, 3.0), (30, 9.0))}
    add(path, "ours", {}, scores)
    todo = {"ours": [Case(0.0, 0.5, 0, 5), Case(0.0, 0.5, 0, 51)], "other": [CLEAN]}
    found = remaining_seconds(todo, read(path))
    assert found["ours"] == 11.0 and math.isnan(found["other"])
    add(path, "other", {}, {Case(0.0, 0.0, 0, 40): Score(1, 1, 1, 5.0)})  # 2-D alone
    assert remaining_seconds(todo, read(path))["other"] == 5.0
