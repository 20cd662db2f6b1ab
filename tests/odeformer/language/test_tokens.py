from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attention_in_motion.odeformer.language.tokens import ARITY, KINDS, Vocabulary

DATA = Path(__file__).parents[2] / "data"
RELEASED = Vocabulary(max_dimension=6, precision=3)


def test_ids_of_the_released_model():
    expected = {"<EOS>": 73, "<OUTPUT_PAD>": 80, "<MASK>": 81, "<PAD>": 82, "-1": 16, "0": 26}
    expected |= {"abs": 42, "add": 43, "mul": 55, "pow": 57, "sin": 61, "x_0": 66, "x_5": 71}
    expected |= {"|": 72, "+": 89, "-": 90, "E0": 191, "E-3": 114, "N1010": 1302, "NaN": 10292}
    assert {word: RELEASED.ids[word] for word in expected} == expected
    expected = {"<OUTPUT_PAD>": 7, "<PAD>": 9, "+": 16, "E0": 118, "E100": 121, "N9999": 10218}
    assert {word: RELEASED.float_ids[word] for word in expected} == expected
    assert len(RELEASED.words) == 10_293 and len(RELEASED.float_words) == 10_220


@pytest.mark.parametrize(("max_dimension", "precision"), [(1, 1), (2, 2), (3, 3), (12, 2)])
def test_sizes(max_dimension, precision):
    vocabulary = Vocabulary(max_dimension, precision)
    floats = 3 + 10 ** (precision + 1) + 201
    assert len(vocabulary.float_words) == 16 + floats
    assert len(vocabulary.words) == 16 + (51 + max_dimension) + 16 + floats
    assert vocabulary.words[: len(vocabulary.float_words[:16])] == vocabulary.float_words[:16]
    assert vocabulary.words[vocabulary.float_offset :] == vocabulary.float_words


def test_stored_official_floats_and_equations():
    stored = json.loads((DATA / "odeformer_tokens.json").read_text(encoding="utf-8"))
    values, words = zip(*stored["floats"], strict=True)
    ids = RELEASED.encode_floats(values)  # (n, 3)
    assert [[RELEASED.float_words[i] for i in row] for row in ids] == list(words)
    for pair in stored["equations"]:
        ids = [RELEASED.eos, *pair["ids"], RELEASED.eos]
        assert [RELEASED.ids[word] for word in pair["words"]] == pair["ids"]
        system = RELEASED.decode_system(ids)
        assert list(RELEASED.encode_system(system)) == ids
        leaves = [leaf for leaf in pair["prefix"].split(",") if leaf != "|"]
        mine = [leaf for equation in system for leaf in equation]
        assert all(
            a == b if isinstance(a, str) else a == float(b)
            for a, b in zip(mine, leaves, strict=True)
        )


def formatted(value: float, precision: int) -> tuple[str, int, int]:
    """Sign, mantissa and exponent by Python's exact decimal formatting."""
    digits, exponent = f"{abs(value):.{precision}e}".split("e")
    mantissa, exponent = int(digits.replace(".", "")), int(exponent) - precision
    return "-" if value < 0 else "+", *((mantissa, exponent) if exponent >= -100 else (0, 0))


@pytest.mark.parametrize("precision", [1, 2, 3, 4])
def test_floats_round_as_python_formats_them(precision):
    rng = np.random.default_rng(precision)
    vocabulary = Vocabulary(1, precision)
    wide = rng.normal(size=3000) * 10.0 ** rng.uniform(-120, 101, 3000)
    ties = rng.integers(-99999, 99999, 3000) / 10.0 ** rng.integers(0, 9, 3000)
    edges = np.concatenate([10.0 ** np.arange(-103, 100), np.nextafter(10.0 ** np.arange(90), 0)])
    values = np.concatenate([wide, ties, edges, [0.0, -0.0, 5e-324]])
    ids = vocabulary.encode_floats(values)  # (n, 3)
    words = [[vocabulary.float_words[i] for i in row] for row in ids]
    mine = [(sign, int(mantissa[1:]), int(exponent[1:])) for sign, mantissa, exponent in words]
    assert mine == [formatted(value, precision) for value in values]


def test_floats_decode_to_what_was_written():
    rng = np.random.default_rng(0)
    mantissa, exponent = rng.integers(1000, 10_000, 5000), rng.integers(-100, 101, 5000)
    written = [float(f"{m}e{e}") for m, e in zip(mantissa, exponent, strict=True)]
    values = np.array(written).reshape(50, 100) * rng.choice([-1, 1], (50, 100))
    ids = RELEASED.encode_floats(values)
    assert ids.shape == (50, 100, 3)
    np.testing.assert_allclose(RELEASED.decode_floats(ids), values, rtol=1e-14)
    usual = np.abs(exponent.reshape(50, 100)) <= 22
    assert (RELEASED.decode_floats(ids)[usual] == values[usual]).all()
    assert (RELEASED.encode_floats(RELEASED.decode_floats(ids)) == ids).all()


