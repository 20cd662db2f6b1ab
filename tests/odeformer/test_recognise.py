"""Inference: exact units, integration, ranking, refinement, and no input that breaks it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from attention_in_motion.odeformer import recognise
from attention_in_motion.odeformer.language.expressions import (
    constants_of,
    vector_field,
    with_constants,
)
from attention_in_motion.odeformer.network.decode import Decoded
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.recognise import (
    Answers,
    Candidate,
    Scale,
    ask,
    distinct,
    predict,
    r2,
    rank,
    refine,
    trajectories,
)

CONFIG = ODEFormerConfig(
    **dict(encoder_width=8, encoder_layers=1, encoder_heads=2, embedding_width=4, precision=3),
    **dict(decoder_width=12, decoder_layers=1, decoder_heads=3, max_dimension=2),
)
VOCABULARY = CONFIG.vocabulary
TIMES = np.linspace(0.5, 6, 40)
LOGISTIC = [["add", "mul", 1.2, "x_0", "mul", -0.4, "pow", "x_0", 2]]


def logistic(times: np.ndarray, start: float = 0.3) -> np.ndarray:
    """The closed solution of LOGISTIC, (n, 1): rate 1.2, capacity 3."""
    growth = np.exp(1.2 * (times - times[0]))
    return (3 * start * growth / (3 - start + start * growth))[:, None]


def solution(system: list, start: np.ndarray, times: np.ndarray) -> np.ndarray:
    """SciPy's, (n, dimension)."""
    field, constants = vector_field(system), np.array(constants_of(system))
    span, tight = (times[0], times[-1]), dict(method="DOP853", rtol=1e-12, atol=1e-13)
    return solve_ivp(lambda _, x: field(x, constants), span, start, t_eval=times, **tight).y.T


def tokens_of(system: list) -> list[int]:
    return VOCABULARY.encode_system(system)[1:-1].tolist()


def with_words(*words: str) -> ODEFormer:
    """An untrained model that can write only these words and <EOS>, which is likelier."""
    model = ODEFormer(CONFIG, torch.Generator().manual_seed(0)).eval()
    ids = [VOCABULARY.eos, *(VOCABULARY.ids[word] for word in words)]
    for parameter in (model.decoder.proj.weight, model.decoder.proj.bias):
        parameter.data.mul_(0.1)
    model.decoder.proj.bias.data.fill_(-math.inf)
    model.decoder.proj.bias.data[ids] = 0.0
    model.decoder.proj.bias.data[VOCABULARY.eos] = 0.5
    return model


@pytest.fixture
def writing(monkeypatch):
    """Makes the model write what a test wants: systems, or token lists."""

    def write(*texts: list) -> ODEFormer:
        tokens = [tokens_of(t) if t and isinstance(t[0], list) else t for t in texts]
        decoded = [Decoded(one, -float(i)) for i, one in enumerate(tokens)]
        monkeypatch.setattr(recognise, "write", lambda *arguments: decoded)
        return ODEFormer(CONFIG, torch.Generator())

    return write


# ---------------------------------------------------------------------------------------------
# Integration and score


@pytest.mark.parametrize(("second", "metre"), [(1, 1), (1e-9, 1e12), (1e7, 1e-8), (1, -3)])
def test_exact_solutions_in_any_units(second, metre):
    system = [["mul", 0.7 / second, "x_0"], ["mul", -2.0 / second, "x_1"], [metre / second]]
    times = second * np.linspace(2, 7, 30)
    s = (times - times[0]) / second
    expected = metre * np.stack([np.exp(0.7 * s), 0.1 * np.exp(-2 * s), s], axis=1)
    found = predict(system, expected[0], times)
    assert np.abs(found[1:] / expected[1:] - 1).max() < 1e-6 and np.all(found[0] == expected[0])


def test_a_pole_ends_the_trajectory_and_nothing_else():
    times = np.linspace(0, 2, 21)
    found = trajectories([[["pow", "x_0", 2]], [["mul", 1.0, "x_0"]]], [1.0], times)
    assert np.allclose(found[0, :9, 0], 1 / (1 - times[:9]), rtol=1e-5)
    assert np.isnan(found[0, 11:]).all()
    assert np.allclose(found[1, :, 0], np.exp(times), rtol=1e-6)


@pytest.mark.parametrize(
    ("start", "times", "line"),
    [
        ([1.0, 2.0], [0, 1], r"start has shape \(2,\): must be \(…, 1\)"),
        ([1.0], [0], "times has 1 points: must be at least 2"),
        ([1.0], [0, 1, 1], "times has 1 after 1: must rise strictly"),
    ],
)
def test_what_cannot_be_integrated(start, times, line):
    with pytest.raises(ValueError, match=f"^{line}$"):
        predict([["x_0"]], start, times)


