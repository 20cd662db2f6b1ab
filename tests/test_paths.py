"""Files come whole or not at all, and a folder with SHA256SUMS knows what lies in it."""

import hashlib
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from attention_in_motion.paths import DATA, SUMS, read_json, save_atomically, sums, write_sums


def test_what_is_written_beside_sums_has_its_own_and_leaves_the_others(tmp_path):
    (tmp_path / SUMS).write_text("0" * 64 + "  other.json\n", encoding="utf-8")
    for text in ("[1]", "[1, 2]"):
        path = tmp_path / "table.json"
        save_atomically(lambda partial, text=text: partial.write_bytes(text.encode()), path)
        own = hashlib.sha256(text.encode()).hexdigest()
        assert sums(tmp_path) == {"other.json": "0" * 64, "table.json": own}
        assert read_json(path) == json.loads(text)
    assert {p.name for p in tmp_path.iterdir() if p.suffix != ".lock"} == {SUMS, "table.json"}


def test_no_sum_is_lost_when_many_files_are_written_at_once(tmp_path):
    write_sums(tmp_path)
    names = [f"{i}.json" for i in range(40)]

    def write(name):
        save_atomically(lambda partial: partial.write_bytes(name.encode()), tmp_path / name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, names))
    assert sums(tmp_path) == {name: hashlib.sha256(name.encode()).hexdigest() for name in names}


def test_a_folder_without_sums_gets_none(tmp_path):
    save_atomically(lambda partial: partial.write_bytes(b"[]"), tmp_path / "table.json")
    assert read_json(tmp_path / "table.json") == []
    assert [one.name for one in tmp_path.iterdir()] == ["table.json"]


def test_what_was_changed_by_hand_is_refused_until_the_sums_are_written_anew(tmp_path):
    path = tmp_path / "table.json"
    path.write_text("[1]", encoding="utf-8")
    write_sums(tmp_path)
    path.write_text("[2]", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^{path}: SHA-256 differs .* attention-in-motion ship$"):
        read_json(path)
    write_sums(tmp_path)
    assert read_json(path) == [2]


FOLDERS = pytest.mark.parametrize("folder", [DATA, DATA / "odeformer"], ids=["data", "odeformer"])


@FOLDERS
def test_every_shipped_file_has_its_sum(folder):
    files = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"]
    found = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}
    del found[SUMS]
    assert sums(folder) == found, "attention-in-motion ship writes them anew"


@FOLDERS
@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_the_sums_can_be_compared_without_our_code(folder):
    words = ["sha256sum", "--check", "--strict", "--quiet", SUMS]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout
