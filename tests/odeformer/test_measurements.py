"""What a user may give, and the one line that says what is wrong with it."""

import numpy as np
import pytest
import torch

from attention_in_motion.odeformer.measurements import read_measurements, thinned

T = np.linspace(0, 3, 12)
X = np.exp(-T)


class Table:
    """What pandas' Series and DataFrames have in common with an array, and their names."""

    def __init__(self, values, **names):
        self.values, self.ndim = np.asarray(values), np.ndim(values)
        self.__dict__.update(names)

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype) if dtype else self.values


ACCEPTED = {
    "a series": (T, X),
    "a column": (T, X[:, None]),
    "lists": (T.tolist(), X.tolist()),
    "lists of points": (T.tolist(), X[:, None].tolist()),
    "tensors": (torch.tensor(T), torch.tensor(X, requires_grad=True)),
    "one trajectory in a list": ([T], [X]),
    "a Series": (Table(T), Table(X, name="mass")),
    "a DataFrame": (T, Table(X[:, None], columns=["mass"])),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name):
    found = read_measurements(*ACCEPTED[name], 2)
    [track] = found.tracks
    assert (track.times == T).all() and (track.values == X[:, None]).all()
    assert found.names == (("mass",) if "Series" in name or "Frame" in name else ("x_0",))
    assert found.notes == () and found.sizes == [1.0] and found.span == 3.0


def test_integers_are_numbers():
    [track] = read_measurements(range(5), [9, 7, 5, 4, 3], 2).tracks
    assert track.values[:, 0].tolist() == [9, 7, 5, 4, 3] and track.times.dtype == float


@pytest.mark.parametrize(
    "given",
    [
        ([T, T[:7]], [X, X[:7]]),
        ([T, T[:7]], [X[:, None], X[:7, None]]),
        (T, [X[:, None], 2 * X[:, None]]),
        (T, np.stack([X, 2 * X])[:, :, None]),
    ],
)
def test_several_trajectories(given):
    first, second = read_measurements(*given, 2).tracks
    assert first.values[0] == 1 and len(second.values) in (7, 12)


def test_many_points_are_thinned_with_a_word():
    t = np.linspace(0, 1, 20_000)
    found = read_measurements(t, np.exp(t), 2)
    [track] = found.tracks
    assert len(track.times) == 600 and (track.times[[0, -1]] == [0, 1]).all()
    assert found.notes == ("20000 points are many: 600 of them, evenly spaced, were used.",)


DATES = np.arange("2020-01-01", "2020-01-13", dtype="datetime64[D]")
REFUSED = {
    "a scalar": (T, 3.0, r"times \(12,\) and trajectory \(\): must be \(n,\) and \(n,\) or"),
    "turned": (T, np.stack([X, X]), r".* and trajectory \(2, 12\): .*; transposed\? give traj"),
    "ragged": (T, [[1.0], [1.0, 2.0]] * 6, "trajectory = .*: must be numbers, as many in each row"),
    "words": (T, ["a"] * 12, r"trajectory = \['a', .*: must be numbers"),
    "complex": (T, X + 0j, "trajectory has complex numbers: must be real"),
    "dates": (DATES, X, "times has dates: must be numbers in a unit of your choice; give "),
    "spans": (DATES - DATES[0], X, "times has dates: must be numbers"),
    "NaN": (T, np.where(T > 1, np.nan, X), "trajectory has nan: every value must be finite"),
    "infinity": (np.where(T > 1, np.inf, T), X, "times has inf: every value must be finite"),
    "falling": (T[::-1], X, "times has 2.72727 after 3: must rise strictly"),
    "short": (T[:3], X[:3], "times has 3 points: must be at least 4"),
    "three": (T, np.ones((12, 3)), "trajectory has 3 dimensions: the model reads 1 to 2"),
    "none": (T, np.ones((12, 0)), "trajectory has 0 dimensions: the model reads 1 to 2"),
    "constant": (T, np.ones(12), r"trajectory is \[1.\] throughout: must not be constant"),
    "huge": (T, 1e300 * X, "trajectory has values up to 1e.300: the largest of a coordinate must"),
    "tiny": (T, 1e-320 * X, "trajectory has values up to .*: the largest of a coordinate must"),
    "unequal lists": ([T, T], [X], "2 lists of times, 1 trajectories: must agree"),
    "unlike": ([T, T], [X, np.stack([X, X], 1)], r"trajectories have \[1, 2\] dimensions: must"),
    "no list": ([T, T], 3.0, "times is a list of times: trajectory must be a list of as many"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name):
    times, trajectory, line = REFUSED[name]
    with pytest.raises(ValueError, match=f"^{line}") as error:
        read_measurements(times, trajectory, 2)
    assert "\n" not in str(error.value)


def test_points_are_shared_out_over_tracks_with_a_least_number_for_each():
    t = np.linspace(0, 1, 90)
    tracks = list(read_measurements([t] * 4, [t] * 4, 2).tracks)
    assert [len(one.times) for one in thinned(tracks, 100)] == [25] * 4
    assert [len(one.times) for one in thinned(tracks, 200)] == [50] * 4
    assert [len(one.times) for one in thinned(tracks, 600)] == [90] * 4
