"""The build's small extensions: heads, repairs, icons, the repository's buttons."""

import json
import sys
from types import SimpleNamespace as Namespace

import nbformat
import pytest
from docutils import nodes

from attention_in_motion.paths import BOOK

sys.path.append(str(BOOK / "_ext"))
import downloads
import executed_pages
import folded_code
import lean_icons
import page_head
import repaired_html
import repository

SUN = 'sun:[512,512,[9728],"f185","M1 1"],'
SCRIPT = "var a={" + SUN + '"arrow-up":[1,2,[],"f0",["M2","M3"]],moon:[3,4,["x"],"f1","M4"]};run()'


def page(*paragraphs):
    """A parsed page of plain paragraphs."""
    tree = nodes.document(None, None)
    tree += [nodes.paragraph(text, text) for text in paragraphs]
    return tree


def head(doctree, address=None):
    """The context of a page after its head is made."""
    script = Namespace(filename=None, attributes={"body": "const THEBE_JS_URL = 1"})
    other = Namespace(filename="_static/claims.js", attributes={})
    context = {"title": "A & B", "script_files": [script, other], "css_files": ["sphinx-thebe.css"]}
    context["pageurl"] = address
    app = Namespace(config=Namespace(html_baseurl="https://book.example/"))
    page_head.describe(app, "page", "page.html", context, doctree)
    return context, other


def test_a_page_is_described_by_its_first_real_paragraph():
    text = 'Forty "states" ' + "and more words " * 10
    context, _ = head(page("A link.", text))
    assert (
        '<meta name="description" content="Forty &quot;states&quot; and more' in context["metatags"]
    )
    assert '"og:title" content="A &amp; B"' in context["metatags"]
    assert "og:url" not in context["metatags"]


def test_addresses_stand_in_a_head_when_the_book_has_one():
    context, _ = head(page("words " * 30), "https://book.example/page.html")
    assert 'og:url" content="https://book.example/page.html"' in context["metatags"]
    assert 'og:image" content="https://book.example/_static/front.png"' in context["metatags"]
    assert (BOOK / page_head.PICTURE).exists()


def test_long_descriptions_end_at_a_word():
    text = page_head.first_paragraph(page("several words " * 50))
    assert len(text) <= page_head.LONGEST and text.endswith(("words…", "several…"))


def test_thebe_is_not_loaded_and_the_colour_scheme_is_named():
    context, other = head(None)
    assert context["script_files"] == [other] and context["css_files"] == []
    assert context["default_mode"] == "auto" and "metatags" not in context


def test_pages_do_not_load_the_index_of_words():
    names = ("_static/searchtools.js", "../_static/language_data.js?v=1", "searchindex.js")
    loaded = "".join(f'\n<script src="{name}"></script>' for name in names)
    other = '\n<script src="_static/claims.js"></script>'
    assert repaired_html.without_search(f"<p>one</p>{loaded}{other}") == f"<p>one</p>{other}"


@pytest.mark.parametrize("wrong", repaired_html.REPAIRS)
def test_pages_are_repaired_once(wrong):
    once = repaired_html.repaired(f"<p>{wrong}</p>")
    assert once != f"<p>{wrong}</p>" and repaired_html.repaired(once) == once


def test_only_icons_that_are_shown_are_kept():
    assert lean_icons.without_others(SCRIPT, {"sun"}) == "var a={" + SUN + "};run()"
    kept = lean_icons.without_others(SCRIPT, {"arrow-up", "moon"})
    assert kept == SCRIPT.replace(SUN, "")


def test_icons_are_those_of_pages_and_scripts(tmp_path):
    (tmp_path / "_static" / "scripts").mkdir(parents=True)
    (tmp_path / "a.html").write_text('<i class="fa-solid fa-sun"></i>', encoding="utf-8")
    (tmp_path / "_static" / "b.js").write_text("'fa-moon'", encoding="utf-8")
    whole = tmp_path / lean_icons.SCRIPT
    whole.write_text("fa-ghost", encoding="utf-8")
    assert lean_icons.used(tmp_path) == {"solid", "sun", "moon"}


