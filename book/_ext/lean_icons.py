"""The theme's script of two thousand icons, cut down to those that the book shows."""

import re
from pathlib import Path

from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
SCRIPT = "_static/scripts/fontawesome.js"
USED = re.compile(r"\bfa-([a-z0-9-]+)")
# One icon of the script: name:[width, height, [other names], code, path or paths]
ICON = re.compile(
    r'(?:"(?P<quoted>[a-z0-9-]+)"|(?P<plain>[A-Za-z0-9]+))'
    r':\[\d+,\d+,\[[^\]]*\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?'
)
FEWEST = 1000  # icons that the whole script has at least; below that it is of another make


def used(folder: Path) -> set[str]:
    """The names of all icons that a built page or one of its scripts mentions."""
    files = [*folder.rglob("*.html"), *(folder / "_static").rglob("*.js")]
    texts = [path.read_text(encoding="utf-8") for path in files if path.name != Path(SCRIPT).name]
    return {name for text in texts for name in USED.findall(text)}


def without_others(script: str, names: set[str]) -> str:
    """The script with the icons of those names alone."""

    def kept(icon: re.Match) -> str:
        return icon[0] if (icon["quoted"] or icon["plain"]) in names else ""

    return ICON.sub(kept, script)


def cut(app, exception) -> None:
    """Rewrite the built script; say so, which fails a strict build, where it is not understood."""
    path = Path(app.outdir) / SCRIPT
    if exception is not None or app.builder.format != "html" or not path.exists():
        return
    whole = Path(path).read_text(encoding="utf-8")
    if len(whole) < 300_000:  # cut by an earlier build
        return
    if (found := len(ICON.findall(whole))) < FEWEST:
        LOGGER.warning(f"{SCRIPT}: has {found} icons of the form that is known; left whole")
        return
    path.write_text(without_others(whole, used(Path(app.outdir))), encoding="utf-8")


def setup(app) -> dict:
    app.connect("build-finished", cut, priority=800)
    return {"parallel_read_safe": True}
