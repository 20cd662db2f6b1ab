"""Figures as they are shown: of the size they were drawn in, and with sliders that move them."""

import re

import numpy as np
import pytest
import torch

from attention_in_motion.book.parameters import defaults
from attention_in_motion.chapters import contents, variable_omega
from attention_in_motion.figures.style import SMALLEST, WIDTH
from attention_in_motion.measures import trajectories
from attention_in_motion.measures.attention_maps import newest_attention
from attention_in_motion.measures.motion_layer import attention_of_shape, best_layer
from attention_in_motion.odeformer import decisions, weights
from attention_in_motion.physics import oscillator
from attention_in_motion.training.store import load_all

pytestmark = pytest.mark.browser
PX = 96 / 72  # of a point


@pytest.mark.parametrize("page", contents.PAGES)
def test_labels_are_of_reading_size(tab, address, page):
    shown, _ = tab()
    shown.set_default_timeout(120_000)
    shown.goto(f"{address}/{page}.html", wait_until="domcontentloaded")
    images = shown.locator("figure:not(.has-sliders) img").all()
    assert images
    for image in images:
        image.evaluate("i => i.decode()")
        wide, drawn = image.evaluate("i => [i.clientWidth, i.naturalWidth]")
        high, tall = image.evaluate("i => [i.clientHeight, i.naturalHeight]")
        assert drawn <= 2 * WIDTH * 96 + 1  # twice as many pixels as are shown
        assert SMALLEST * PX * wide / (drawn / 2) >= 13.5
        assert high / wide == pytest.approx(tall / drawn, rel=0.02)
    shown.context.close()


@pytest.fixture
def sliders(tab, address):
    """sliders(page, figure) → the figure with its drawing, whose sliders can be moved."""
    opened = []

    def drawing(page, figure, screen="desktop"):
        shown, visit = tab(screen)
        opened.append(shown)
        shown.set_default_timeout(120_000)
        shown.goto(f"{address}/{page}.html", wait_until="domcontentloaded")
        shown.wait_for_selector(f"figure#{figure} .sliders output")
        assert visit.errors == []
        return shown.locator(f"figure#{figure}")

    yield drawing
    for shown in opened:
        shown.context.close()


def move(figure, name, value):
    """Set a slider as a reader would who drags it; returns the value that it took."""
    slider = figure.get_by_role("slider", name=name, exact=True)
    slider.evaluate("(s, v) => { s.value = v; s.dispatchEvent(new Event('input')); }", value)
    return float(slider.input_value())


def curve(figure, kind, panel=0):
    """The points of a curve (n, 2), in pixels of the drawing."""
    path = figure.locator("g.panel").nth(panel).locator(f'path[class="curve {kind}"]')
    pairs = re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.get_attribute("d"))
    return np.array(pairs, dtype=float)


def in_pixels(values, low, high, start, length):
    return start + length * (np.asarray(values) - low) / (high - low)


def test_the_two_signs_are_where_the_exact_matrix_puts_them(sliders):
    figure = sliders("01_fixed_omega", "fig-signs")
    before = curve(figure, "truth")
    omega0 = move(figure, "ω0", 3.1)
    gamma = move(figure, "γ / ω0", 0.2) * omega0
    dt = move(figure, "Δt", 0.06)
    assert (omega0, dt) == (3.1, 0.06) and gamma == pytest.approx(0.62)
    w0, g = torch.tensor(omega0, dtype=torch.float64), torch.tensor(gamma, dtype=torch.float64)
    K = oscillator.propagator(w0, g, dt)
    seen = curve(figure, "truth")
    assert seen.shape == before.shape and not np.allclose(seen, before)
    for n in (0, 1, 7, 30, 100):
        x, p = torch.linalg.matrix_power(K, n)[:, 0].tolist()  # from x = 1, at rest
        assert seen[n, 0] == pytest.approx(in_pixels(x, -1.1, 1.1, 64, 238), abs=0.01)
        assert seen[n, 1] == pytest.approx(in_pixels(p / omega0, -1.1, 1.1, 250, -238), abs=0.01)


def test_the_error_of_the_wrong_sign_is_pythons(sliders):
    figure = sliders("01_fixed_omega", "fig-signs")
    omega0, share, dt = (
        move(figure, "ω0", 2.5),
        move(figure, "γ / ω0", 0.1),
        move(figure, "Δt", 0.1),
    )
    w0 = torch.tensor(omega0, dtype=torch.float64)
    g = share * w0
    K, A = oscillator.propagator(w0, g, dt), oscillator.dynamics_matrix(w0, g)
    omega = (w0**2 + g**2).sqrt()
    inner = torch.cos(omega * dt) * torch.eye(2) + torch.sin(omega * dt) / omega * (
        A + g * torch.eye(2)
    )
    wrong = torch.exp(-g * dt) * inner
    seen = curve(figure, "rival", panel=1)
    for n in (1, 2, 10, 50, 150):
        states = [torch.linalg.matrix_power(one, n)[:, 0] for one in (wrong, K)]
        error, _, _ = oscillator.phase_space_error(*states, w0, g)
        y = in_pixels(error.log10().item(), -6, 1, 250, -238)
        assert seen[n - 1, 1] == pytest.approx(y, abs=0.01)


