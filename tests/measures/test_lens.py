"""The lenses on planted streams: the end is the end, and a word is decided where it was planted."""

import pytest
import torch

from attention_in_motion.measures import lens


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


W_U, BIAS = noise(11, 6, seed=8), noise(11, seed=9)


def test_the_logit_lens_is_softmax_of_the_output_matrix():
    h = noise(5, 6)
    expected = torch.softmax(h @ W_U.T + BIAS, -1)
    assert torch.allclose(lens.log_probabilities(h, W_U, BIAS).exp(), expected)


def test_the_tuned_lens_is_the_identity_at_the_last_layer():
    h = noise(40, 6)
    assert torch.allclose(lens.tuned(h, h)(h), h, atol=1e-12)
    assert torch.allclose(lens.tuned(h, h)(noise(3, 6, seed=1)), noise(3, 6, seed=1), atol=1e-12)


def test_the_tuned_lens_undoes_an_affine_map_on_other_systems():
    turn, offset = noise(6, 6, seed=2), noise(6, seed=3)
    h, other = noise(400, 6), noise(50, 6, seed=1)
    carry = lens.tuned(h, h @ turn + offset, ridge=1e-9)
    assert torch.allclose(carry(other), other @ turn + offset, atol=1e-6)
    plain = lens.log_probabilities(other, W_U, BIAS).argmax(-1)
    end = lens.log_probabilities(other @ turn + offset, W_U, BIAS).argmax(-1)
    seen = lens.log_probabilities(carry(other), W_U, BIAS).argmax(-1)
    assert (seen == end).all() and (plain == end).double().mean() < 0.6


def test_without_data_the_tuned_lens_changes_nothing_but_the_mean():
    h, end = noise(4, 6), noise(4, 6, seed=1)
    carry = lens.tuned(h, end, ridge=1e9)
    assert torch.allclose(carry(h), h + (end - h).mean(0), atol=1e-6)


def test_a_reading_has_the_likeliest_word_and_the_nats_of_the_right_one():
    log_p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]).log()
    found = lens.read(log_p, torch.tensor([0, 1]))
    assert found.word.tolist() == [0, 2]
    assert torch.allclose(found.certainty, torch.tensor([0.7, 0.6]))
    assert torch.allclose(found.nats.exp(), torch.tensor([1 / 0.7, 1 / 0.3]))


def test_words_are_decided_where_they_stop_changing():
    words = torch.tensor([[1, 5, 3, 7], [2, 5, 4, 7], [2, 6, 3, 7], [2, 5, 9, 7]])
    assert lens.decided_at(words).tolist() == [1, 3, 3, 0]
    assert lens.decided_at(words[:1]).tolist() == [0] * 4


def test_a_word_planted_at_a_layer_is_decided_there():
    """The stream of word i jumps from noise to the row of its word at layer planted[i]."""
    rows = torch.eye(11).double() * 9
    planted = torch.arange(30) % 5
    right = torch.arange(30) % 11
    before = rows[(right + 1) % 11]
    streams = [torch.where((planted <= i)[:, None], rows[right], before) for i in range(5)]
    eye, none = torch.eye(11).double(), torch.zeros(11).double()
    words = [lens.read(lens.log_probabilities(h, eye, none), right).word for h in streams]
    assert torch.equal(lens.decided_at(torch.stack(words)), planted)


def test_means_are_taken_over_the_words_of_a_kind():
    of = torch.tensor([[1.0, 0, 0], [1, 1, 0]])
    found = lens.share_by_kind(of, torch.tensor([0, 0, 2]), ("a", "b", "c"))
    assert found == {"a": [0.5, 1.0], "c": [0.0, 0.0]}


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: lens.tuned(noise(4, 6), noise(4, 5)), r"h \(4, 6\), end \(4, 5\): must be of one"),
        (lambda: lens.tuned(noise(1, 6), noise(1, 6)), r"n at least 2"),
        (lambda: lens.decided_at(torch.zeros(0, 3)), r"words \(0, 3\): must be \(layer, n\)"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(make, line):
    with pytest.raises(ValueError, match=line):
        make()
