"""A parameter file: what each page of the book is given.

The file is TOML. A name at its top goes to every page that knows it; a section, called as `run`
calls pages, goes to one page, and wins over the top.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attention_in_motion.book import parameters
from attention_in_motion.chapters import contents


def read(file: Path) -> dict[str, dict[str, Any]]:
    """What a parameter file gives to each page, checked as `run` checks it.

    Raises FileNotFoundError if there is no such file; ValueError in one line for a page or a name
    that nobody knows, for a value that a page refuses, and for a file that changes nothing.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file")
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: not TOML: {error}") from None
    sections = {k: v for k, v in found.items() if isinstance(v, dict)}
    shared = {k: v for k, v in found.items() if k not in sections}
    named = {contents.named(name).PAGE: values for name, values in sections.items()}
    known = {page: set(parameters.defaults(page)) for page in contents.PAGES}
    for name in shared:
        if not any(name in names for names in known.values()):
            raise ValueError(f"{name}: unknown parameter; no page of the book has it")
    changes = {}
    for page, names in known.items():
        values = {k: v for k, v in shared.items() if k in names} | named.get(page, {})
        if values:
            changes[page] = checked(page, values)
    if not changes:
        raise ValueError(f"{file}: changes nothing; it must give at least one parameter a value")
    return changes


def checked(page: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, if the page takes them. Raises ValueError that names the page."""
    try:
        return parameters.checked(page, values)
    except ValueError as error:
        raise ValueError(f"{page}: {error}") from None