def test_attention_at_another_distance_is_pythons(sliders):
    figure = sliders("04_uniform_motion", "fig-distance")
    place, x0 = int(move(figure, "|p1 − p0|", 2)), move(figure, "x0", -1.3)
    ratio = float(torch.logspace(1, 3, 9)[place])
    best = best_layer(1 / ratio)
    seen = curve(figure, "model")
    for i in (0, 13, 40, 60, 80):
        x1 = -2 + i / 20
        alpha = attention_of_shape(1 / ratio, best.D, best.R, x0, x1)
        assert seen[i, 0] == pytest.approx(in_pixels(x1, -2, 2, 64, 238), abs=0.01)
        assert seen[i, 1] == pytest.approx(in_pixels(alpha, 0, 1, 250, -238), abs=0.05)


def test_attention_along_a_rollout_is_the_models(sliders):
    page = variable_omega.PAGE
    p, last = variable_omega.Parameters.given(defaults(page)), variable_omega.LAST_RUNG
    runs = {last: variable_omega.runs(p)[last]}
    model = load_all(runs, page, retrain=False, device="cpu")[last].model
    frequencies = trajectories.evenly(p.omega0_min, p.omega0_max, p.n_test)
    test = trajectories.held_out(frequencies, context=p.context, steps=p.rollout_steps, **p.motion)
    picked = test.rows(torch.tensor([trajectories.strongest_near(test, p.middle)]))
    path = trajectories.continued(trajectories.predictor(model), picked)[0, 0]
    figure = sliders(page, "fig-looks")
    n, layer = int(move(figure, "rollout step", 17)), int(move(figure, "layer", 3))
    states = torch.cat([picked.windows[0], path])[n - 1 : n - 1 + p.context]
    windows = states.expand(p.n_seeds, 1, -1, -1)
    expected = newest_attention(model, windows)[0, layer - 1, 0]
    seen, end = curve(figure, "rival"), (p.context + p.rollout_steps - 1) * p.dt
    for j in (0, 7, 15, 30, 39):
        assert seen[j, 0] == pytest.approx(in_pixels((n - 1 + j) * p.dt, 0, end, 64, 238), abs=0.01)
        share = 10 ** (3 * (250 - seen[j, 1]) / 238 - 3)  # three decades, from 10⁻³ to 1
        assert share == pytest.approx(max(expected[j].item(), 1e-3), abs=1e-4)
    drawn = curve(figure, "model", panel=1)
    assert len(drawn) == n + 1  # the last state given, then the predicted ones
    assert drawn[-1, 0] == pytest.approx(
        in_pixels((p.context + n - 1) * p.dt, 0, end, 390, 262), abs=0.01
    )
    truth = curve(figure, "truth", panel=1)[:, 1]
    exact = picked.states[0, :, 0].double()
    scale = np.polyfit(exact, truth, 1)  # one straight axis for both curves
    assert np.allclose(np.polyval(scale, exact), truth, atol=0.01)
    assert np.allclose(np.polyval(scale, path[:n, 0]), drawn[1:, 1], atol=0.05)


def test_the_lens_by_layer_and_word_is_the_models(sliders):
    t = np.linspace(1, 5, 50)
    chart = decisions.chart(weights.load("twin-0"), t, 2 * np.exp(-t / 2)[:, None])
    figure = sliders("05_odeformer/lenses", "fig-lenses-word")
    layer, place = int(move(figure, "decoder layer", 8)), int(move(figure, "word", 2)) - 1
    written, likeliest = curve(figure, "model"), curve(figure, "truth dashed")
    for i in (0, 4, 7, 10, 11):
        assert written[i, 0] == pytest.approx(in_pixels(i, 0, 11, 64, 238), abs=0.01)
        assert written[i, 1] == pytest.approx(
            in_pixels(chart.own[i, place], 0, 1, 250, -238), abs=0.1
        )
        largest = chart.p[i, place, 0]
        assert likeliest[i, 1] == pytest.approx(in_pixels(largest, 0, 1, 250, -238), abs=0.1)
    for k in range(5):
        bar = curve(figure, f"model bar {k}", panel=1)
        end = in_pixels(chart.p[layer, place, k], 0, 1, 420, 232)
        assert bar[1, 0] == pytest.approx(end, abs=0.1)
    assert f"“{chart.words[layer][place][0]}”" in figure.locator(".sliders p").text_content()


def test_sliders_are_moved_by_the_keyboard_and_say_their_value(sliders):
    figure = sliders("01_fixed_omega", "fig-signs", "phone")
    slider = figure.get_by_role("slider", name="ω0", exact=True)
    slider.focus()
    before = slider.get_attribute("aria-valuetext")
    slider.press("ArrowRight")
    assert float(slider.get_attribute("aria-valuetext")) == pytest.approx(float(before) + 0.1)


def test_without_scripts_the_picture_is_shown(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/01_fixed_omega.html", wait_until="domcontentloaded")
    assert page.locator("figure#fig-signs img").is_visible()
    context.close()
