"""Page code can be read: short lines, few comprehensions, comments where the why is not plain."""

import importlib.util
from pathlib import Path

spec = importlib.util.spec_from_file_location("page_style", Path(__file__).parent / "page_style.py")
page_style = importlib.util.module_from_spec(spec)
spec.loader.exec_module(page_style)


def test_the_measure_counts_what_it_says():
    cells = ["x = [i for i in y]  # why\n\ny = 1", "# a comment"]
    assert page_style.counts(cells) == (3, 25 + 5 + 11, 1, 2)


def test_the_book_reads_well():
    code = [source for path in page_style.pages() for source in page_style.code_of(path)]
    characters, comprehensions, comments = page_style.measured(code)
    print(f"{characters:.1f} characters a line, {comprehensions:.1f} comprehensions per 100 lines,")
    print(f"{comments:.1f} % comment lines")
    assert characters <= 40
    assert comprehensions <= 2
    assert comments >= 5
