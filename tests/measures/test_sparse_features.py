"""Sparse autoencoders: a planted dictionary comes back, a frozen one does not, areas are exact."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from attention_in_motion.measures import attention_maps as maps
from attention_in_motion.measures import sparse_features as sparse

D, ATOMS, LIVE = 24, 32, 2


@pytest.fixture(scope="module")
def planted():
    """Activations (n, d) that are sums of two of 32 atoms, and the atoms (d, 32)."""
    rng = torch.Generator().manual_seed(0)
    atoms = torch.randn((D, ATOMS), generator=rng)
    atoms /= atoms.norm(dim=0)
    live = torch.rand((6000, ATOMS), generator=rng).topk(LIVE, dim=1).indices
    sizes = 0.5 + torch.rand((6000, LIVE), generator=rng)
    h = torch.zeros(6000, ATOMS).scatter(1, live, sizes)
    return h @ atoms.T, atoms


@pytest.mark.parametrize(("recipe", "share"), [({"k": LIVE}, 0.95), ({"l1": 3.0}, 0.7)])
def test_a_planted_dictionary_is_recovered(planted, recipe, share):
    x, atoms = planted
    found = sparse.trained(x, sparse.Recipe(width=2 * ATOMS, steps=800, batch=256, **recipe))
    assert sparse.recovered_atoms(found, atoms) >= share
    assert sparse.quality(found, x)["explained"] > 0.9


def test_a_frozen_random_dictionary_recovers_nothing_though_it_explains(planted):
    x, atoms = planted
    recipe = sparse.Recipe(width=2 * ATOMS, k=LIVE, steps=200, frozen=True)
    found = sparse.trained(x, recipe)
    assert sparse.recovered_atoms(found, atoms) < 0.05
    assert 0.1 < sparse.quality(found, x)["explained"] < 0.9


def test_topk_keeps_k_and_quality_counts(planted):
    x, _ = planted
    found = sparse.trained(x, sparse.Recipe(width=40, k=3, steps=1))
    assert ((found.encode(x) > 0).sum(1) <= 3).all()
    nothing = sparse.Autoencoder(D, sparse.Recipe(width=40), torch.Generator())
    nothing.e.data.fill_(-1e6)
    nothing.mean.copy_(x.mean(0))
    said = sparse.quality(nothing, x)
    assert said == {"explained": pytest.approx(0, abs=1e-4), "l0": 0, "dead": 1}


def test_areas_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    features, kind = rng.integers(0, 4, (60, 5)).astype(float), rng.integers(0, 3, 60)
    found = sparse.areas(features, kind, 3)
    for one in range(3):
        for k in range(5):
            assert found[one, k] == pytest.approx(roc_auc_score(kind == one, features[:, k]))


def test_the_best_feature_is_chosen_on_other_series():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 4000)
    features = rng.random((4000, 30))
    assert sparse.best_features(features, kind, 2)[1] == pytest.approx([0.5, 0.5], abs=0.06)
    features[:, 7] += kind
    best, area = sparse.best_features(features, kind, 2)
    assert best[1] == 7 and area[1] == 1


def test_a_planted_concept_is_found_on_other_systems_and_what_it_owes_is_taken_out():
    rng = torch.Generator().manual_seed(0)
    h, y, t = (torch.randn(s, generator=rng) for s in ((40, 25, 12), (1, 40, 25), (1, 40, 25)))
    assert sparse.best_correlations(h, y)[0] < 0.15
    h[..., 5], h[..., 6], h[..., 7] = 3 * y[0], y[0] + t[0], 0
    found = sparse.correlations(h, torch.cat([y, t]))
    assert found.shape == (2, 12) and found[0, 5] == pytest.approx(1) and found[1, 5] < 0.15
    assert sparse.best_correlations(-h, y) == pytest.approx([1])  # its size counts
    assert sparse.correlations(h, y, t)[0, 6] == pytest.approx(1)
    assert sparse.correlations(h, y, y).max() == 0 and found[0, 7] == 0


def test_partial_correlations_are_those_of_the_other_measure():
    rng = torch.Generator().manual_seed(1)
    h, y, given = (torch.randn(s, generator=rng) for s in ((60, 5), (1, 60), (2, 60)))
    h += given.T @ torch.ones(2, 5)
    expected = maps.partial_correlation(h.T.double(), y.double(), given.double()[None]).abs()
    assert torch.allclose(sparse.correlations(h, y, given), expected)


def test_one_family_features_are_counted_and_exchanges_keep_their_number():
    fires = np.array([[5, 1, 0, 9], [5, 1, 0, 0], [0, 1, 0, 1], [0, 1, 0, 0]], float)
    family = np.array([0, 0, 1, 1])
    assert sparse.one_family(fires, family, 0.9) == pytest.approx(2 / 3)  # one is dead
    assert sparse.one_family(fires, family, 0.95) == pytest.approx(1 / 3)
    # two of the three partners leave feature 0 in both families, feature 3 is of one in half
    chance = sparse.one_family_exchanged(fires, family, 0.95, 600, 0)
    assert chance == pytest.approx((1 / 3 + 1 / 3) / 3, abs=0.03)
    assert sparse.most_active(torch.from_numpy(fires), 2) == [0, 3]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="features: one at least must be active"):
        sparse.one_family(np.zeros((4, 2)), np.array([0, 0, 1, 1]), 0.9)
    with pytest.raises(ValueError, match="must be finite, one is not"):
        sparse.trained(torch.tensor([[1.0, torch.nan]]), sparse.Recipe(width=4))
    with pytest.raises(ValueError, match="must differ, all are equal"):
        sparse.trained(torch.ones(5, 3), sparse.Recipe(width=4))
    with pytest.raises(ValueError, match=r"k = 9: must lie in 0 ... width = 4"):
        sparse.Recipe(width=4, k=9)
    with pytest.raises(ValueError, match="kind 0: must be of some series and not of all, is of 4"):
        sparse.areas(np.ones((4, 1)), np.zeros(4), 2)
