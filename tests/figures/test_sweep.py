"""The drawing of a sweep shows every point with its interval and its verdict."""

import numpy as np

from attention_in_motion.figures.sweep import claim_against


def drawn(estimates):
    intervals = [(e - 1.0, e + 2.0) for e in estimates]
    verdicts = ["holds", "does_not_hold", "holds"]
    return claim_against("gamma", [0.1, 0.3, 1.0], estimates, intervals, verdicts, "error").axes[0]


def test_every_point_is_there_under_its_verdict():
    ax = drawn([1.0, 2.0, 3.0])
    marks = {c.get_label(): c.lines[0].get_xydata() for c in ax.containers}
    np.testing.assert_allclose(marks["holds"], [[0.1, 1.0], [1.0, 3.0]])
    np.testing.assert_allclose(marks["does not hold"], [[0.3, 2.0]])
    (bars,) = ax.containers[1].lines[2]
    np.testing.assert_allclose(bars.get_segments()[0], [[0.3, 1.0], [0.3, 4.0]])
    assert ax.get_xlabel() == "gamma" and ax.get_yscale() == "linear"


def test_estimates_far_apart_get_a_logarithmic_axis():
    assert drawn([1.0, 2.0, 300.0]).get_yscale() == "log"
    assert drawn([-1.0, 2.0, 300.0]).get_yscale() == "linear"
