"""How a trajectory is shown to the model."""

import numpy as np

from attention_in_motion.odeformer.measurements import Track
from attention_in_motion.odeformer.proposals import likeliest_of, scale_of, views

T = np.linspace(1, 10, 90)
RISE = Track(T, (1 - np.exp(1 - T))[:, None])


def test_views_begin_where_no_coordinate_is_near_zero():
    whole, *later = views(Track(T, np.stack([np.cos(T), np.sin(T)], axis=1)))
    assert whole.times[0] == 1 and len(later) == 2
    for view in (whole, *later):
        assert len(view.times) <= 50 and view.times[-1] == 10
    for view in later:
        assert np.abs(view.values[0]).min() > 0.5


def test_a_start_near_zero_is_measured_by_the_size():
    assert scale_of(RISE).units == RISE.values.max()
    assert scale_of(Track(T, 1 + RISE.values)).units == 1
    assert scale_of(Track(T, 1e-5 + RISE.values)).units == RISE.values.max() + 1e-5
    assert scale_of(Track(T, 1e-3 + RISE.values)).units == 1e-3
    still = Track(T, np.stack([T, 0 * T], axis=1))
    assert scale_of(still).units.tolist() == [1, 1]


def test_the_likeliest_follow_the_data_as_they_stand():
    right, near = [["add", 1.0, "mul", -1.0, "x_0"]], [["add", 0.9, "mul", -1.0, "x_0"]]
    exploding = [["add", 9.0, "mul", 9.0, "pow", "x_0", 5]]
    found = likeliest_of([RISE], [exploding, near, [["mul", 2.0, "x_0"]], right])
    assert found[0] == right and near not in found  # of one skeleton the better one
    assert exploding not in found
