"""The evaluation gives full marks to the truth, none to nothing, and the same numbers each time."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from attention_in_motion.odeformer import evaluation, train
from attention_in_motion.odeformer.evaluation import (
    Answer,
    Case,
    answer_of,
    ask,
    ceilings,
    draw_cases,
    follow,
    main,
    polynomial,
    rows_of,
    score,
    share_over_samples,
    subgroups,
)
from attention_in_motion.odeformer.language.expressions import constants_of, skeleton, vector_field
from attention_in_motion.odeformer.language.tokens import System
from attention_in_motion.odeformer.network.decode import Decoded
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.recognise import MAX_TOKENS, predict, r2
from attention_in_motion.odeformer.stream import StreamConfig
from attention_in_motion.odeformer.systems.families import FAMILIES
from attention_in_motion.odeformer.systems.prior import held_out
from attention_in_motion.odeformer.systems.trajectories import Sample, corrupt
from attention_in_motion.odeformer.train import teacher_forced
from attention_in_motion.odeformer.weights import save
from attention_in_motion.statistics import share as wilson

CONFIG = StreamConfig(precision=1, batch_size=2, min_points=20, max_points=30)
MODEL = ODEFormerConfig(
    **dict(encoder_width=8, encoder_layers=1, encoder_heads=2, decoder_width=12, decoder_layers=1),
    **dict(decoder_heads=3, embedding_width=4, max_dimension=2, precision=1),
)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return draw_cases(CONFIG, 0, 2)


@pytest.fixture
def model() -> ODEFormer:
    return ODEFormer(MODEL, torch.Generator().manual_seed(0)).eval()


def given(*systems: System) -> Answer:
    return Answer([(system, -float(i)) for i, system in enumerate(systems)], 0.0)


# ---------------------------------------------------------------------------------------------
# Cases


def test_two_cases_of_every_family_prior_and_dimension(cases):
    counts = {}
    for case in cases:
        for group in case.groups:
            counts[group] = counts.get(group, 0) + 1
    priors = dict.fromkeys(("official 1-D", "official 2-D", "repaired 1-D", "repaired 2-D"), 2)
    priors |= {"official prior": 4, "repaired prior": 4}
    families = dict.fromkeys(FAMILIES, 2) | {"families 1-D": 10, "families 2-D": 18}
    slow = {name: counts.pop(f"{name}, ω ≤ 3", 0) for name in ("oscillator", "damped")}
    assert counts == priors | families
    assert all(0 <= n <= 2 for n in slow.values())


def test_slow_oscillators_are_counted_once_more():
    def found(name, omega):
        case = Case((name,), [["x_1"], ["mul", -(omega**2), "x_0"]], TIMES, TIMES, TIMES)
        return subgroups(name, case)

    assert found("oscillator", 2.9) == ["oscillator, ω ≤ 3"] and found("oscillator", 3.1) == []
    assert found("damped", 2.9) == ["damped, ω ≤ 3"] and found("pendulum", 2.9) == []


def test_random_skeletons_are_held_out_and_new_each_time(cases):
    random = [case.system for case in cases if case.groups[1].endswith("prior")]
    assert all(held_out(system) for system in random)
    assert len({skeleton(system) for system in random}) == len(random) == 8
    assert not any(held_out(case.system) for case in cases if case.groups[0] in FAMILIES)


def test_both_trajectories_solve_the_system_from_different_starts(cases):
    for case in cases:
        assert case.values.shape == case.new_values.shape == (25, len(case.system))
        for values in (case.values, case.new_values):
            found = predict(case.system, values[0], case.times)
            assert np.abs(found - values).max() < 1e-5 * np.abs(values).max()
        assert not np.allclose(case.values[0], case.new_values[0])


def test_the_seed_determines_the_cases(cases):
    def same(one: Case, other: Case) -> bool:
        return one.system == other.system and np.array_equal(one.new_values, other.new_values)

    assert all(map(same, draw_cases(CONFIG, 0, 1), cases[::2]))
    assert not any(map(same, draw_cases(CONFIG, 1, 1), cases[::2]))


# ---------------------------------------------------------------------------------------------
# The baseline

LINEAR = [["add", "mul", -0.2, "x_0", "x_1"], ["add", "mul", -0.8, "x_0", "mul", -0.1, "x_1"]]
QUADRATIC = [
    ["add", "mul", 0.4, "x_0", "mul", -0.5, "mul", "x_0", "x_1"],
    ["add", 0.1, "add", "mul", -0.6, "x_1", "mul", 0.3, "pow", "x_0", 2],
]
LOGISTIC = [["add", "mul", 0.7, "x_0", "mul", -0.35, "pow", "x_0", 2]]
TIMES = np.linspace(1, 10, 300)


@pytest.mark.parametrize(
    ("system", "start", "new"),
    [
        (LINEAR, [1.0, 0.5], [-0.7, 2.0]),
        (QUADRATIC, [1.0, 0.5], [1.5, 1.2]),
        (LOGISTIC, [0.2], [3.5]),
    ],
)
def test_the_baseline_recovers_a_polynomial_system(system, start, new):
    found = polynomial(TIMES, predict(system, start, TIMES))
    assert r2(predict(system, new, TIMES), predict(found, new, TIMES)) > 0.999


def test_the_baseline_has_every_monomial_once():
    """A constant, then x, y, x², xy, y², each with its coefficient."""
    x, y = np.linspace(1, 2, 50), np.linspace(3, -1, 50)
    [first, second] = polynomial(np.linspace(0, 1, 50), np.stack([x, y], axis=1))
    words = [word for word in first if not isinstance(word, float)]
    assert words == [
        *("add", "add", "mul", "x_0", "add", "mul", "x_1", "add", "mul", "mul", "x_0", "x_0"),
        *("add", "mul", "mul", "x_0", "x_1", "mul", "mul", "x_1", "x_1"),
    ]
    assert len(first) == len(second) == len(words) + 6


def test_the_baseline_differentiates_parabolas_exactly():
    """x = t, y = t²: the derivatives 1 and 2t are a polynomial of the state, at both ends too."""
    times = np.linspace(1, 2, 9)
    values = np.stack([times, times**2], axis=1)  # (9, 2)
    system = polynomial(times, values)
    found = vector_field(system)(values.T, np.array(constants_of(system)))  # (2, 9)
    assert np.abs(found - [np.ones(9), 2 * times]).max() < 1e-12


# ---------------------------------------------------------------------------------------------
# Scores


def test_the_truth_scores_one_from_both_starts(cases):
    observed = [case.values for case in cases]
    for values in score(cases, observed, [given(case.system) for case in cases]):
        assert min(values) > 1 - 1e-6


def test_under_noise_the_truth_is_right_from_a_new_start(cases):
    rng = np.random.default_rng(0)
    clean = [Sample(case.system, case.times, case.values, "") for case in cases]
    observed = [corrupt(rng, sample, 0.0, 0.05).values for sample in clean]
    old, new = score(cases, observed, [given(case.system) for case in cases])
    assert min(new) > 1 - 1e-6
    assert 0.5 < np.median(old) < 1 - 1e-6  # it starts from a noisy point


def test_the_best_on_what_was_observed_is_chosen(cases):
    still, stiff = [[0.0]], [["mul", -1e9, "pow", "x_0", 3]]
    one = [case for case in cases if len(case.system) == 1]
    answers = [given(still, stiff, case.system, [["mul", math.inf, "x_0"]]) for case in one]
    for values in score(one, [case.values for case in one], answers):
        assert min(values) > 1 - 1e-6


def test_half_of_the_points_is_scored_on_all_of_them(cases):
    """Observed is every second point; a curve that is right there and wrong between fails."""
    observed = [case.values[::2] for case in cases]
    for values in score(cases, observed, [given(case.system) for case in cases], every=2):
        assert min(values) > 1 - 1e-6
    fast = next(case for case in cases if len(case.system) == 2)
    zigzag = fast.values.copy()
    zigzag[1::2] += 10 * np.ptp(zigzag, axis=0)
    wrong = fast._replace(values=zigzag)
    [old], [new] = score([wrong], [zigzag[::2]], [given(fast.system)], every=2)
    assert old < 0.5 and new > 1 - 1e-6


def test_ceilings_know_the_form(model, cases):
    """Constants of two digits nearly give the trajectory; refined on clean data, entirely."""
    observed, times = [case.values for case in cases], cases[0].times
    answers = ceilings(model, cases, observed, times)
    scores = {name: np.array(score(cases, observed, given)) for name, given in answers.items()}
    written, refined = scores["true form, written"], scores["true form, refined"]
    assert np.median(written) > 0.99 and np.median(refined) > 1 - 1e-9
    assert (refined[0] >= written[0] - 1e-12).all()
    assert np.median(1 - refined[0]) < 1e-3 * np.median(1 - written[0])


def test_no_answer_scores_nothing(cases):
    observed = [case.values for case in cases]
    nothing = [Answer([], 1.0)] * len(cases)
    assert score(cases, observed, nothing) == ([-math.inf] * len(cases),) * 2
    blown_up = [given([["mul", 1e9, "pow", x, 2] for x in ("x_0", "x_1")[: len(case.system)]])
                for case in cases]  # fmt: skip
    old, _ = score(cases, observed, blown_up)
    assert max(old) <= 0


def test_rows_count_and_bound():
    cases = [Case((name, "both"), [], TIMES, TIMES, TIMES) for name in "aaab"]
    rows = rows_of(cases, "given start", "greedy", [0.95, -math.inf, 0.9, 0.91], [0, 0.5, 0, 1])
    assert [one["group"] for one in rows] == ["a", "both", "b"]
    for one, (successes, n) in zip(rows, [(1, 3), (2, 4), (1, 1)], strict=True):
        share, (low, high) = wilson(successes, n)
        assert one["n"] == n and (one["share"], one["low"], one["high"]) == (share, low, high)
        assert 0 <= low <= share <= high <= 1 and low < high
    assert [one["median"] for one in rows] == [0.9, pytest.approx(0.905), 0.91]
    assert [one["wrong_dimension"] for one in rows] == pytest.approx([1 / 6, 3 / 8, 1])
    [lost] = rows_of(cases[:1], "given start", "greedy", [-math.inf], [0])[:1]
    assert lost["median"] is None


def test_systems_of_several_dimensions_are_followed_at_once():
    systems, starts = [LINEAR, LOGISTIC, QUADRATIC, LOGISTIC], [[1.0, 2], [0.3], [0.0, 1], [4.0]]
    starts = [np.array(start) for start in starts]
    curves = follow(systems, starts, TIMES)
    for system, start, curve in zip(systems, starts, curves, strict=True):
        assert np.abs(curve - predict(system, start, TIMES)).max() < 1e-9


# ---------------------------------------------------------------------------------------------
# Reading and asking the model


def test_reading_what_was_written(model):
    """Two systems in units of the first point, one in another dimension, one that never ended."""
    vocabulary, values = model.config.vocabulary, np.array([[2.0], [3.0], [4.0]])
    systems = [[["mul", 0.5, "x_0"]], [["pow", "x_0", 2]], [["x_0"], ["x_1"]]]
    tokens = [vocabulary.encode_system(system)[1:-1].tolist() for system in systems]
    written = [Decoded(one, -1.0) for one in [*tokens, tokens[0], tokens[0][:1] * MAX_TOKENS]]
    times = np.array([0.0, 1.0, 2.0])
    answer = answer_of(model, times, values, written)
    assert answer.wrong_dimension == 1 / 5
    found = {str(system): system for system, _ in answer.systems}
    assert len(found) == len(answer.systems) == 2
    slopes = [predict(system, [2.0], [0.0, 1e-6])[:, 0] for system in found.values()]
    rates = sorted(float(x[1] - x[0]) / 1e-6 for x in slopes)
    assert rates == pytest.approx([0.5 * 4.5 * 2, 4.5 * 2], rel=1e-4)  # clock × unit


def test_every_trajectory_gets_an_answer_of_each_method(model, cases):
    part = cases[::3]
    answers = ask(model, part[0].times, [case.values for case in part], 0)
    assert list(answers) == ["greedy", "10 samples"]
    for method, most in (("greedy", 1), ("10 samples", 10)):
        assert len(answers[method]) == len(part)
        assert all(len(answer.systems) <= most for answer in answers[method])


# ---------------------------------------------------------------------------------------------
# Tokens


def test_the_interval_over_samples():
    """One token a sample: the binomial one. Repeating every token must not narrow it."""
    right = torch.tensor([1.0] * 30 + [0.0] * 10)
    half = 1.96 * math.sqrt(0.75 * 0.25 / 40)
    expected = {"share": 0.75, "low": 0.75 - half, "high": 0.75 + half}
    for copies in (1, 7):
        found = share_over_samples(right.repeat(copies), torch.arange(40).repeat(copies))
        assert found.pop("n") == 40 * copies
        assert found == pytest.approx(expected)
    sure = share_over_samples(torch.ones(5), torch.arange(5) + 3)  # samples without such a token
    assert sure == {"n": 5, "share": 1.0, "low": 1.0, "high": 1.0}


def test_tokens_know_their_sample(model):
    lengths = [[5, 3], [4, 6]]
    batches = [
        {
            "points": torch.full((2, 7, 9), 20),
            "n_points": torch.full((2,), 7),
            "tokens": torch.full((2, max(n)), 75),
            "n_tokens": torch.tensor(n),
        }
        for n in lengths
    ]
    *_, sample = teacher_forced(model, batches, torch.device("cpu"))
    assert sample.long().bincount().tolist() == [4, 2, 3, 5]


# ---------------------------------------------------------------------------------------------
# The command


@pytest.fixture
def weights(model, tmp_path):
    config = {"model": asdict(MODEL), "stream": asdict(CONFIG)}
    save(model, {"config": config}, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_the_command_gives_the_same_each_time(weights, monkeypatch):
    monkeypatch.setattr(evaluation, "BATCH", 5)
    monkeypatch.setattr(evaluation, "MAX_TOKENS", 40)
    monkeypatch.setattr(evaluation, "N_POPULATION", 10)
    monkeypatch.delitem(evaluation.CONDITIONS, "noise 0.05")
    monkeypatch.setattr(train, "VALIDATION_SAMPLES", 16)
    texts = []
    for name in ("one.json", "two.json"):
        arguments = [str(weights), "--out", str(weights.with_name(name)), "-n", "1"]
        printed = CliRunner().invoke(main, arguments).stdout
        texts.append((weights.with_name(name).read_text(encoding="utf-8"), printed))
    assert texts[0] == texts[1]
    result = json.loads(texts[0][0])
    assert result["n"] == 1 and result["n_points"] == 25 and result["seed"] == 0
    conditions, methods = 6, 5
    n_groups = len(FAMILIES) + 2 + 4 + 2
    slow = {one["group"] for one in result["rows"] if "≤" in one["group"]}
    assert len(result["rows"]) == (n_groups + len(slow)) * conditions * methods
    assert {one["condition"] for one in result["rows"]} == {
        f"{start}, {condition}"
        for start in ("given start", "new start", "both starts")
        for condition in ("noise 0", "half the points")
    }
    share = {(r["group"], r["condition"], r["method"]): r["share"] for r in result["rows"]}
    for (group, condition, method), both in share.items():
        if condition.startswith("both"):
            alone = [condition.replace("both starts", f"{one} start") for one in ("given", "new")]
            assert both <= min(share[group, one, method] for one in alone)
    assert {one["method"] for one in result["rows"]} == {
        *("greedy", "10 samples", "polynomial"),
        *("true form, written", "true form, refined"),
    }
    assert all(0 <= one["low"] <= one["share"] <= one["high"] <= 1 for one in result["rows"])
    for counts in result["population"].values():
        drawn = counts.pop("drawn")
        assert drawn == 10 == sum(counts.values())
    kinds = {one["kind"]: one for one in result["tokens"] if one["systems"] == "families"}
    assert {one["systems"] for one in result["tokens"]} == {"all", "families"}
    assert kinds["end"]["n"] == 16 and {"all", "operator", "mantissa"} < set(kinds)
    assert (
        texts[0][1].count("\n") == len(result["rows"]) + len(result["tokens"]) + len(FAMILIES) + 4
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-n", "0"], "Invalid value for '-n': 0 is not in the range x>=1"),
        (["--seed", "-1"], "Invalid value for '--seed': -1 is not in the range x>=0"),
        (["--out", "none/else.json", "--weights"], "No such option"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(weights, words, message):
    assert message in refused(weights, "--out", weights.with_name("one.json"), *words)


def test_weights_that_are_not_there_are_refused_in_one_line(tmp_path):
    line = refused(tmp_path / "none.safetensors", "--out", tmp_path / "x.json")
    assert "no file" in line and "must be 'ours'" in line


def refused(*words: object) -> str:
    """The last line on stderr of the command, which must fail as a command with bad usage."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 2
    return result.stderr.splitlines()[-1]
