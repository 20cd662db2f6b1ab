"""Pictures of executed pages lose bytes, and no colour that the eye would miss."""

import base64
import io

import nbformat
import numpy as np
from PIL import Image

from attention_in_motion.book.pictures import COLOURS, in_palette, lean
from attention_in_motion.figures.style import panels


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def pixels_of(picture):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")).astype(int)


def gradient():
    """A picture of more colours than a palette holds: (256, 256, 4), opaque."""
    pixels = np.full((256, 256, 4), 255, dtype=np.uint8)
    pixels[..., 0] = np.arange(256)[:, None]
    pixels[..., 1] = np.arange(256)[None, :]
    return pixels


def test_a_palette_is_close_to_every_colour():
    picture = png(gradient())
    small = in_palette(picture)
    off = np.abs(pixels_of(small) - pixels_of(picture))
    assert off.max() <= 255 / COLOURS**0.5 + 1  # two channels share the palette
    assert in_palette(small) == small


def test_a_drawing_has_less_than_half_of_the_bytes():
    figure, (axes,) = panels(1)
    axes.plot([0, 1, 0], label="a line")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=192)
    picture = base64.b64encode(file.getvalue()).decode()
    assert len(in_palette(picture)) < 0.5 * len(picture)


def test_what_is_transparent_becomes_white():
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[0, 0] = 200, 0, 0, 255
    seen = pixels_of(in_palette(png(pixels)))
    assert seen[0, 0].tolist() == [200, 0, 0] and seen[1, 1].tolist() == [255, 255, 255]


def test_all_pictures_of_a_page_are_made_small_and_nothing_else():
    data = {"image/png": png(gradient()), "text/plain": "a figure"}
    shown = nbformat.v4.new_output("display_data", data)
    printed = nbformat.v4.new_output("stream", text="a line")
    cell = nbformat.v4.new_code_cell("x", outputs=[printed, shown])
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), cell])
    lean(page)
    assert page.cells[1].outputs[0] == printed
    assert page.cells[1].outputs[1].data["text/plain"] == "a figure"
    assert (
        Image.open(io.BytesIO(base64.b64decode(page.cells[1].outputs[1].data["image/png"]))).mode
        == "P"
    )
