"""Whatever a test here draws can be read where a page shows it."""

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from attention_in_motion.figures.style import SMALLEST, WIDTH

OTHERWISE = ("test_front_page",)  # the picture in front has a size of its own


@pytest.fixture(autouse=True)
def drawn(request, monkeypatch):
    """Every figure is as wide as the text at most, and no label on it is small."""
    figures, made = [], Figure.__init__

    def remember(figure, *args, **kwargs):
        made(figure, *args, **kwargs)
        figures.append(figure)

    monkeypatch.setattr(Figure, "__init__", remember)
    yield figures
    if request.module.__name__.rsplit(".", 1)[-1] in OTHERWISE:
        return
    for figure in figures:
        assert figure.get_figwidth() <= WIDTH
        figure.draw_without_rendering()
        said = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        assert [text.get_text() for text in said if text.get_fontsize() < SMALLEST] == []
