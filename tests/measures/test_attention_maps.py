"""Column mass, correlations and stencils: exact on planted attention."""

import numpy as np
import pytest
import torch

from attention_in_motion.measures import attention_maps as maps
from attention_in_motion.models.transformer import NLA


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_mass_is_one_over_the_points_and_weighs_by_value_and_by_output():
    weights, values = noise(3, 2, 5, 5).softmax(-1), noise(3, 2, 5, 4, seed=1)
    W_O = noise(7, 8, seed=2)
    mass = maps.column_mass(weights)
    assert torch.allclose(mass.sum(-1), torch.ones(3, 2).double())
    assert torch.allclose(maps.value_weighted(weights, values), mass * values.norm(dim=-1))
    written = torch.stack([values[:, h] @ W_O[:, 4 * h : 4 * h + 4].T for h in (0, 1)], dim=1)
    weighted = maps.output_weighted(weights, values, W_O)
    assert torch.allclose(weighted, mass * written.norm(dim=-1))
    assert (maps.output_weighted(weights, 0 * values, W_O) == 0).all()


def test_a_sink_without_a_value_has_plain_mass_alone():
    weights = torch.full((1, 1, 4, 4), 0.1, dtype=torch.float64)
    weights[..., 2] = 0.7
    values = torch.ones(1, 1, 4, 3, dtype=torch.float64)
    values[:, :, 2] = 0
    assert maps.column_mass(weights)[0, 0].argmax() == 2
    assert maps.value_weighted(weights, values)[0, 0, 2] == 0


def test_correlation_is_pearsons_and_zero_with_a_constant():
    a, b = noise(4, 30), noise(4, 30, seed=1)
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(a.numpy(), b.numpy(), strict=True)]
    assert np.allclose(maps.correlation(a, b), expected)
    assert (maps.correlation(a, torch.full((30,), 0.1).double()) == 0).all()


def test_partial_correlation_takes_away_what_is_given_and_nothing_else():
    t, own = noise(2, 200), noise(2, 200, seed=1)
    a, b = 5 * t + own, -3 * t + own
    assert (maps.correlation(a, b) < 0).all()
    given = torch.stack([t, 2 * t + 1], dim=1)  # collinear
    assert torch.allclose(maps.partial_correlation(a, b, given), torch.ones(2).double())
    assert (maps.partial_correlation(a, noise(2, 200, seed=2), given).abs() < 0.2).all()
    assert torch.equal(maps.partial_correlation(t, b, given), torch.zeros(2).double())


def test_as_many_regressors_as_points_are_refused():
    with pytest.raises(ValueError, match="given: 9 regressors leave nothing of 10 points"):
        maps.partial_correlation(noise(10), noise(10), noise(9, 10))


def test_a_planted_head_beats_the_maxima_of_exchanged_curves_and_noise_does_not():
    feature, mass = noise(40, 20), noise(40, 6, 20, seed=1)
    found, null = maps.permuted_maxima(mass, feature, 199, seed=0)
    assert null.quantile(0.025) < found < null.quantile(0.975)
    mass[:, 3] = feature + noise(40, 20, seed=2)
    found, null = maps.permuted_maxima(mass, feature, 199, seed=0)
    assert found > null.max()
    expected = maps.correlation(mass[:, 3], feature).mean()
    assert torch.allclose(found, expected)


def test_the_maximum_over_more_heads_has_a_larger_null():
    feature, mass = noise(40, 20), noise(40, 30, 20, seed=1)
    few, many = (maps.permuted_maxima(mass[:, :n], feature, 99, seed=0)[1] for n in (1, 30))
    assert many.mean() > few.mean() + 0.05


def test_one_curve_cannot_be_exchanged():
    with pytest.raises(ValueError, match="curves = 1: must be at least 2"):
        maps.permuted_maxima(noise(1, 2, 9), noise(1, 9), 19, seed=0)


TIMES = torch.linspace(1, 10, 10, dtype=torch.float64)


def shifted(lag):
    """Attention that goes to the point `lag` later, (1, 10, 10)."""
    return torch.diag_embed(torch.ones(10 - abs(lag)).double(), offset=lag)[None]


def test_a_finite_difference_is_an_odd_stencil_and_a_mean_is_not():
    """Two heads, one looking ahead and one back, with opposite signs: (x(t + 1) − x(t − 1))/2."""
    edges = torch.tensor([-1.5, -0.5, 0.5, 1.5]).double()
    ahead, back = shifted(1), shifted(-1)
    lagged = maps.by_lag(torch.cat([ahead, back])[None], TIMES, edges)
    assert torch.equal(lagged, torch.tensor([[0, 0, 1], [1, 0, 0]]).double())
    difference = maps.stencil(lagged, torch.tensor([0.5, -0.5]).double())
    assert difference.tolist() == [-0.5, 0, 0.5] and maps.odd_share(difference) == 1
    assert maps.odd_share(maps.stencil(lagged, torch.tensor([0.5, 0.5]).double())) == 0


def test_gains_are_those_of_the_heads_products():
    W_V, W_O, read, written = noise(6, 5), noise(4, 6, seed=1), noise(5, seed=2), noise(4, seed=3)
    found = maps.gains(W_V, W_O, 2, read, written)
    parts = [written @ W_O[:, h : h + 3] @ W_V[h : h + 3] @ read for h in (0, 3)]
    assert torch.allclose(found, torch.stack(parts))
    assert torch.allclose(found.sum(), written @ W_O @ W_V @ read)


def test_a_head_is_scored_where_it_was_not_chosen():
    chosen_by, scored = np.array([0.1, 0.9, -0.95]), np.array([0.8, 0.3, -0.7])
    assert maps.best_head(chosen_by, scored) == (1, 0.3)
    assert maps.best_head(chosen_by, scored, size=True) == (2, 0.7)


def test_the_newest_state_attends_evenly_without_keys_and_to_itself_alone_if_it_is_alone():
    rngs = [torch.Generator().manual_seed(seed) for seed in range(3)]
    model = NLA(rngs, n_layers=2, d_model=4, d_head=2, n_heads=2)
    windows = noise(3, 5, 6, 2).float()
    seen = maps.newest_attention(model, windows)
    assert seen.shape == (3, 2, 5, 6)  # (seed, layer, n, T)
    assert torch.allclose(seen.sum(-1), torch.ones(3, 2, 5))
    assert torch.equal(maps.newest_attention(model, windows[:, :, :1]), torch.ones(3, 2, 5, 1))
    with torch.no_grad():
        model.blocks[1].attention.W_K.W.zero_()
    seen = maps.newest_attention(model, windows)
    assert torch.allclose(seen[:, 1], torch.full((3, 5, 6), 1 / 6))
    assert not torch.allclose(seen[:, 0], torch.full((3, 5, 6), 1 / 6), atol=1e-3)
