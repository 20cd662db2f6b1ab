"""Functions by kind: their slopes are exact, and each is what its name says."""

import pytest
import torch

from attention_in_motion.physics import functions


def drawn(kind, n=64, n_points=400):
    return functions.draw(torch.Generator().manual_seed(0), n, n_points, (kind,))


@pytest.mark.parametrize("kind", [*functions.KINDS, *functions.OTHERS])
def test_slopes_are_those_of_the_values(kind):
    series = drawn(kind, n_points=4001)
    step = 1 / 4000
    divided = (series.x[:, 2:] - series.x[:, :-2]) / (2 * step)
    size = series.slope.abs().amax(1, keepdim=True)
    assert ((series.slope[:, 1:-1] - divided).abs() / size).max() < 5e-3


@pytest.mark.parametrize("kind", functions.KINDS)
def test_functions_are_standardised_and_differ(kind):
    x = drawn(kind).x
    assert x.mean(1).abs().max() < 1e-5 and (x.std(1) - 1).abs().max() < 1e-4
    assert (x[0] - x[1]).abs().max() > 0.01


def recurrence_error(x, order):
    """How badly x_t is a sum of its `order` predecessors and a constant, each row its own."""
    x = x.double()[:, ::20]  # few points, so that neighbours differ
    columns = [x[:, k : k + x.shape[1] - order] for k in range(order)]
    a = torch.stack([*columns, torch.ones_like(columns[0])], dim=2)
    y = x[:, order:, None]
    return float((a @ torch.linalg.lstsq(a, y).solution - y).abs().max())


def test_each_kind_solves_the_recurrence_of_its_own_kind():
    assert recurrence_error(drawn("exponentials").x, 1) < 1e-4
    assert recurrence_error(drawn("sines").x, 4) < 1e-3
    assert recurrence_error(drawn("sines").x, 1) > 0.1
    third = torch.diff(drawn("polynomials").x.double(), n=3, dim=1)
    assert (third - third.mean(1, keepdim=True)).abs().max() < 1e-5


def test_a_combination_is_made_of_two_pure_kinds():
    assert recurrence_error(drawn("combinations").x, 1) > 0.01
    mixed = functions.draw(torch.Generator().manual_seed(1), 2000, 5)
    assert torch.bincount(mixed.kind).float().div(2000).sub(0.2).abs().max() < 0.04


def test_the_posts_run_has_one_function():
    x = functions.draw(torch.Generator().manual_seed(0), 5, 30, ("decay",), flip=False).x
    assert torch.equal(x, x[:1].expand(5, -1)) and (x.diff(dim=1) < 0).all()


def test_unknown_kinds_and_too_few_points_are_refused():
    rng = torch.Generator()
    with pytest.raises(ValueError, match="kind = 'lines': must be one of sines, polynomials"):
        functions.draw(rng, 2, 10, ("lines",))
    with pytest.raises(ValueError, match="n_points = 1: must be at least 2"):
        functions.draw(rng, 2, 1)
