"""One executed page as one file of HTML, by the book's own renderer; it needs no network.

Numbers that the text pastes are filled in, formulas typeset, figures and styles put into the file.
Links to other pages of the book become plain text.
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
import tempfile
from importlib.metadata import files
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import docutils_namespace, patch_docutils

from attention_in_motion.book import pages
from attention_in_motion.paths import BOOK

MATHJAX = "tex-svg-full.js"
CONFIGURATION = {
    "extensions": ["myst_nb", "sphinxcontrib.bibtex", "claim_role"],
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "nb_render_markdown_format": "myst",
    "nb_remove_code_source": False,
    "myst_enable_extensions": ["colon_fence", "dollarmath", "amsmath", "deflist", "linkify"],
    "myst_url_schemes": ["http", "https", "mailto"],
    "bibtex_bibfiles": ["references.bib"],
    "numfig": True,
    "html_theme": "basic",
    "html_sidebars": {"**": []},
    "html_show_copyright": False,
    "html_show_sphinx": False,
    "language": "en",
    "mathjax_path": MATHJAX,
}
STYLE = """
body { max-width: 48rem; margin: 2rem auto; padding: 0 1rem; font: 17px/1.6 system-ui, sans-serif }
img { max-width: 100%; height: auto } table { border-collapse: collapse; margin: 1rem 0 }
td, th { border-bottom: 1px solid #ccc; padding: .25rem .6rem; text-align: left }
pre { overflow-x: auto; padding: .6rem; background: #f6f6f6; font-size: 14px }
.cell_output pre { white-space: pre-wrap }
.admonition { border-left: 4px solid #357; padding: .2rem 1rem; background: #f4f7fa }
div.admonition, div.body { overflow-x: auto; max-width: none } .headerlink { display: none }
div.related, div.footer { display: none } div.documentwrapper { float: none; width: auto }
"""
REFERENCES = """## References

```{bibliography}
```"""


def page(notebook: Path, name: str, summary: str = "") -> str:
    """The HTML of an executed notebook of the page `name`; `summary` (Markdown) below its title."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "source", Path(folder) / "out"
        shutil.copytree(BOOK / "boxes", source / "boxes")
        shutil.copyfile(BOOK / "references.bib", source / "references.bib")
        target = source / f"{name}.ipynb"
        target.parent.mkdir(exist_ok=True)
        nbformat.write(framed(nbformat.read(notebook, as_version=4), summary), target)
        render(source, out, name)
        return in_one_file(out / f"{name}.html", out)


def framed(notebook: NotebookNode, summary: str) -> NotebookNode:
    """The notebook with the summary below its title and the works it cites at its end."""
    first, rest = notebook.cells[0], notebook.cells[1:]
    title, _, text = first.source.partition("\n")
    parts = [part for part in (title, summary, text) if part.strip()]
    head = [nbformat.v4.new_markdown_cell(part) for part in parts]
    last = nbformat.v4.new_markdown_cell(REFERENCES)
    return nbformat.v4.new_notebook(metadata=notebook.metadata, cells=[*head, *rest, last])


def render(source: Path, out: Path, name: str) -> None:
    """Let Sphinx write the page; what it warns of are links that lead out of it.

    Raises `pages.Failed` in one line if it cannot.
    """
    sys.path.insert(0, str(BOOK / "_ext"))
    settings = CONFIGURATION | {"root_doc": name, "html_title": "Attention in Motion"}
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            source, None, out, out / ".doctrees", "singlehtml", settings,
            status=None, warning=io.StringIO(),
        )  # fmt: skip
        try:
            app.build()
        except SphinxError as error:
            raise pages.Failed(f"{name}: no page of HTML could be made: {error}") from None


def in_one_file(path: Path, folder: Path) -> str:
    """A page of HTML with its pictures, styles and MathJax in it, and no link to another page."""
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    for image in soup.find_all("img", src=True):
        picture = (folder / "_images" / Path(image["src"]).name).read_bytes()
        kind = "svg+xml" if image["src"].endswith("svg") else "png"
        image["src"] = f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
    for link in soup.find_all("a", href=True):
        if not link["href"].startswith(("#", "http")):
            link.unwrap()
    for part in [*soup.find_all("script", src=True), *soup.find_all("link")]:
        part.decompose()
    styles = [p.read_text(encoding="utf-8") for p in sorted((folder / "_static").glob("*.css"))]
    inside = f"<style>{''.join([*styles, STYLE])}</style><script>{mathjax()}</script></head>"
    return str(soup).replace("</head>", inside, 1)  # as text: a parser would escape it


def mathjax() -> str:
    """MathJax in one file, from where pip has put it."""
    found = [file for file in files("sphinx-mathjax-offline") or () if file.name == MATHJAX]
    return Path(found[0].locate()).read_text(encoding="utf-8")
