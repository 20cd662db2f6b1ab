"""What a page may be given, read from its parameters cell and its module: nothing is started.

The cell holds one annotated literal a line, each with its comment: name, type, default and help.
The module says what is allowed.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK, require_checkout

SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "min_length": "length ≥"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a page; `unit` stands in brackets in the comment, and may be empty."""

    name: str
    type: str
    default: Any
    help: str
    unit: str
    allowed: str


def parameters(page: str) -> list[Parameter]:
    """The parameters of a page, in the order of its cell. Raises ValueError for no such page."""
    fields = contents.named(page).Parameters.model_fields
    lines = cell(page).splitlines()
    nodes = [n for n in ast.parse("\n".join(lines)).body if isinstance(n, ast.AnnAssign)]
    found = []
    for node in nodes:
        rest = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
        comment = rest.strip().removeprefix("#").strip()
        facts = {"name": node.target.id, "type": ast.unparse(node.annotation), "help": comment}
        unit = re.search(r"\[([^\]]+)\]", comment)
        facts |= {"default": ast.literal_eval(node.value), "unit": unit[1] if unit else ""}
        found.append(Parameter(**facts, allowed=allowed(fields.get(node.target.id))))
    return found


def cell(page: str) -> str:
    """The source of a page's parameters cell. Raises FileNotFoundError without a checkout."""
    require_checkout()
    path = BOOK / f"{contents.named(page).PAGE}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tagged = [c["source"] for c in cells if "parameters" in c["metadata"].get("tags", [])]
    if not tagged:
        raise ValueError(f"{path}: has no cell tagged parameters")
    return "".join(tagged[0])


def allowed(field: Any) -> str:
    """What a declared field allows, for example '≥ 2, ≤ 1000' or "'normal' or 'box'"."""
    if field is None:
        return ""
    if choices := get_args(field.annotation):
        return " or ".join(map(repr, choices))
    ends = [(one, name) for one in field.metadata for name in SIGNS if hasattr(one, name)]
    return ", ".join(f"{SIGNS[name]} {getattr(one, name):g}" for one, name in ends)


def defaults(page: str) -> dict[str, Any]:
    """The literals of a page's parameters cell."""
    return {one.name: one.default for one in parameters(page)}


def checked(page: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a page is given, as values: texts are read as literals. Raises ValueError in one line.

    Checked together with the page's other parameters, so that rules between them count. A page runs
    in its own folder: the paths of files become absolute.
    """
    values = {k: absolute(literal(v)) if isinstance(v, str) else v for k, v in given.items()}
    contents.named(page).Parameters.given(defaults(page) | values)
    return values


def absolute(value: Any) -> Any:
    """The value; where it is the path of a file (with a suffix), from the root on."""
    is_path = isinstance(value, str) and Path(value).suffix and Path(value).is_file()
    return str(Path(value).resolve()) if is_path else value


def literal(text: str) -> Any:
    """A Python literal, true/false in any case, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
