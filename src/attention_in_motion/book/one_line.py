"""papermill, ending in one line where a page refuses its parameters.

papermill loads at its start whatever a package names as an engine (pyproject.toml names this one).
The engine is papermill's own; but once it is loaded, an error that a page has reduced to one line
(`chapters.page.in_one_line`) ends the program in that line, and every other error as it always did.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

usual = sys.excepthook


def in_one_line(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """What Python calls with the error that ends a program."""
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError) and len(error.traceback) == 1:
        print(f"{error.ename}: {error.evalue}", file=sys.stderr)
    else:
        usual(kind, error, traceback)


def __getattr__(name: str) -> Any:
    """`Engine` is papermill's own, looked up late: papermill asks for it while it is loading."""
    if name != "Engine":
        raise AttributeError(name)
    from papermill.engines import NBClientEngine

    return NBClientEngine


sys.excepthook = in_one_line
