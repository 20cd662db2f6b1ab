"""The saliency map against planted Jacobians and finite differences."""

import torch

from attention_in_motion.measures.one_layer import off_diagonal_share, saliency
from attention_in_motion.models.transformer import NLA
from attention_in_motion.training.descent import initialisers


def window(seeds=2, time=5):
    rng = torch.Generator().manual_seed(0)
    return torch.randn(seeds, time, 2, generator=rng, dtype=torch.float64)


def test_a_planted_linear_map_is_found():
    rng = torch.Generator().manual_seed(1)
    planted = torch.randn(2, 5, 5, 2, 2, generator=rng, dtype=torch.float64)
    found = saliency(lambda x: torch.einsum("sijab,sqjb->sqia", planted, x), window())
    torch.testing.assert_close(found, planted)


def test_finite_differences_agree_on_a_transformer():
    model = NLA(initialisers([0, 1]), n_layers=2, d_model=4, d_head=2).double()
    x, shift = window(), torch.zeros(2, 5, 2, dtype=torch.float64)
    shift[:, 2, 1] = 1e-6
    slope = (model((x + shift)[:, None]) - model((x - shift)[:, None]))[:, 0] / 2e-6
    torch.testing.assert_close(saliency(model, x)[:, :, 2, :, 1], slope, rtol=1e-6, atol=1e-8)


def test_a_causal_model_has_a_triangular_map():
    model = NLA(initialisers([0, 1]), n_layers=2, d_model=4, d_head=2).double()
    size = saliency(model, window()).norm(dim=(-2, -1))
    assert size.triu(1).max() == 0 and size.tril().min(dim=0).values.max() > 0


def test_the_off_diagonal_share_counts_what_it_says():
    jacobian = torch.zeros(1, 3, 3, 2, 2)
    jacobian[0, range(3), range(3), 0, 0] = 2.0
    assert off_diagonal_share(jacobian).item() == 0
    jacobian[0, 2, 0, 1, 1] = 2.0
    assert abs(off_diagonal_share(jacobian).item() - 0.25) < 1e-6
