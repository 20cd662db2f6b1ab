"""The build on small books of its own: what runs, what is kept, what a failing page leads to."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace as Namespace

import nbformat
import pytest
import yaml

from attention_in_motion.paths import BOOK, ROOT

sys.path.append(str(BOOK / "_ext"))
import executed_pages
import offline_maths

COUNT = 'with open("ran-{name}.txt", "a", encoding="utf-8") as file: file.write("x")'
THREADS = "import torch; print('threads:', torch.get_num_threads())"


@dataclass
class Built:
    """What one build said, and how often each page has run by then."""

    status: int
    said: str
    ran: dict[str, int]
    text: dict[str, str]


def page(name, *sources, shown="an older number"):
    """A notebook that counts its runs, with committed outputs."""
    cells = [nbformat.v4.new_markdown_cell(f"# {name}")]
    for number, source in enumerate([COUNT.format(name=name), *sources], start=1):
        out = nbformat.v4.new_output("stream", name="stdout", text=f"{shown}\n")
        cell = nbformat.v4.new_code_cell(source, execution_count=number, outputs=[out])
        cells.append(cell)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


def write_book(root, pages, extensions=("executed_pages",), address=""):
    """A checkout in small, with the configuration and some extensions of the real one."""
    for folder in ("src", "data", "configs", "book"):
        (root / folder).mkdir()
    for folder in ("_ext", "_static"):
        shutil.copytree(BOOK / folder, root / "book" / folder)
    (root / "requirements.txt").write_text("pinned==1", encoding="utf-8")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    del config["bibtex_bibfiles"], config["sphinx"]["config"]["bibtex_reference_style"]
    config["sphinx"]["local_extensions"] = dict.fromkeys(extensions, "book/_ext")
    config["repository"]["url"] = address
    (root / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    listed = "".join(f"  - file: {name}\n" for name in pages)
    toc = f"format: jb-book\nroot: index\nchapters:\n{listed}"
    (root / "book" / "_toc.yml").write_text(toc, encoding="utf-8")
    (root / "book" / "index.md").write_text("# A book\n", encoding="utf-8")
    for name, notebook in pages.items():
        nbformat.write(notebook, root / "book" / f"{name}.ipynb")


def build(root, *options):
    """The book, built as its readers build it."""
    command = Path(sys.executable).with_name("jupyter-book")
    done = subprocess.run(
        [command, "build", "book", *options],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=root,
    )
    written = {p.stem: read(p) for p in root.glob("_build/html/*.html")}
    counts = {p.stem.removeprefix("ran-"): p.stat().st_size for p in root.glob("book/ran-*")}
    return Built(done.returncode, done.stdout + done.stderr, counts, written)


def read(path):
    """A page of HTML without its tags."""
    return re.sub("<[^>]+>", "", path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """One book through its life: a page fails, fails again, is repaired, and nothing changes."""
    root = tmp_path_factory.mktemp("checkout")
    broken = ["print('got', 'here')", "raise ValueError('planted\\nand more')", "print('after')"]
    write_book(
        root,
        {
            "good": page("good", "print(6 * 7)", THREADS),
            "bad": page("bad", *broken),
            "last": page("last", "print('also', 'written')"),
        },
    )
    stages = {"first": build(root), "second": build(root), "strict": build(root, "-W")}
    repaired = page("bad", "print('got', 'here')", "print('re' + 'paired')", "print('after')")
    nbformat.write(repaired, root / "book" / "bad.ipynb")
    stages["repaired"] = build(root, "-W", "--keep-going")
    stages["warm"] = build(root, "-W", "--keep-going")
    (root / "configs" / "main.toml").write_text("steps = 1", encoding="utf-8")
    stages["configured"] = build(root, "-W", "--keep-going")
    return stages


@pytest.mark.parametrize("stage", ["first", "second", "strict"])
def test_a_failing_page_fails_every_build_and_is_named_in_one_line(story, stage):
    assert story[stage].status != 0
    assert "bad.ipynb, cell 3: ValueError: planted\n" in story[stage].said


def test_the_other_pages_are_written_with_what_they_computed(story):
    text = story["first"].text
    assert "42" in text["good"] and "threads: 1" in text["good"]
    assert "also written" in text["last"]
    assert "an older number" not in text["good"] + text["last"]


def test_the_failing_page_shows_its_traceback_and_says_what_is_old(story):
    text = story["first"].text["bad"]
    assert "This page did not run to its end" in text and "cell 3" in text
    assert "got here" in text and "Traceback" in text and "an older number" in text


def test_a_page_runs_once_and_a_failing_one_again_in_every_build(story):
    assert story["first"].ran == {"good": 1, "bad": 1, "last": 1}
    assert story["second"].ran == {"good": 1, "bad": 2, "last": 1}
    assert story["strict"].ran == {"good": 1, "bad": 3, "last": 1}


def test_a_repaired_page_is_run_and_shown(story):
    assert story["repaired"].status == 0, story["repaired"].said
    assert story["repaired"].ran == {"good": 1, "bad": 4, "last": 1}
    assert "repaired" in story["repaired"].text["bad"]
    assert "did not run to its end" not in story["repaired"].text["bad"]


def test_a_build_with_nothing_changed_runs_nothing(story):
    assert story["warm"].status == 0
    assert story["warm"].ran == story["repaired"].ran and "started" not in story["warm"].said


def test_a_changed_configuration_runs_every_page(story):
    assert story["configured"].status == 0
    assert story["configured"].ran == {"good": 2, "bad": 5, "last": 2}


@pytest.mark.parametrize(
    "changed",
    [
        *("src/m.py", "data/w.safetensors", "configs/a/main.toml"),
        *("book/_ext/role.py", "requirements.txt"),
    ],
)
def test_the_key_follows_everything_that_numbers_depend_on(changed, tmp_path, monkeypatch):
    monkeypatch.setattr(executed_pages, "ROOT", tmp_path)
    (tmp_path / "requirements.txt").write_text("a==1", encoding="utf-8")
    keys = [executed_pages.digest()]
    (tmp_path / changed).parent.mkdir(parents=True, exist_ok=True)
    for text in ("one", "two", "one"):
        (tmp_path / changed).write_text(text, encoding="utf-8")
        keys.append(executed_pages.digest())
    assert len(set(keys)) == 3 and keys[1] == keys[3]


def test_captions_do_not_run_a_page_again_but_code_and_tags_do():
    cell = nbformat.v4.new_code_cell("x = 1")
    before = executed_pages.cell_key(cell)
    cell.metadata.mystnb = {"figure": {"caption": "reworded"}}
    assert executed_pages.cell_key(cell) == before
    cell.metadata.tags = ["raises-exception"]
    assert executed_pages.cell_key(cell) != before


def test_long_pages_are_begun_first(tmp_path, monkeypatch):
    ran = []
    paths = {name: tmp_path / f"{name}.ipynb" for name in ("a", "b", "c")}
    for name, path in paths.items():
        nbformat.write(page(name, *["x = 1"] * {"a": 1, "b": 9, "c": 5}[name]), path)
    monkeypatch.setattr(executed_pages.pages, "side_by_side", lambda begun: ran.extend(begun) or ())
    state = executed_pages.Build(Namespace(outdir=tmp_path / "_build" / "html"))
    app = Namespace(config=Namespace(executed_pages="key"))
    env = Namespace(found_docs=set(paths), doc2path=lambda doc: str(paths[doc]))
    state.execute_stale(app, env, set(), set(), set())
    executed_pages.write(state.cache / "seconds.json", '{"c.ipynb": 100000}')
    state.execute_stale(app, env, set(), set(), set())
    assert ran == ["b.ipynb", "c.ipynb", "a.ipynb", "c.ipynb", "b.ipynb", "a.ipynb"]


@pytest.mark.parametrize("address", ["", "https://github.com/owner/book"])
def test_the_repository_and_the_launchers_are_linked_once_there_is_an_address(address, tmp_path):
    write_book(tmp_path, {"good": page("good")}, ("repository",), address)
    assert build(tmp_path, "-W").status == 0
    text = (tmp_path / "_build" / "html" / "good.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'href="https://([a-z.]+)/', text))
    wanted = {"github.com", "mybinder.org", "colab.research.google.com"}
    assert linked & wanted == (wanted if address else set())


def test_mathjax_is_found_where_pip_has_put_it(monkeypatch):
    assert offline_maths.bundle().stat().st_size > 1e6
    monkeypatch.setattr(offline_maths, "files", lambda name: None)
    with pytest.raises(FileNotFoundError, match="not in the installed sphinx-mathjax-offline"):
        offline_maths.bundle()
