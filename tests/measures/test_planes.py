"""Planes of t-SNE: clusters stay together, chance is chance, and what lies outside lies outside."""

import numpy as np
import pytest

from attention_in_motion.measures import planes


def test_clusters_stay_together_and_noise_does_not():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1, 2], 40)
    apart = rng.normal(size=(120, 6)) + 20 * np.eye(6)[label]
    for x, low, high in ((apart, 0.99, 1.0), (rng.normal(size=(120, 6)), 0.2, 0.5)):
        near = planes.neighbours(planes.plane(x), 5)
        assert low <= planes.same_share(near, label) <= high


def test_a_point_is_no_neighbour_of_itself():
    line = np.array([[0.0, 0], [1, 0], [3, 0], [7, 0]])
    assert planes.neighbours(line, 1)[:, 0].tolist() == [1, 0, 1, 2]
    assert planes.same_share(np.array([[1], [0], [1], [2]]), np.array([0, 0, 1, 1])) == 0.75


def test_an_exchange_keeps_systems_together():
    system = np.repeat(np.arange(6), 4)
    near = np.array([[j for j in range(24) if j // 4 == i // 4 and j != i] for i in range(24)])
    label = np.array([0, 0, 0, 1, 1, 1])
    assert (planes.exchanged_shares(near, system, label, 5, 0) == 1).all()
    foreign = (near + 4) % 24
    chance = planes.exchanged_shares(foreign, system, label, 400, 0).mean()
    assert chance == pytest.approx(2 / 5, abs=0.05)  # two of the five others have its label


def test_the_rim_is_told_from_the_middle():
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    points, outer = np.concatenate([3 * ring, ring]), np.arange(40) < 20
    assert planes.rim_area(points, outer) == 1 and planes.rim_area(points, ~outer) == 0
    assert planes.rim_area(points, np.arange(40) % 2 == 0) == pytest.approx(0.5, abs=0.1)
    assert planes.rim_area(points, np.ones(40, bool)) == 0.5


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="points = 4: must be at least 5"):
        planes.plane(np.ones((4, 2)))
    with pytest.raises(ValueError, match="points: must be finite, one is not"):
        planes.plane(np.full((9, 2), np.nan))
    with pytest.raises(ValueError, match=r"k = 9: must lie in 1 \.\.\. 8"):
        planes.neighbours(np.ones((9, 2)), 9)
