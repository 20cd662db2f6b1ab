"""What is linearly readable: targets that are what they are called, pairs that match, one row."""

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer import probes
from attention_in_motion.odeformer.language.tokens import System
from attention_in_motion.odeformer.network.decode import Decoded
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.recognise import predict
from attention_in_motion.odeformer.systems.trajectories import Sample

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=2, encoder_heads=4, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=2, decoder_heads=2, max_dimension=2, precision=2),
)
FEW = probes.Settings(12, 12, 14, 12, 16, 12, 2, 1)


@pytest.fixture(scope="module")
def data():
    return probes.Data(FEW)


@pytest.fixture(scope="module")
def model():
    return ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()


def test_pairs_solve_their_equations_and_end_at_the_same_value(data):
    assert probes.kinds(data.pairs).tolist() == [1, 0] * FEW.n_pairs
    for sample in data.pairs:
        found = predict(sample.system, [1.0], sample.times)
        assert np.allclose(found, sample.values, rtol=1e-4)
    last = np.array([sample.values[-1, 0] for sample in data.pairs]).reshape(-1, 2)
    assert np.allclose(last[:, 0], last[:, 1])
    assert (last[::2] < 1).all() and (last[1::2] > 1).all()


def linear_system(A) -> System:
    return [["add", "mul", a, "x_0", "mul", b, "x_1"] for a, b in A]


def test_linear_targets_are_those_of_the_matrix():
    rotation, diagonal = [[0.0, 2.0], [-2.0, 0.5]], [[3.0, 0.0], [0.0, -1.0]]
    samples = [Sample(linear_system(A), None, None, "") for A in (rotation, diagonal)]
    found = probes.linear_targets(samples)
    assert found["coefficients"].tolist() == [[0, 2, -2, 0.5], [3, 0, 0, -1]]
    root = (4 - 0.25**2) ** 0.5
    assert np.allclose(found["eigenvalues"], [[0.25, 0.25, root], [-1, 3, 0]])
    assert np.allclose(found["trace"][:, 0], [0.5, 2])
    assert np.allclose(found["determinant"][:, 0], [4, -3])
    assert np.allclose(found["discriminant"][:, 0], [0.25 - 16, 16])


def test_ranks_make_every_target_normal():
    y = np.exp(np.random.default_rng(0).standard_normal(500))
    assert probes.normal(y).std() == pytest.approx(1, abs=0.02)
    assert (np.argsort(probes.normal(y)) == np.argsort(y)).all()


def test_the_error_is_cut_at_either_end():
    found = probes.log_error(np.array([1.0, 0.99, 0.0, -np.inf]))
    assert np.allclose(found, [-12, np.log(0.01), 0, 2])


def test_the_stream_after_the_last_word_is_that_of_a_pass_alone(data, model):
    """Samples with answers of different lengths: grouping them changes nothing."""
    samples, written = data.pairs[:3], [[20, 21], [], [22, 23]]
    together = probes.chosen_at(model, samples, written)
    alone = [probes.chosen_at(model, [s], [w]) for s, w in zip(samples, written, strict=True)]
    for layer, streams in enumerate(together):
        expected = np.concatenate([one[layer] for one in alone])
        assert np.allclose(streams, expected, atol=1e-5)
    assert not np.allclose(together[0][0], together[0][2])


def test_an_answer_is_scored_on_its_own_trajectory(model, data):
    words = model.config.vocabulary
    right = [words.encode_system(s.system).tolist()[1:-1] for s in data.pairs[:2]]
    written = [Decoded(right[0], 0.0), Decoded([0] * probes.MOST_WORDS, 0.0)]
    found = probes.r2_of(model, data.pairs[:2], written)
    assert found[0] > 0.99 and found[1] == -np.inf


def test_a_model_whose_bias_says_plus_says_so_when_it_guesses(data, model):
    plus = model.config.vocabulary.ids["+"]
    before = probes.plus_when_guessing(model, data)
    with torch.no_grad():
        model.decoder.proj.bias[plus] += 20
        after = probes.plus_when_guessing(model, data)
        model.decoder.proj.bias[plus] -= 20
    assert 0 < before < 1 and after > 0.999


def test_a_row_has_its_scores_by_layer(data, model):
    row = probes.row_of(data, model, trained=False)
    assert len(row["curves"]["time"]) == 3
    assert len(row["dimension"]["by layer"]) == 4
    assert row["linear"]["all"]["n"] > 0 and "errors" not in row


def test_too_little_is_refused_in_one_line():
    with pytest.raises(ValueError, match="n_pairs = 2: must be at least 12"):
        probes.Settings(n_pairs=2)
