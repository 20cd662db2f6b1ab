"""The motion without force, the unit of its error, and the Gauss rules it is scored on."""

import numpy as np
import pytest
import torch

from attention_in_motion.physics.uniform_motion import next_position, normalised_mse, quadrature


def test_the_next_position_lies_on_the_line():
    line = torch.linspace(-3, 5, 3, dtype=torch.float64)[:, None] * torch.tensor([1.0, -2.0])
    torch.testing.assert_close(next_position(line[None, :2]), line[None, 2:])


def test_predicting_zero_or_twice_the_truth_scores_one():
    true = torch.randn(3, 50, 1, 2, generator=torch.Generator().manual_seed(0))
    for wrong in (torch.zeros_like(true), 2 * true):
        torch.testing.assert_close(normalised_mse(wrong, true), torch.ones(3))
    half = normalised_mse(torch.cat([true[:1] / 2, true[1:]]), true)
    torch.testing.assert_close(half, torch.tensor([0.25, 0.0, 0.0]))


@pytest.mark.parametrize(("name", "second", "fourth"), [("normal", 1, 3), ("uniform", 1 / 3, 0.2)])
def test_the_rules_have_the_moments_of_their_distributions(name, second, fourth):
    x0, x1, weights = quadrature(5, name)
    moments = [weights @ f for f in (x0**2, x1**4, x0 * x1, x0**2 * x1**2, x1)]
    np.testing.assert_allclose(moments, [second, fourth, 0, second**2, 0], atol=1e-13)
    assert weights.sum() == pytest.approx(1, abs=1e-14)


def test_an_unknown_distribution_is_refused():
    with pytest.raises(
        ValueError, match=r"^distribution = 'cauchy': must be 'normal' or 'uniform'$"
    ):
        quadrature(3, "cauchy")
