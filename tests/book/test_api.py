"""The pages on the library name every module that a reader may use."""

from pathlib import Path

import attention_in_motion
from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK

SOURCE = Path(attention_in_motion.__file__).parent
OWN_PAGES = {module.__name__ for module in contents.PAGES.values()}  # a reader reads the page
NOT_SHOWN = ("cli", "figures", "__main__")


def test_no_module_is_missing():
    pages = [path.read_text(encoding="utf-8") for path in BOOK.glob("api*.md")]
    listed = "\n".join(pages).split()
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(("attention_in_motion", *parts))
        if parts[0] not in NOT_SHOWN and parts[-1] != "__init__" and name not in OWN_PAGES:
            assert name in listed, name
