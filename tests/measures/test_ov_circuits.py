"""OV products and diagonals: exact on planted matrices."""

import pytest
import torch

from attention_in_motion.measures import ov_circuits as ov


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_products_add_up_to_that_of_all_heads():
    W_V, W_O = noise(6, 5), noise(5, 6, seed=1)
    per_head = ov.products(W_V, W_O, 3)
    assert per_head.shape == (3, 5, 5)
    assert torch.allclose(per_head.sum(0), W_O @ W_V)
    assert torch.allclose(per_head[1], W_O[:, 2:4] @ W_V[2:4])


def test_a_planted_diagonal_is_found_and_a_shuffle_loses_it():
    M = noise(60, 60) - 3 * torch.eye(60)
    assert ov.diagonal_ratio(M) == pytest.approx(-3, abs=0.4)
    assert ov.diagonal_ratio(torch.stack([M, -M])).tolist() == pytest.approx(
        [float(ov.diagonal_ratio(M)), -float(ov.diagonal_ratio(M))]
    )
    other = ov.rows_shuffled(M, torch.Generator().manual_seed(0))
    assert abs(float(ov.diagonal_ratio(other))) < 0.4
    assert torch.allclose(other.norm(), M.norm())
    assert ov.eigenvalue_share(-torch.eye(4)) == 1 and ov.eigenvalue_share(torch.eye(4)) == 0


def test_a_layer_of_minus_lambda_subtracts_lambda_times_the_attended_mean():
    weights, x = noise(4, 3, 7, 7).softmax(-1), noise(4, 7, 5, seed=1)
    mean = ov.attended_mean(weights, x)
    assert torch.allclose(mean, torch.stack([weights[:, h] @ x for h in range(3)]).mean(0))
    found = ov.written_along(-0.7 * mean + noise(5, seed=2), mean)
    assert torch.allclose(found, torch.full((4,), -0.7).double())


def test_what_was_subtracted_is_put_back():
    weights, x = noise(4, 3, 7, 7).softmax(-1), noise(4, 7, 5, seed=1)
    mean = ov.attended_mean(weights, x)
    part = noise(4, seed=2)
    change = ov.put_back(lambda: weights, lambda: x, part)
    written = part[:, None, None] * ov.centred(mean)
    assert torch.allclose(change(x + written), x)
    nothing = ov.put_back(lambda: weights, lambda: x, torch.zeros(4))
    assert torch.equal(nothing(x), x)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: ov.products(noise(6, 5), noise(5, 6), 4), "heads = 4: must divide the width 6"),
        (lambda: ov.diagonal_ratio(noise(3, 4)), r"M \(3, 4\): must be square"),
    ],
)
def test_other_shapes_are_refused_in_one_line(make, line):
    with pytest.raises(ValueError, match=line):
        make()
