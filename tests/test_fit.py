"""`fit` as a user meets it: what it takes, what it says, what it keeps."""

import json
import math
import pickle
import re

import numpy as np
import pytest
import sympy
import torch

from attention_in_motion import fit as module
from attention_in_motion.fit import Fit, fit
from attention_in_motion.odeformer import proposals, shooting
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.paths import ROOT

TIMES = np.linspace(0, 10, 40)
CHARGE = 1 - np.exp(-TIMES / 2)  # x' = 1/2 − x/2 from zero
CONFIG = ODEFormerConfig(
    **dict(encoder_width=8, encoder_layers=1, encoder_heads=2, embedding_width=4, precision=3),
    **dict(decoder_width=12, decoder_layers=1, decoder_heads=3, max_dimension=2),
)


@pytest.fixture(scope="module")
def untrained():
    """A model that knows nothing: what is found then is found by the data."""
    return ODEFormer(CONFIG, torch.Generator().manual_seed(0)).eval()


@pytest.fixture(scope="module")
def charged():
    """A fit by the search alone."""
    return fit(TIMES, CHARGE, n_samples=0)


@pytest.mark.parametrize("size", [1e-9, 1.0, 8000.0, 1e9])
def test_the_same_curve_in_any_unit_gives_the_same_equation(size):
    found = fit(TIMES, size * CHARGE, n_samples=0)
    [right] = found.sympy(None)
    x = sympy.Symbol("x_0")
    coefficients = sympy.Poly(right, x).all_coeffs()
    assert [float(c) for c in coefficients] == pytest.approx([-0.5, size / 2], rel=1e-5)


def test_the_unit_of_time_does_not_matter_either(charged):
    found = fit(1e9 * TIMES, CHARGE, n_samples=0)
    assert str(found.best) == "5.0e-10 - 5.0e-10*x_0"
    assert found.best.r2 == pytest.approx(charged.best.r2, abs=1e-9)


def test_what_is_printed(charged):
    lines = str(charged).splitlines()
    assert lines[:2] == ["       R²  held out  x_0'", "  1.00000   1.00000  0.5 - 0.5*x_0"]
    where = "R² is of the 40 points fitted to; held out is the last fifth of them, predicted"
    assert f"{where} without it." in lines
    assert len({line[20:] for line in lines[1:]}) == len(lines) - 1  # no equation twice
    assert repr(charged).startswith("<Fit: 0.5 - 0.5*x_0, R² 1.00000, ")
    assert repr(charged.best) == "<Law: 0.5 - 0.5*x_0, R² 1.00000>"
    assert charged.latex() == r"\dot{x}_{0} = 0.5 - 0.5 x_{0}"
    assert charged._repr_latex_() == rf"$$\begin{{cases}} {charged.latex()} \end{{cases}}$$"


def test_the_object(charged):
    assert charged[0] is charged.best is next(iter(charged))
    assert len(charged) == len(list(charged)) >= 1
    [right] = charged.sympy()
    assert float(right.subs(sympy.Symbol("x_0"), 1)) == pytest.approx(0, abs=1e-3)
    later = np.linspace(0, 20, 7)
    from_two = 1 + np.exp(-later / 2)
    assert charged.predict(later, [2.0])[:, 0] == pytest.approx(from_two, rel=1e-4)
    assert charged.predict(later)[:, 0] == pytest.approx(1 - np.exp(-later / 2), abs=1e-4)
    assert charged.predict([4.0, 8.0])[:, 0] == pytest.approx(1 - np.exp([-2, -4]), abs=1e-4)
    assert charged.predict([4.0])[:, 0] == pytest.approx(1 - np.exp([-2]), abs=1e-4)
    assert charged.score(later, from_two) > 0.99999
    [panel] = charged.plot().axes
    assert panel.get_ylabel() == "x_0" and len(panel.lines) == 2


def test_a_prediction_may_be_long():
    """Fifty periods, asked for at three times."""
    given = np.stack([np.cos(TIMES), -np.sin(TIMES)], axis=1)
    found = fit(TIMES, given, n_samples=0)
    end = 100 * np.pi
    assert found.predict([0, 1, end], [1.0, 0.0])[-1] == pytest.approx([1, 0], abs=1e-3)


def test_many_points_are_thinned_for_the_search_and_all_are_scored(monkeypatch):
    counted = []
    shoot_all = module.shoot_all
    monkeypatch.setattr(
        module,
        "shoot_all",
        lambda tracks, *rest: counted.append(tracks) or shoot_all(tracks, *rest),
    )
    times = np.linspace(0, 10, 512)
    found = fit(times, 1 - np.exp(-times / 2), n_samples=0, fast=True)
    assert [len(track.times) for track in counted[0]] == [200]
    assert len(found.data.tracks[0].times) == 512 and str(found.best) == "0.5 - 0.5*x_0"
    assert "R² is of 512 points, 200 of them fitted to; held out is" in str(found)


