"""Sinks and peaks: planted ones are found where they are, even attention has none."""

import pytest
import torch

from attention_in_motion.measures import attended_points as points

EVEN = torch.full((10,), 0.1)


def with_peak(size, at=3):
    mass = torch.full((10,), (1 - size) / 9)
    mass[at] = size
    return mass


def test_a_sink_has_attention_and_no_value():
    assert not points.has_sink(EVEN, EVEN)
    assert points.has_sink(with_peak(0.4), with_peak(0.05))
    assert not points.has_sink(with_peak(0.4), with_peak(0.4))  # it carries what it gets
    assert not points.has_sink(with_peak(0.15), with_peak(0.0))  # not twice an equal share
    assert not points.has_sink(with_peak(0.4), with_peak(0.0, at=4))  # another point is empty


def test_shares_add_up_and_nothing_is_even():
    assert torch.allclose(points.shares(5 * with_peak(0.4)), with_peak(0.4))
    assert torch.allclose(points.shares(0 * EVEN), EVEN)
    assert points.peak(EVEN) == pytest.approx(1)
    assert points.peak(3 * with_peak(0.4)) == pytest.approx(4)


def test_the_commonest_index_has_its_share():
    assert points.commonest(torch.tensor([4, 2, 4, 4, 7])) == (4, pytest.approx(0.6))


def test_a_smooth_peak_falls_on_every_step_and_a_zigzag_on_every_other():
    place = torch.arange(20.0)
    smooth = torch.exp(-((place - 8) ** 2) / 20)[None]
    assert points.falls_away(smooth, torch.tensor([8])) == 1
    assert points.falls_away(-smooth, torch.tensor([8])) == 0
    zigzag = smooth + torch.where(place == 8, 5.0, place % 2)
    assert points.falls_away(zigzag, torch.tensor([8])) == pytest.approx(0.6)
    assert points.falls_away(smooth.flip(1), torch.tensor([11])) == 1
    assert points.falls_away(torch.arange(20.0).flip(0)[None], torch.tensor([0])) == 1  # at an end


def test_points_that_are_longer_are_counted():
    lengths = torch.tensor([[1.0, 2, 3, 4, 5], [5.0, 1, 1, 1, 1]])
    assert points.larger_elsewhere(lengths, torch.tensor([1, 0])).tolist() == [0.75, 0]


def test_one_point_has_no_steps():
    with pytest.raises(ValueError, match="points = 1: must be at least 2"):
        points.falls_away(torch.ones(3, 1), torch.zeros(3).long())
