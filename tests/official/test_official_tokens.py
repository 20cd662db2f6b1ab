"""Our words, ids and float tokens are the official ones."""

from __future__ import annotations

import numpy as np
import pytest

from attention_in_motion.odeformer.language.tokens import Vocabulary
from attention_in_motion.odeformer.network.model import ODEFormerConfig

pytestmark = [pytest.mark.official, pytest.mark.filterwarnings("ignore")]


def environment(official_peer, max_dimension: int, precision: int):
    sizes = {name: 1 for name in ("encoder_layers", "decoder_layers", "embedding_width")}
    config = ODEFormerConfig(**sizes, max_dimension=max_dimension, precision=precision)
    return official_peer(config).env


@pytest.mark.parametrize(("max_dimension", "precision"), [(6, 3), (2, 2), (3, 3), (11, 1)])
def test_vocabularies(official_peer, max_dimension, precision):
    env = environment(official_peer, max_dimension, precision)
    ours = Vocabulary(max_dimension, precision)
    assert list(ours.float_words) == env.float_words
    assert list(ours.words) == list(env.equation_id2word.values())
    assert ours.ids == env.equation_word2id
    assert ours.float_ids == env.float_word2id


def random_floats(rng: np.random.Generator, n: int) -> np.ndarray:
    """Magnitudes from 1e-110 to 1e103, plus what rounds awkwardly."""
    wide = rng.normal(size=n // 2) * 10.0 ** rng.uniform(-110, 101, n // 2)
    usual = rng.normal(size=n // 4) * 10.0 ** rng.uniform(-3, 3, n // 4)
    ties = rng.integers(-99999, 99999, n // 4) / 10.0 ** rng.integers(0, 9, n // 4)
    special = [0.0, -0.0, 1.0, 9.9995, 9.9996, 0.99995, -1e-98, 1e-97, 9.9994e103, 5e-324]
    return np.concatenate([wide, usual, ties, special])


@pytest.mark.parametrize("precision", [3, 2])
def test_ten_thousand_floats(official_peer, precision):
    env = environment(official_peer, 6, precision)
    ours = Vocabulary(6, precision)
    values = random_floats(np.random.default_rng(0), 10_000)
    values = values[np.abs(values) < 10.0 ** (100 + precision)]
    words = [word for value in values for word in env.float_encoder.encode([value])]
    expected = np.array([env.float_word2id[word] for word in words]).reshape(-1, 3)
    ids = ours.encode_floats(values)  # (n, 3)
    assert (ids == expected).all()
    decoded = env.float_encoder.decode(words)
    np.testing.assert_allclose(ours.decode_floats(ids), decoded, rtol=1e-14, atol=0)


def test_points_with_padding_and_a_missing_value(official_peer):
    config = ODEFormerConfig(encoder_layers=1, decoder_layers=1, embedding_width=1)
    peer = official_peer(config)
    rng = np.random.default_rng(1)
    for dimension in (1, 2, 6):
        times, values = rng.uniform(1, 10, 20), rng.normal(size=(20, dimension))
        values[3, -1] = np.nan
        pairs = [list(zip(times[:, None], values, strict=True))]
        (expected,) = peer.modules["embedder"].encode(pairs)
        assert (config.vocabulary.encode_points(times, values) == expected.numpy()).all()


def test_equations_of_the_official_generator(official_peer):
    env = environment(official_peer, 6, 3)
    ours = Vocabulary(6, 3)
    for _ in range(12):
        expression, _ = env.gen_expr(train=True, dimension=2, n_points=50)
        words = expression["tree_encoded"]
        ids = [ours.eos, *(ours.ids[word] for word in words), ours.eos]
        system = ours.decode_system(ids)
        assert list(ours.encode_system(system)) == ids
        official = env.equation_encoder.decode(words).prefix().replace(",|", "").split(",")
        mine = [str(leaf) for equation in system for leaf in equation]
        assert [number_or_word(leaf) for leaf in mine] == [number_or_word(w) for w in official]


def number_or_word(leaf: str) -> float | str:
    try:
        return float(leaf)
    except ValueError:
        return leaf
