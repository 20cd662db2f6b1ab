"""What needs the repository's address, `repository: url` of _config.yml: hidden while it is empty.

Buttons follow the setting by themselves. The cell that installs the book where a launch button
opens a page, on Colab, has to lie in the pages: `python book/_ext/repository.py` puts it there once
there is an address, and takes it away when there is none. Where the book is installed the cell does
nothing: here, and on Binder, which reads requirements.txt by itself.
"""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from attention_in_motion.book import pages
from attention_in_motion.paths import ROOT

NEEDED = ("use_repository_button", "use_issues_button", "use_source_button")
LAUNCH = {
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
    "notebook_interface": "jupyterlab",
}
ID = "set-up"
CODE = """# where the book is not installed, as on Colab
import subprocess
import sys
from importlib.util import find_spec

if find_spec("attention_in_motion") is None:
    clone = ["git", "clone", "--quiet", "--depth", "1"]
    clone += ["--branch", "{branch}", "{url}", "the-book"]
    install = [sys.executable, "-m", "pip", "install"]
    install += ["--quiet", "-r", "requirements.txt"]
    subprocess.run(clone, check=True)
    subprocess.run(install, check=True, cwd="the-book")
    sys.path.insert(0, "the-book/src")"""


def buttons(app, config) -> None:
    """Set the theme's options from the one setting."""
    options = config.html_theme_options
    address = options.get("repository_url") or ""
    options |= dict.fromkeys(NEEDED, bool(address))
    options["launch_buttons"] = LAUNCH if address else {}


def with_cell(notebook: NotebookNode, url: str, branch: str) -> NotebookNode:
    """A copy of a page with the cell of that address below its parameters; without, if url = ''."""
    page = copy.deepcopy(notebook)
    page.cells = [cell for cell in page.cells if cell.get("id") != ID]
    if url:
        tags = [cell.metadata.get("tags", []) for cell in page.cells]
        below = 1 + next(i for i, names in enumerate(tags) if "parameters" in names)
        code = CODE.format(url=url, branch=branch)
        metadata = {"tags": ["hide-input"]}
        page.cells.insert(below, nbformat.v4.new_code_cell(code, id=ID, metadata=metadata))
    return page


def setting(config: Path = ROOT / "_config.yml") -> tuple[str, str]:
    """The repository's address and branch, as _config.yml has them."""
    said = yaml.safe_load(config.read_text(encoding="utf-8"))["repository"]
    return said["url"], said["branch"]


def write() -> list[Path]:
    """Bring every page into line with the setting; the pages that changed."""
    changed = []
    for path in pages.pages():
        before = nbformat.read(path, as_version=4)
        if (after := with_cell(before, *setting())) != before:
            pages.put(path, nbformat.writes(after) + "\n")
            changed.append(path)
    return changed


def setup(app) -> dict:
    app.connect("config-inited", buttons)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    print(*write(), sep="\n")
