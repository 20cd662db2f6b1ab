"""The search for what drives a feature: it climbs, stays in its box and on real trajectories."""

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer import dictionaries, driving
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig

TINY = ODEFormerConfig(
    **dict(encoder_width=16, encoder_layers=2, encoder_heads=4, embedding_width=8),
    **dict(decoder_width=16, decoder_layers=1, decoder_heads=2, max_dimension=2, precision=2),
)


def test_a_hill_is_climbed_to_its_top_and_a_slope_to_the_wall():
    top, low, high = np.array([0.3, -0.5]), np.full(2, -1.0), np.full(2, 1.0)

    def hill(x):
        return -((x - top) ** 2).sum(1)

    at, path = driving.climbed(hill, np.array([-0.9, 0.8]), low, high, 60)
    assert np.allclose(at, top, atol=0.05) and path == sorted(path)
    at, _ = driving.climbed(lambda x: x @ np.array([1.0, 0.0]), np.zeros(2), low, high, 60)
    assert at[0] == pytest.approx(1) and at[1] == 0


def test_where_there_is_no_trajectory_nothing_pulls():
    def cliff(x):
        return np.where(x[:, 0] > 0.005, -np.inf, x[:, 1])

    found = driving.gradient(cliff, np.zeros(2), np.full(2, 0.01))
    assert found.tolist() == pytest.approx([0, 1])
    _, path = driving.climbed(lambda x: np.zeros(len(x)), np.zeros(1), -np.ones(1), np.ones(1), 5)
    assert path == [0]  # nowhere to go


def test_trajectories_are_scaled_ones_of_the_family():
    parameters = np.array([[-0.5, 2.0], [5.0, 1.0], [-0.5, 0.001]])  # too fast, too near 0
    samples, kept = driving.trajectories("exponential", parameters, 12)
    assert kept.tolist() == [True, False, False]
    assert np.allclose(samples[0].values[:, 0], np.exp(-0.5 * (samples[0].times - 1)), atol=1e-6)


def test_the_search_of_a_known_feature_finds_its_maximum():
    model = ODEFormer(TINY, torch.Generator().manual_seed(0)).eval()
    samples, _ = driving.trajectories("damped", np.array([[-4.0, -1.0, 1.0, 1.0]]), 12)
    seen = driving.encoder_activations(model, samples)
    assert driving.driven(model, samples, driving.of_head(1, 2)).shape == (1, 12)
    written = seen["attentions.1.heads"][:, 2].square().sum(-1).sqrt()
    assert torch.allclose(driving.of_head(1, 2)(seen), written)
    reading = driving.of_head(0, 1)
    found = driving.maximised(model, reading, "damped", 12, n_drawn=12, n_steps=4)
    assert found.path == sorted(found.path) and len(found.parameters) == 4
    own = float(driving.driven(model, [found.sample], reading).mean())
    assert own == pytest.approx(found.path[-1], rel=1e-5)


def test_features_are_read_at_the_place_of_the_autoencoders():
    x = torch.randn((2, 5, 16), generator=torch.Generator().manual_seed(0))
    recipe = dictionaries.Recipe(width=8, steps=1)
    autoencoder = dictionaries.sparse.trained(x.flatten(0, 1), recipe)
    found = driving.of_feature(autoencoder, 3)({dictionaries.PLACE: x})
    assert torch.equal(found, autoencoder.encode(x)[..., 3])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="family = 'rocket': must be one of exponential,"):
        driving.trajectories("rocket", np.ones((1, 2)), 12)