CODE = [
    *("open('MARK', 'w')", "__import__('os').system('touch MARK')", "0), open('MARK', 'w'), (0"),
    *("(y := open('MARK', 'w'))", "x_0 or open('MARK', 'w')", "x_0\n", "c[0]", "x", "sin", "1e3"),
    *(None, b"x_0", ["x_0"], True, np.int64(2), np.float32(2)),
]


@pytest.mark.parametrize("leaf", CODE, ids=repr)
def test_no_leaf_of_a_system_is_executed(monkeypatch, tmp_path, leaf):
    """Wherever a system is computed with: integrated, refined, printed, put into other units."""
    monkeypatch.chdir(tmp_path)
    system = [["mul", 0.5, leaf]]
    candidate, scale = Candidate(system, 0.5, 0.0), Scale(0.0, 1.0, np.ones(1))
    for attempt in (
        lambda: predict(system, [1.0], TIMES),
        lambda: candidate.integrate([1.0], TIMES),
        lambda: refine(candidate, TIMES, logistic(TIMES)),
        lambda: candidate.expressions,
        lambda: str(Answers([candidate])),
        lambda: scale.undo(system),
    ):
        with pytest.raises(ValueError, match=r"^equation ") as refused:
            attempt()
        assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_variable_without_an_equation_is_refused():
    with pytest.raises(ValueError, match=r"^system = .*: must have 1 equations and variables$"):
        predict([["mul", 0.5, "x_1"]], [1.0], TIMES)


def test_together_equals_one_by_one():
    rng = np.random.default_rng(3)
    systems = [with_constants(LOGISTIC, rng.uniform(-1, 1, 2)) for _ in range(4)]
    systems[2] = [["sin", "x_0"]]
    alone = [predict(system, [0.4], TIMES) for system in systems]
    assert np.allclose(trajectories(systems, [0.4], TIMES), alone, rtol=1e-12, equal_nan=True)


def test_r2_by_hand():
    truth = np.stack([np.arange(5.0), 10 * np.arange(5.0)], axis=1)
    assert r2(truth, truth) == 1
    assert r2(truth, np.broadcast_to(truth.mean(axis=0), truth.shape)) == 0
    wrong = truth + np.array([1.0, 0.0])  # R² is 1 − 5/10 and 1, the variances are 2 and 200
    assert math.isclose(r2(truth, wrong), (2 * 0.5 + 200 * 1) / 202)
    constant = np.stack([np.arange(5.0), np.ones(5)], axis=1)
    assert math.isclose(r2(constant, constant + np.array([0.0, 1.0])), 0.5)
    assert math.isnan(r2(np.ones((5, 1)), np.ones((5, 1))))
    assert math.isnan(r2(truth, truth + np.nan)) and math.isnan(r2(truth, truth + np.inf))
    assert r2(truth, truth + 1e300) == -math.inf


# ---------------------------------------------------------------------------------------------
# Candidates


def test_the_true_system_is_ranked_first():
    near, far = with_constants(LOGISTIC, [1.1, -0.4]), [["mul", -1.0, "x_0"]]
    exploding = [["mul", 5.0, "pow", "x_0", 3]]
    given = [(exploding, 0.0), (near, -2.0), (far, -1.0), (LOGISTIC, -9.0)]
    ranked = rank(given, TIMES, logistic(TIMES))
    assert [c.system for c in ranked] == [LOGISTIC, near, far, exploding]
    assert ranked[0].r2 > 1 - 1e-12 and math.isnan(ranked[-1].r2)
    assert ranked[0].log_probability == -9.0
    assert np.allclose(ranked[0].integrate([2.0], TIMES), logistic(TIMES, 2.0), rtol=1e-6)


def test_refinement_recovers_perturbed_constants():
    [rough] = rank([(with_constants(LOGISTIC, [1.6, -0.7]), -1.0)], TIMES, logistic(TIMES))
    found = refine(rough, TIMES, logistic(TIMES))
    assert rough.r2 < 0.9
    assert np.allclose(constants_of(found.system), [1.2, -0.4], rtol=1e-6)
    assert found.r2 > 1 - 1e-10 and found.log_probability == -1.0


def test_refinement_follows_a_fast_oscillator():
    """ω = 4.9, seven periods: at the tolerance of `refine` more steps than points by hundreds."""
    times = np.linspace(1, 10, 37)
    system, exact = [["x_1"], ["mul", -(4.9**2), "x_0"]], np.cos(4.9 * (times - 1))
    values = np.stack([exact, -4.9 * np.sin(4.9 * (times - 1))], axis=1)
    [rough] = rank([(with_constants(system, [-(4.87**2)]), 0.0)], times, values)
    found = refine(rough, times, values)
    assert constants_of(found.system) == pytest.approx([-(4.9**2)], rel=1e-6)


