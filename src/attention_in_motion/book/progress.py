"""What the terminal shows while a page runs: which cell, under which heading, and training bars."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

from nbclient import NotebookClient
from nbformat import NotebookNode


class Watched(NotebookClient):
    """A client that writes a line on stderr for every cell, and what its kernel says there.

    What a kernel writes on stderr, a training's bar above all, is shown and not kept: the notebook
    holds results only. A bar is drawn anew in place on a terminal, and once a minute elsewhere.
    """

    def __init__(self, notebook: NotebookNode, **options: Any) -> None:
        hooks = {"on_cell_start": self.begin, "on_cell_executed": self.end}
        super().__init__(notebook, **options, **hooks)
        self.numbers = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        self.since = monotonic()

    @property
    def environment(self) -> dict[str, str]:
        """What a kernel must find to draw its bars, and how often [s] it draws them."""
        return {"AIM_BARS": "1", "TQDM_MININTERVAL": "0.5" if sys.stderr.isatty() else "60"}

    def begin(self, cell: NotebookNode, cell_index: int) -> None:
        """Say which cell runs, on a terminal only: elsewhere one line a cell is enough."""
        self.since = monotonic()
        if cell.cell_type == "code" and sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{self.place(cell_index)} …")
            sys.stderr.flush()

    def end(self, cell: NotebookNode, cell_index: int, execute_reply: dict) -> None:
        """Say which cell has run, and how long."""
        if cell.cell_type != "code":
            return
        line = f"{self.place(cell_index)}  {monotonic() - self.since:.1f} s"
        clear = "\r\033[K" if sys.stderr.isatty() else ""
        print(f"{clear}{line}", file=sys.stderr, flush=True)

    def place(self, cell_index: int) -> str:
        """A cell's number and the heading above it: 'cell  3 of 20, What the weights say'."""
        above = [c.source for c in self.nb.cells[:cell_index] if c.cell_type == "markdown"]
        lines = [line for source in above for line in source.splitlines() if line.startswith("#")]
        heading = lines[-1].lstrip("# ") if lines else ""
        number = self.numbers.index(cell_index) + 1
        return f"  cell {number:2} of {len(self.numbers)}, {heading}".rstrip(", ")

    def output(self, outs: list, msg: dict, display_id: str | None, cell_index: int) -> Any:
        """Keep an output, or show it now if it was written on stderr."""
        content = msg["content"]
        if msg["msg_type"] != "stream" or content["name"] != "stderr":
            return super().output(outs, msg, display_id, cell_index)
        text = content["text"]
        if not sys.stderr.isatty():  # a line each time instead of one that is drawn again
            text = "".join(f"  {line}\n" for line in text.splitlines() if line.strip())
        sys.stderr.write(text)
        sys.stderr.flush()
        return None