@pytest.mark.parametrize(("icons", "warned"), [(1500, False), (10, True)])
def test_a_script_of_another_make_is_left_whole(icons, warned, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(lean_icons.LOGGER, "warning", said.append)
    path = tmp_path / lean_icons.SCRIPT
    path.parent.mkdir(parents=True)
    path.write_text("{" + SUN * icons + "}" + " " * 300_000, encoding="utf-8")
    lean_icons.cut(Namespace(outdir=tmp_path, builder=Namespace(format="html")), None)
    assert bool(said) is warned
    assert (SUN in path.read_text(encoding="utf-8")) is warned


@pytest.mark.parametrize("address", ["", "https://host.example/us/book"])
def test_buttons_follow_the_repository(address):
    config = Namespace(html_theme_options={"repository_url": address})
    repository.buttons(None, config)
    options = config.html_theme_options
    assert options["use_repository_button"] is bool(address)
    assert bool(options["launch_buttons"]) is bool(address)


def test_a_preview_executes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("BOOK_PAGES", "committed")
    build = executed_pages.Build(Namespace(outdir=tmp_path / "html"))
    config = Namespace()
    build.configure(None, config)
    source = ["{}"]
    build.show(None, "page", source)
    assert config.executed_pages == "committed" and source == ["{}"]
    assert build.execute_stale(None, None, set(), set(), set()) == []


@pytest.mark.parametrize(
    ("source", "tags", "wanted"),
    [
        ("import torch", [], True),
        ("figures.rungs(times, shown)", [], True),
        ("trained = load_all(runs)", [], True),
        ("for name in names:\n    print(name)\n    record('P1.1', 2)", [], True),
        ("error = model(x) - y", [], False),
        ("import torch\nerror = model(x) - y", [], False),
        ("for name in names:\n    total += mse[name]", [], False),
        ("omega0 = 2", ["parameters"], True),
        ("error = 1", ["hide-input"], True),
        ("\n".join(["x = 1"] * 15), [], True),
        ("\n".join(["x = 1"] * 14), [], False),
    ],
)
def test_what_is_no_argument_is_folded(source, tags, wanted):
    assert folded_code.folded(source, tags) is wanted


def test_folding_tags_the_page_as_it_is_read(tmp_path):
    cells = [nbformat.v4.new_code_cell(text) for text in ("print(1)", "x = f(1)")]
    cells.append(nbformat.v4.new_markdown_cell("print(1)"))
    source = [nbformat.writes(nbformat.v4.new_notebook(cells=cells))]
    env = Namespace(doc2path=lambda doc: f"{doc}.ipynb")
    folded_code.fold(Namespace(env=env), "page", source)
    found = nbformat.reads(source[0], as_version=4).cells
    assert [cell.metadata.get("tags") for cell in found] == [["hide-input"], None, None]
    env.doc2path, text = (lambda doc: f"{doc}.md"), ["words"]
    folded_code.fold(Namespace(env=env), "page", text)
    assert text == ["words"]


def test_downloads_have_numbers_where_the_text_pastes_them(tmp_path):
    stored = {"P1.2": "7.0 × 10⁻⁶ [4.1 × 10⁻⁶, 1.2 × 10⁻⁵]", "share": "8.742", "word": "'holds'"}
    glued = {key: {"data": {"text/plain": value}} for key, value in stored.items()}
    for folder in ("boxes", "ran/part"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ran" / "one.glue.json").write_text(json.dumps(glued), encoding="utf-8")
    box = "| {claim}`P1.2` | {glue:text}`P1.2` | {glue:text}`word` |\n"
    (tmp_path / "boxes" / "one.md").write_text(box, encoding="utf-8")
    pages = downloads.Pages(tmp_path, tmp_path / "ran")
    text = "# One\n\n```{include} boxes/one.md\n```\n\nIn {glue:text}`share:.1f` %.\n"
    row = f"| {{claim}}`P1.2` | {stored['P1.2']} | holds |"
    assert pages.filled(text, "one") == f"# One\n\n{row}\n\nIn 8.7 %.\n"
    elsewhere = "{glue:text}`../one.ipynb::P1.2:` and {glue:text}`../one.ipynb::share`"
    assert pages.filled(elsewhere, "part/two") == f"{stored['P1.2']} and 8.742"

    cells = [nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell("'{glue:text}`word`'")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "ran" / "one.ipynb")
    filled = nbformat.reads(pages.notebook("one"), as_version=4).cells
    assert "8.7 %" in filled[0].source and filled[1].source == cells[1].source