def test_refinement_is_never_worse():
    rng = np.random.default_rng(4)
    noisy = logistic(TIMES) * (1 + 0.1 * rng.standard_normal((40, 1)))
    exploding, bare = [["mul", 5.0, "pow", "x_0", 3]], [["sin", "x_0"]]
    systems = [(LOGISTIC, 0.0), (exploding, 0.0), (bare, 0.0), ([["mul", -8.0, "x_0"]], 0.0)]
    for candidate in rank(systems, TIMES, noisy):
        found = refine(candidate, TIMES, noisy, max_evaluations=5)
        if math.isnan(candidate.r2) or not constants_of(candidate.system):
            assert found is candidate
        assert math.isnan(candidate.r2) or found.r2 >= candidate.r2
    [best] = rank([(LOGISTIC, 0.0)], TIMES, logistic(TIMES))
    assert refine(best, TIMES, logistic(TIMES)).r2 >= best.r2


# ---------------------------------------------------------------------------------------------
# The whole path


def scaled_logistic() -> list:
    """LOGISTIC in the variables that the model reads for logistic(TIMES)."""
    rate, unit = 9 / 5.5, 0.3
    return with_constants(LOGISTIC, [1.2 / rate, -0.4 * unit / rate])


def test_asking_reads_unscales_and_ranks(writing):
    worse = [["mul", 0.2, "x_0"]]
    cut = tokens_of([["add", "x_0", "x_0"]])[:2]
    model = writing(cut, worse, scaled_logistic(), [["x_1"]], [["x_0"], ["x_1"]], worse)
    found = ask(model, TIMES, logistic(TIMES))
    assert len(found.candidates) == 2
    best, second = found.candidates
    assert np.allclose(constants_of(best.system), [1.2, -0.4], rtol=1e-3)  # 4-digit words
    assert best.r2 > 0.9999 > second.r2
    assert (best.log_probability, second.log_probability) == (-2.0, -1.0)
    x = best.expressions[0].free_symbols.pop()
    assert math.isclose(best.expressions[0].subs(x, 2.0), 1.2 * 2 - 0.4 * 4, rel_tol=2e-3)
    assert ask(model, TIMES, logistic(TIMES), refine=True).candidates[0].r2 > 1 - 1e-9


def test_text_and_latex():
    system = [["mul", -0.50331, "x_1"], ["sin", "x_0"]]
    found = Answers(
        [Candidate(system, 0.98765, -3.217), Candidate([["x_0"], ["x_1"]], math.nan, -9.0)]
    )
    assert str(found).splitlines() == [
        "       R²     log p  x_0' | x_1'",
        "  0.98765     -3.22  -0.5033*x_1 | sin(x_0)",
        "      nan     -9.00  x_0 | x_1",
    ]
    latex = (
        r"$$\begin{cases} \dot{x}_{0} = - 0.5033 x_{1} \\ \dot{x}_{1} = \sin{\left(x_{0} \right)}"
    )
    assert found._repr_latex_() == latex + r" \end{cases}$$"


def test_nothing_recognised(writing):
    found = ask(writing([VOCABULARY.ids["add"]]), TIMES, logistic(TIMES), refine=True)
    assert found.candidates == []
    assert str(found) == "The model recognised no valid system."
    assert found._repr_latex_() is None


@pytest.mark.parametrize("method", ["sample", "greedy", "beam"])
def test_every_method_on_a_model(method):
    model = with_words("x_0", "sin")
    found, again = (ask(model, TIMES, logistic(TIMES), 20, 1.0, method, seed=1) for _ in range(2))
    assert found == again
    if method != "greedy":
        assert len(found.candidates) > 1
    for candidate in found.candidates:
        assert set(candidate.system[0]) - {"sin", "mul", "x_0"} <= {*constants_of(candidate.system)}
        expected = r2(logistic(TIMES), solution(candidate.system, [0.3], TIMES))
        assert math.isclose(candidate.r2, expected, rel_tol=1e-5)


@pytest.mark.parametrize("method", ["sample", "greedy"])
def test_a_sequence_that_does_not_end_is_no_candidate(method):
    model = with_words("x_0")
    model.decoder.proj.bias.data[VOCABULARY.eos] = -100
    assert ask(model, TIMES, logistic(TIMES), 2, 1.0, method).candidates == []