def test_missing_and_huge_floats():
    ids = RELEASED.encode_floats([np.nan, -2.0])
    assert (ids[0] == RELEASED.float_ids["NaN"]).all()
    assert np.isnan(RELEASED.decode_floats(ids)[0]) and RELEASED.decode_floats(ids)[1] == -2
    for value in (1e104, -np.inf):
        with pytest.raises(ValueError, match=r"values has .* must be below 1e104"):
            RELEASED.encode_floats([1.0, value])
    with pytest.raises(ValueError, match=r"not \(sign, mantissa, exponent\)"):
        RELEASED.decode_floats(ids[:, ::-1])


def test_a_point_is_time_then_variables_then_padding():
    vocabulary = Vocabulary(max_dimension=3, precision=2)
    times, values = np.array([1.0, 2.5]), np.array([[3.0, -4.0], [0.0, np.nan]])
    rows = vocabulary.encode_points(times, values)
    words = [[vocabulary.float_words[i] for i in row] for row in rows]
    pad = ["<OUTPUT_PAD>"] * 3
    assert words[0] == ["+", "N100", "E-2", "+", "N300", "E-2", "-", "N400", "E-2", *pad]
    assert words[1] == ["+", "N250", "E-2", "NaN", "NaN", "NaN", *pad, *pad]
    with pytest.raises(ValueError, match="dimension = 4: must be in 1…3"):
        vocabulary.encode_points(times, np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"values has shape \(3, 1\): must be \(2, dimension\)"):
        vocabulary.encode_points(times, np.zeros((3, 1)))


def test_the_six_tokens_of_an_exponential():
    ids = RELEASED.encode_system([["mul", -0.5033, "x_0"]])
    words = ["<EOS>", "mul", "-", "N5033", "E-4", "x_0", "<EOS>"]
    assert [RELEASED.words[i] for i in ids] == words
    kinds = ["end", "operator", "sign", "mantissa", "exponent", "variable", "end"]
    assert [KINDS[kind] for kind in RELEASED.kinds[ids]] == kinds


def random_tree(rng: np.random.Generator, depth: int) -> list[str | int | float]:
    if depth == 0 or rng.random() < 0.3:
        number = round(float(rng.normal()), int(rng.integers(4)))
        return [[f"x_{rng.integers(6)}"], [int(rng.integers(-120, 120))], [number]][rng.integers(3)]
    operator = list(ARITY)[rng.integers(len(ARITY))]
    children = [random_tree(rng, depth - 1) for _ in range(ARITY[operator])]
    return [operator, *(leaf for child in children for leaf in child)]


def test_systems_survive_encoding():
    rng = np.random.default_rng(1)
    for _ in range(300):
        system = [random_tree(rng, depth=4) for _ in range(rng.integers(1, 7))]
        decoded = RELEASED.decode_system(RELEASED.encode_system(system))
        assert decoded == system
        assert [list(map(type, equation)) for equation in decoded] == [
            list(map(type, equation)) for equation in system
        ]


def ids_of(words: str) -> list[int]:
    return [RELEASED.ids[word] for word in words.split()]


def test_what_follows_a_tree_or_the_end_is_ignored():
    ids = ids_of("<EOS> mul x_0 x_1 sin | x_2 + N1010 <EOS> add <PAD> <PAD>")
    assert RELEASED.decode_system(ids) == [["mul", "x_0", "x_1"], ["x_2"]]


@pytest.mark.parametrize(
    "words",
    [
        "",
        "<EOS>",
        "x_0 <EOS>",
        "<EOS> x_0",
        "<EOS> <EOS>",
        "<EOS> add x_0 <EOS>",
        "<EOS> x_0 | <EOS>",
        "<EOS> mul + N1000 x_0 <EOS>",
        "<EOS> + N1000 <EOS>",
        "<EOS> INT+ x_0 <EOS>",
        "<EOS> N1000 <EOS>",
        "<EOS> <PAD> <EOS>",
    ],
)
def test_malformed_sequences_are_refused(words):
    with pytest.raises(ValueError):
        RELEASED.decode_system(ids_of(words))


def test_unknown_words_and_sizes_are_refused():
    with pytest.raises(ValueError, match="'x_6' is not a word for max_dimension = 6"):
        RELEASED.encode_system([["x_6"]])
    with pytest.raises(ValueError, match="precision = 0: must be at least 1"):
        Vocabulary(2, 0)