def test_saved_and_reloaded_it_predicts_the_same(charged):
    again = Fit.from_dict(json.loads(json.dumps(charged.to_dict())))
    assert str(again) == str(charged)
    assert (again.predict(TIMES) == charged.predict(TIMES)).all()
    assert str(pickle.loads(pickle.dumps(charged))) == str(charged)


def test_a_first_sample_that_is_off_does_not_pin_the_fit():
    noise = 0.03 * np.random.default_rng(0).standard_normal(40)
    wrong = 3 * np.exp(-TIMES / 2) + noise
    wrong[0] = 3.1
    found = fit(TIMES, wrong, n_samples=0)
    assert found.best.starts[0][0] == pytest.approx(3, abs=0.06)
    [right] = found.sympy()
    assert float(right.coeff(sympy.Symbol("x_0"))) == pytest.approx(-0.5, abs=0.05)


def test_a_constant_coordinate_has_a_zero():
    found = fit(TIMES, np.column_stack([np.exp(-TIMES / 3), 3 + 0 * TIMES]), n_samples=0)
    assert str(found.best) == "-0.3333*x_0 | 0"


def test_several_trajectories_hold_out_the_last():
    second = np.linspace(0, 4, 15)
    given = [TIMES, second], [CHARGE, 1 + 2 * np.exp(-second / 2)]
    found = fit(*given, n_samples=0)
    assert str(found.best) == "0.5 - 0.5*x_0"
    assert np.shape(found.best.starts) == (2, 1) and found.best.held_out > 0.99999
    assert "held out is the last of 2 trajectories" in str(found)


def test_what_cannot_be_autonomous_is_doubted():
    bump = np.exp(-((TIMES - 5) ** 2))
    found = fit(TIMES, bump, n_samples=0)
    assert not found.best.r2 > 0.9 if found.laws else "No law was found" in str(found)
    assert found.notes


def test_any_model_proposes_and_seeds_repeat(untrained, monkeypatch):
    monkeypatch.setattr(proposals, "MAX_TOKENS", 12)  # it never ends
    found, again = (fit(TIMES, CHARGE, untrained, n_samples=9, seed=3) for _ in range(2))
    assert str(found) == str(again) and str(found.best) == "0.5 - 0.5*x_0"
    assert isinstance(fit(TIMES, CHARGE, untrained, fast=True, seed=None).seed, int)


def test_the_model_is_asked_where_slopes_say_nothing():
    """A damped oscillation of which all but a few points are rest."""
    t = np.linspace(1, 10, 37)
    decay, s = 2.3418, t - 1
    omega = math.sqrt(23.44 - decay**2)
    x = np.exp(-decay * s) * (np.cos(omega * s) + decay / omega * np.sin(omega * s))
    v = -23.44 / omega * np.exp(-decay * s) * np.sin(omega * s)
    v[0] = -1e-3
    seen = module.scaled(module.read_measurements(t, np.column_stack([x, v]), 2))
    asked = module.loaded("ours"), seen, 30, (0.1, 0.5), 0, False
    systems = proposals.propose(*asked)
    shots = [shooting.shoot(s, seen, 12) for s in proposals.likeliest_of(seen, systems)]
    assert min(float(shot.error.max()) for shot in shots) < 0.05


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"n_samples": 2.5}, "n_samples = 2.5: must be a whole number, at least 0"),
        ({"n_samples": True}, "n_samples = True: must be a whole number"),
        ({"seed": -1}, "seed = -1: must be a whole number, at least 0"),
        ({"seed": "one"}, "seed = 'one': must be a whole number"),
        ({"temperatures": (0.0,)}, r"temperatures = \(0.0,\): must be a list of positive numbers"),
        ({"temperatures": ()}, r"temperatures = \(\): must be"),
        ({"model": "our"}, "model = 'our': no file our; must be 'ours',"),
    ],
)
def test_options_that_cannot_be_used(changes, line):
    with pytest.raises(ValueError, match=f"^{line}") as error:
        fit(TIMES, CHARGE, **changes)
    assert "\n" not in str(error.value)


def test_predictions_that_cannot_be_made(charged, untrained):
    for call, line in (
        (lambda: charged.predict([-1.0, 2.0]), "times begins at -1: must be at least 0"),
        (
            lambda: charged.predict([0.0, 1.0], [1.0, 2.0]),
            r"start has shape \(2,\): must be \(1,\)",
        ),
        (lambda: charged.predict([1.0, 1.0], [1.0]), "times has 1 after 1: must rise strictly"),
        (lambda: fit(untrained, TIMES, CHARGE), "times is a model: must be numbers"),
        (
            lambda: Fit.from_dict({"laws": []}),
            r"values = {'laws': \[\]}: must be what to_dict wrote",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{line}"):
            call()


def test_the_example_of_the_readme():
    """As it stands there, with the shipped model."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {}
    exec(example, names)
    found = names["found"]
    assert str(found.best.sympy()) == re.search(r"# (\[.*\])", example)[1]
    predicted = found.predict([0, 5, 20], start=[2e-6])
    assert predicted[:, 0] == pytest.approx(1e-6 * (1 + np.exp([0, -2.5, -10])), rel=1e-4)
