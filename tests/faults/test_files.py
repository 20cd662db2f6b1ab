"""Damaged and hostile files are refused by name, in one line; nothing runs, nothing is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import hostile
import pytest
from harness import some

from attention_in_motion.odeformer import weights
from attention_in_motion.paths import DATA, SUMS, read_json
from attention_in_motion.training import store

NAMES = [*hostile.CHECKPOINTS, *hostile.WEIGHTS]
MOST_MIB = 300  # that reading may add to the process, whatever a file says of its own size
MOST_SECONDS = 60  # for what takes a second: no file makes the reader run on
ROWS = store.manifest()
MODELS = sorted(path for path in (DATA / "odeformer").glob("*.safetensors"))
DAMAGES = ("truncated", "one bit flipped", "swapped", "unreadable")


def test_hostile_files_are_refused_run_nothing_and_stay_small(tmp_path, count):
    chosen = some(NAMES)
    words = [sys.executable, Path(hostile.__file__), tmp_path, *chosen]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    for name, (line, grown, seconds) in json.loads(done.stdout.splitlines()[-1]).items():
        assert line.startswith(f"{tmp_path}/hostile.") and "\n" not in line, name
        assert grown < MOST_MIB and seconds < MOST_SECONDS, (name, grown, seconds)
    assert not (tmp_path / hostile.CANARY).exists()
    count("hostile checkpoints and weights refused, none executed", len(chosen))


def test_the_gadgets_work_where_pickles_are_run(tmp_path):
    """The canary sings, or the test above could not fail."""
    import pickle

    pickle.loads(hostile.CHECKPOINTS["bare pickle os.system"](tmp_path))
    assert (tmp_path / hostile.CANARY).exists()


def damage(path: Path, kind: str, other: Path) -> None:
    """Do to a copy of a shipped file what happens to files."""
    whole = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "one bit flipped":
        at = len(whole) // 3
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
    elif kind == "swapped":
        shutil.copyfile(other, path)
    else:
        path.unlink()
        path.mkdir()


def looks(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """data/ as links, so that one file can be damaged; trained weights go elsewhere."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in filter(Path.is_file, DATA.iterdir()):
        (folder / path.name).symlink_to(path)
    monkeypatch.setattr(store, "DATA", folder)
    monkeypatch.setattr(store, "MANIFEST", folder / "manifest.json")
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path / "weights"))
    return folder


def copied(path: Path) -> Path:
    """A link made a file of its own."""
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole)
    return path


CASES = [(i, kind) for i in range(len(ROWS)) for kind in DAMAGES]


def test_damaged_shipped_weights_are_refused_by_name_and_left(own_data, count):
    for i, kind in some(CASES):
        row, other = ROWS[i], DATA / ROWS[i - 1]["file"]
        path = copied(own_data / row["file"])
        damage(path, kind, other)
        before = looks(path)
        with pytest.raises((ValueError, OSError), match=row["file"]) as refused:
            store.load_or_train(store.run_of(row), "toy")
        assert "\n" not in str(refused.value) and looks(path) == before
        path.rmdir() if path.is_dir() else path.unlink()
        path.symlink_to(DATA / row["file"])
    assert not (own_data.parent / "weights").exists()  # nothing was trained instead
    count("damaged shipped weights refused by name", len(some(CASES)))


@pytest.mark.parametrize("ending", [".safetensors", ".json"])
def test_damaged_models_are_refused_by_name_and_left(ending, tmp_path, count):
    cases = some([(i, kind) for i in range(len(MODELS)) for kind in DAMAGES])
    for i, kind in cases:
        model = tmp_path / f"{i}-{kind}" / MODELS[i].name
        model.parent.mkdir()
        for one in (MODELS[i], MODELS[i].with_suffix(".json"), MODELS[i].with_name(SUMS)):
            shutil.copyfile(one, model.with_name(one.name))
        damage(model.with_suffix(ending), kind, MODELS[i - 1].with_suffix(ending))
        before = looks(model.with_suffix(ending))
        with pytest.raises((ValueError, OSError), match=MODELS[i].stem) as refused:
            weights.load(model)
        assert "\n" not in str(refused.value) and looks(model.with_suffix(ending)) == before
        shutil.rmtree(model.parent)
    count(f"damaged {ending} files of ODEFormer refused by name", len(cases))


TABLES = sorted({*DATA.rglob("*.json")} - {path.with_suffix(".json") for path in MODELS})


def test_damaged_tables_are_refused_by_name_and_left(tmp_path, count):
    cases = some([(i, kind) for i in range(len(TABLES)) for kind in DAMAGES])
    for i, kind in cases:
        path, other = tmp_path / TABLES[i].name, TABLES[i - 1]
        for one in (TABLES[i], TABLES[i].with_name(SUMS)):
            shutil.copyfile(one, tmp_path / one.name)
        damage(path, kind, other)
        before = looks(path)
        with pytest.raises((ValueError, OSError), match=str(path)) as refused:
            read_json(path)
        assert "\n" not in str(refused.value) and looks(path) == before
        path.rmdir() if path.is_dir() else path.unlink()
    count("damaged tables and manifests refused by name", len(cases))


@pytest.mark.parametrize("kind", ["truncated", "swapped", "unreadable"])
def test_damaged_sums_let_nothing_pass(kind, tmp_path, count):
    path = tmp_path / TABLES[0].name
    for one in (TABLES[0], TABLES[0].with_name(SUMS)):
        shutil.copyfile(one, tmp_path / one.name)
    damage(path.with_name(SUMS), kind, DATA / "README.md")
    if kind == "truncated":
        (tmp_path / SUMS).write_text("", encoding="utf-8")
    with pytest.raises((ValueError, OSError), match=SUMS):
        read_json(path)
    count("damaged SHA256SUMS, nothing passed")


def test_every_bit_of_a_line_of_the_sums_counts(tmp_path):
    shutil.copyfile(TABLES[0], tmp_path / TABLES[0].name)
    (line,) = [one for one in sums_of(TABLES[0]) if one.endswith(TABLES[0].name)]
    for bit in range(8 * len(line)):
        flipped = bytearray(line.encode())
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / SUMS).write_bytes(flipped)
        with pytest.raises(ValueError, match=SUMS):
            read_json(tmp_path / TABLES[0].name)


def sums_of(path):
    """The lines of the SHA256SUMS beside a file."""
    return path.with_name(SUMS).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("kind", ["truncated", "swapped", "unreadable", "key", "sha256", "file"])
def test_a_damaged_manifest_is_refused_and_nothing_is_trained(kind, own_data, count):
    path, row = copied(own_data / "manifest.json"), ROWS[0]
    if kind in row:  # one bit of this entry
        right, last = f'"{kind}": "{row[kind]}', ord(row[kind][-1])
        text = path.read_text(encoding="utf-8").replace(right, right[:-1] + chr(last ^ 1), 1)
        path.write_text(text, encoding="utf-8")
    else:
        damage(path, kind, DATA / "README.md")
    before = looks(path)
    with pytest.raises((ValueError, OSError)) as refused:
        store.load_or_train(store.run_of(row), "toy")
    named = (str(path), str(own_data / row["name"]))
    assert any(name in str(refused.value) for name in named), str(refused.value)
    assert "\n" not in str(refused.value)
    assert looks(path) == before and not (own_data.parent / "weights").exists()
    count("damaged manifests refused")