def test_seeds_differ_and_threads_do_not():
    model = with_words("x_0", "sin", "add", "mul")

    def run(seed: int) -> Answers:
        return ask(model, TIMES, logistic(TIMES), 10, 1.0, seed=seed)

    alone = [run(seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(run, range(3))) == alone
    assert alone[0] != alone[1]


HOSTILE = {
    "a power of a power of integers": ["pow", *["pow"] * 30, *["INT+", "9"] * 31, "INT+", "9"],
    "a huge exponent": ["pow", "x_0", "INT+", *"99999999999999999999"],
    "a huge number of one": ["mul", "INT+", *("9" * 190), "x_0"],
    "floats that overflow": ["mul", *["+", "N9999", "E100"] * 2, "pow", "x_0", "INT+", "9"],
    "zero to the power minus one": ["pow", "+", "N0000", "E0", "INT-", "1"],
    "one over nothing": ["pow", "add", "x_0", "mul", "INT-", "1", "x_0", "INT-", "1"],
    "a deep tree": [*["sin"] * 198, "x_0"],
    "a deep sum": [*["sin", "add", "x_0"] * 20, "x_0"],
    "a word without a formula": ["cos", "x_0"],
    "a power of a variable": ["pow", "x_0", "x_0"],
    "time": ["mul", "t", "x_0"],
    "NaN": ["mul", "NaN", "x_0"],
    "half a float": ["mul", "+", "N1000", "x_0"],
    "no equation": [],
    "only a bar": ["|"],
    "an operator": ["add"],
    "a pad": ["<PAD>"],
    "sine of everything": ["sin", "+", "N9999", "E100"],
    "stiff": ["mul", "-", "N9999", "E100", "x_0"],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_sequence_breaks_it(writing, name):
    model = writing([VOCABULARY.ids[word] for word in HOSTILE[name]], scaled_logistic())
    found = ask(model, TIMES, logistic(TIMES), refine=True)
    assert found.candidates[0].r2 > 0.999
    assert len(found.candidates) <= 2 and str(found)


def test_random_sequences_never_break_it():
    rng, scale = np.random.default_rng(5), Scale(0.0, 2.0, np.array([3.0, -0.5]))
    words = ["add", "mul", "pow", "sin", "x_0", "x_1", "INT+", "INT-", "2", "0", "|", "inv", "pow2"]
    ids = np.array([VOCABULARY.ids[word] for word in [*words, "+", "N1234", "E0", "E-3"]])
    written = [Decoded(rng.choice(ids, rng.integers(1, 12)).tolist(), 0.0) for _ in range(6000)]
    written = [Decoded([*d.tokens, VOCABULARY.ids["|"], *d.tokens], -1.0) for d in written]
    systems = distinct(VOCABULARY, written, 2, scale)
    assert len(systems) > 40
    values = np.stack([np.sin(TIMES), np.cos(TIMES)], axis=1)
    assert len(rank(systems, TIMES, values)) == len(systems)


# ---------------------------------------------------------------------------------------------
# Bad input


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"times": TIMES[:, None]},
            r"times \(40, 1\) and trajectory \(40, 1\): must be \(n,\) and",
        ),
        ({"trajectory": np.ones(40)}, r"times \(40,\) and trajectory \(40,\): must be \(n,\) and"),
        ({"times": TIMES[:-1]}, r"times \(39,\) and trajectory \(40, 1\): must be \(n,\) and"),
        (
            {"times": TIMES[:3], "trajectory": TIMES[:3, None]},
            "times has 3 points: must be at least 4",
        ),
        ({"trajectory": np.ones((40, 3))}, "trajectory has 3 dimensions: the model reads 1 to 2"),
        ({"trajectory": np.ones((40, 0))}, "trajectory has 0 dimensions: the model reads 1 to 2"),
        (
            {"times": np.where(TIMES > 2, np.nan, TIMES)},
            "times has nan: every value must be finite",
        ),
        (
            {"trajectory": np.full((40, 1), np.inf)},
            "trajectory has inf: every value must be finite",
        ),
        ({"times": TIMES[::-1]}, "times has 5.85897 after 6: must rise strictly"),
        ({"times": np.round(TIMES)}, "times has 1 after 1: must rise strictly|times has 0"),
        ({"trajectory": np.full((40, 1), 2.0)}, r"trajectory is \[2.\] throughout: must not be"),
        ({"trajectory": 10 ** (50 * TIMES[:, None])}, "values has .*: floats must be below"),
        ({"n_samples": 0}, "n_samples = 0: must be at least 1"),
        ({"n_samples": 0, "method": "beam"}, "n_samples = 0: must be at least 1"),
        ({"temperature": 0.0}, "temperature = 0.0: must be positive"),
        ({"temperature": math.nan}, "temperature = nan: must be positive"),
        ({"method": "search"}, "method = 'search': must be one of sample, greedy, beam"),
    ],
)
def test_bad_input_gets_one_line(changes, line):
    model = ODEFormer(CONFIG, torch.Generator())
    arguments = {"times": TIMES, "trajectory": logistic(TIMES)} | changes
    with pytest.raises(ValueError, match=f"^{line}.*$") as error:
        ask(model, **arguments)
    assert "\n" not in str(error.value)
