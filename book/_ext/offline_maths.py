"""Maths that needs no network: copy MathJax from its pip package into the built book.

One script with everything in it but the fonts, of which a page fetches the few that it shows. Its
letters are letters: they can be searched, and copied from the printed book.
"""

import shutil
from importlib.metadata import files
from pathlib import Path

BUNDLE = "tex-chtml-full.js"
FONTS = "output/chtml/fonts/woff-v2"  # where the script looks for them, beside itself


def bundle() -> Path:
    """Where pip has put MathJax. Raises FileNotFoundError in one line if it has not."""
    for file in files("sphinx-mathjax-offline") or ():
        if file.name == BUNDLE:
            return Path(file.locate())
    raise FileNotFoundError(f"{BUNDLE}: not in the installed sphinx-mathjax-offline; reinstall it")


def set_path(app, config) -> None:
    config.mathjax_path = f"../mathjax/{BUNDLE}"


def copy_bundle(app, exception) -> None:
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir) / "mathjax"
        shutil.copytree(bundle().parent / FONTS, target / FONTS, dirs_exist_ok=True)
        shutil.copyfile(bundle(), target / BUNDLE)


def setup(app) -> dict:
    app.connect("config-inited", set_path)
    app.connect("build-finished", copy_bundle)
    return {"parallel_read_safe": True}
