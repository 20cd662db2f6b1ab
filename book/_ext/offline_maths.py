"""Maths that needs no network: copy MathJax from its pip package into the built book."""

import shutil
import sysconfig
from pathlib import Path

BUNDLE = "tex-svg-full.js"  # one file, no fonts beside it, no lazy loading


def set_path(app, config) -> None:
    config.mathjax_path = f"../mathjax/{BUNDLE}"


def copy_bundle(app, exception) -> None:
    if exception is None and app.builder.format == "html":
        package = Path(sysconfig.get_path("purelib")) / "sphinx-mathjax-offline"
        target = Path(app.outdir) / "mathjax"
        target.mkdir(exist_ok=True)
        shutil.copyfile(package / "static" / "mathjax" / BUNDLE, target / BUNDLE)


def setup(app) -> dict:
    app.connect("config-inited", set_path)
    app.connect("build-finished", copy_bundle)
    return {"parallel_read_safe": True}
