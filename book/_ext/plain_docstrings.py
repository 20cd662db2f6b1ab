"""Docstrings here are plain text with formulas; keep reST from reading |x| or 2*x as markup."""


def escape(app, what, name, obj, options, lines) -> None:
    lines[:] = [line.replace("|", r"\|").replace("*", r"\*") for line in lines]


def setup(app) -> dict:
    app.connect("autodoc-process-docstring", escape)
    return {"parallel_read_safe": True}
