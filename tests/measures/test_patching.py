"""Patching nothing changes nothing, patching everything returns the mean."""

import pytest
import torch
from torch import nn

from attention_in_motion.measures import patching


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Halves(nn.Module):
    """x (batch, n, 6) → two heads of 3, recorded, side by side again, recorded."""

    def __init__(self):
        super().__init__()
        self.heads, self.out = nn.Identity(), nn.Identity()

    def forward(self, x):
        split = x.unflatten(-1, (2, 3)).transpose(1, 2)  # (batch, head, n, 3)
        return self.out(self.heads(split).transpose(1, 2).flatten(2))


X = noise(4, 5, 6)
HEADS = X.unflatten(-1, (2, 3)).transpose(1, 2)
MODEL = Halves()


def run(changes):
    with patching.patched(MODEL, changes):
        return MODEL(X)


def test_patching_nothing_changes_nothing():
    mean = patching.mean_of(HEADS)
    assert torch.equal(run({}), X)
    assert torch.equal(run({"heads": patching.heads_at_mean([], mean)}), X)
    none = patching.directions_at_mean(torch.empty(0, 6).double(), X.mean((0, 1)))
    assert torch.equal(run({"out": none}), X)


def test_patching_everything_returns_the_mean():
    mean, flat = patching.mean_of(HEADS), patching.mean_of(X)
    everywhere = X.mean((0, 1)).expand_as(X)
    assert torch.allclose(run({"heads": patching.heads_at_mean([0, 1], mean)}), everywhere)
    assert torch.allclose(run({"out": patching.all_at_mean(flat)}), everywhere)
    whole = patching.directions_at_mean(noise(6, 6, seed=1), flat)
    assert torch.allclose(run({"out": whole}), everywhere)


def test_one_head_and_one_direction_lose_their_part_alone():
    found = run({"heads": patching.heads_at_mean([1], patching.mean_of(HEADS))})
    assert torch.equal(found[..., :3], X[..., :3])
    assert torch.allclose(found[..., 3:], X[..., 3:].mean((0, 1)).expand(4, 5, 3))
    u = noise(1, 6, seed=1)
    found = run({"out": patching.directions_at_mean(u, patching.mean_of(X))})
    along = (found @ u[0]).flatten()
    assert torch.allclose(along, along[:1].expand_as(along))
    across = torch.linalg.svd(u)[2][1:]  # (5, 6) orthogonal to u
    assert torch.allclose(found @ across.T, X @ across.T)


def test_taking_from_itself_changes_nothing_and_from_another_its_part_alone():
    other = noise(4, 5, 6, seed=3)
    assert torch.equal(run({"out": patching.taken_from(X, slice(None), 1)}), X)
    found = run({"out": patching.taken_from(other, slice(None), 1)})
    assert torch.equal(found[:, 1], other[:, 1]) and torch.equal(found[:, 2:], X[:, 2:])


def test_the_model_is_as_before_afterwards():
    run({"out": patching.all_at_mean(torch.zeros(6).double())})
    assert torch.equal(MODEL(X), X)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: run({"nowhere": lambda h: h}), "place = 'nowhere': is no recorded activation"),
        (
            lambda: patching.heads_at_mean([2], torch.zeros(2, 3)),
            r"head = 2: must lie in 0 \.\.\. 1",
        ),
        (
            lambda: patching.directions_at_mean(torch.ones(1, 5), torch.zeros(6)),
            r"directions \(1, 5\): must be \(k, 6\)",
        ),
        (
            lambda: patching.directions_at_mean(torch.ones(2, 6), torch.zeros(6)),
            "directions: must be independent, 2 have rank 1",
        ),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(make, line):
    with pytest.raises(ValueError, match=line):
        make()
