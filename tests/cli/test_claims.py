"""Listing and comparing claims, as a user types it."""

import json

import pytest

from attention_in_motion.book import reading
from attention_in_motion.paths import BOOK


@pytest.mark.parametrize("planted", ["nothing", "verdict", "claim", "value"])
def test_compare_fails_on_what_moved_and_says_what(planted, tmp_path, command):
    new = json.loads(reading.as_json(reading.collect(BOOK)))
    page, claims = new[-1]["page"], new[-1]["claims"]
    first = next(name for name, claim in claims.items() if claim["value"] is not None)
    if planted == "verdict":
        claims[first]["verdict"] = "not_testable"
    elif planted == "claim":
        del claims[first]
    elif planted == "value":
        claims[first] |= {"value": claims[first]["value"] + 1, "source": "exact"}
    (tmp_path / "new.json").write_text(json.dumps(new), encoding="utf-8")
    done = command("compare", BOOK, tmp_path / "new.json")
    old_way = command("claims", "--compare", BOOK, tmp_path / "new.json")
    assert (old_way.returncode, old_way.stdout) == (done.returncode, done.stdout)
    assert done.returncode == (planted != "nothing")
    assert done.stdout.startswith(f"{page}: {first}: ") == (planted != "nothing"), done.stdout


def test_what_json_prints_is_read_back(tmp_path, command):
    (tmp_path / "all.json").write_text(command("claims", "--json").stdout, encoding="utf-8")
    assert reading.collect(tmp_path / "all.json") == reading.collect(BOOK)
