"""What a figure with sliders draws from: numbers of an executed page, for the book's script.

Where the script runs, `book/_static/sliders.js` puts a drawing with sliders in the place of the
figure's picture; the caption stays. Elsewhere (on paper, in a notebook) the picture is shown.
"""

from __future__ import annotations

import json

from IPython.display import HTML

DRAWINGS = ("two-signs", "attention", "rollout", "lens")  # what the script knows


def sliders(figure: str, drawing: str, **numbers: float | list) -> HTML:
    """Numbers for the drawing that takes the place of the figure of that name.

    Raises ValueError if the script has no such drawing, or if a number is not finite.
    """
    if drawing not in DRAWINGS:
        raise ValueError(f"drawing = {drawing!r}: must be one of {', '.join(DRAWINGS)}")
    said = json.dumps(numbers, allow_nan=False)
    names = f'data-figure="{figure}" data-drawing="{drawing}"'
    return HTML(f'<script type="application/json" {names}>{said}</script>')
