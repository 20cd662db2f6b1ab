"""What the pages on the inside of ODEFormer refuse, before they look at anything."""

import pytest

from attention_in_motion.chapters import autoencoder, derivative, lenses, probes


@pytest.mark.parametrize("page", [autoencoder.PAGE, derivative.PAGE, lenses.PAGE, probes.PAGE])
@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("model", "theirs", "model = 'theirs': no file theirs; must be 'ours',"),
        ("table", "nowhere.json", "table = 'nowhere.json': no such file"),
        ("n_permutations", "5", "n_permutations = 5: must be >= 99"),
    ],
)
def test_bad_parameters_end_in_one_line(refusal, page, name, value, line):
    assert refusal(page, "-p", name, value).startswith(f"ValueError: {line}")
