"""Distributed alignment search on planted networks: what is there is found, what is not is not."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from attention_in_motion.measures import interventions, subspaces
from attention_in_motion.measures.subspaces import Pairs, Search
from attention_in_motion.physics.oscillator import propagator

DT = 0.3


def stepped(angle, state):
    """K X for an angle ωΔt: (seed, n) and (seed, n, 2)."""
    return (propagator(angle / DT, 0.0, DT) * state[..., None, :]).sum(-1)


class Planted(nn.Module):
    """Ensemble of two that steps by a code of ω0 of `k` numbers, among others, turned at random.

    The code is the angle ωΔt (k = 1) or a vector of that length (k = 2); beside it stand the last
    state and nothing of use. With k = 0 the product K X_T stands there instead of a code.
    """

    def __init__(self, k):
        super().__init__()
        rng = torch.Generator().manual_seed(4)
        turn = torch.linalg.qr(torch.randn(2, 6, 6, generator=rng).double()).Q
        self.k, self.turn = k, nn.Parameter(turn, requires_grad=False)  # (seed, 6, 6)
        self.mid = nn.Identity()

    def code(self, x):
        before, now, after = x[:, :, :3].unbind(2)  # X₃ + X₁ = 2 cos ωΔt X₂ without damping
        cosine = ((before + after) * now).sum(-1) / now.square().sum(-1) / 2
        angle = cosine.clamp(-1, 1).acos()[..., None]  # (seed, n, 1)
        if self.k == 0:
            return stepped(angle[..., 0], x[:, :, -1])
        along = x[:, :, 0] / x[:, :, 0].norm(dim=-1, keepdim=True)  # no part of the frequency
        return angle if self.k == 1 else angle * along

    def forward(self, x, last=True):
        numbers = torch.cat([self.code(x), x[:, :, -1], x[:, :, 0]], dim=-1)
        numbers = nn.functional.pad(numbers, (0, 6 - numbers.shape[-1]))
        h = self.mid((numbers @ self.turn)[:, :, None])[:, :, 0] @ self.turn.mT  # (seed, n, 6)
        if self.k == 0:
            return h[:, :, None, :2]
        angle = h[..., 0] if self.k == 1 else h[..., :2].norm(dim=-1)
        return stepped(angle, h[..., self.k : self.k + 2])[:, :, None]

    def planted(self):
        """The directions in which the code stands: (seed, 6, k)."""
        return self.turn[:, : self.k].mT


@pytest.fixture
def pairs(make):
    """Pairs of windows, of frequencies a quarter of the range apart."""
    a, b, _ = interventions.distant_pairs(1.0, 4.0, 250, seed=3)
    options = {"dt": DT, "context": 6, "gamma": (0.0, 0.0)}
    tests = make(250, **options), make(250, **options, seed=5)
    ends = [
        interventions.ending_in(test.windows[:, -1], omega0, test)
        for test, omega0 in zip(tests, (a, b), strict=True)
    ]
    return Pairs(*ends)


def learnt_and_scored(model, pairs, k):
    whole = subspaces.exchange_at(model, "mid", pairs)
    fitted, unseen = whole.rows(torch.arange(150)), whole.rows(torch.arange(150, 250))
    bases = subspaces.search(model, "mid", fitted, Search(most=k, restarts=8))
    return bases, [subspaces.exchange_scores(model, "mid", unseen, basis) for basis in bases]


@pytest.mark.parametrize("k", [1, 2])
def test_a_planted_subspace_is_found_and_exactly_that(pairs, k):
    model = Planted(k)
    bases, scores = learnt_and_scored(model, pairs, k)
    assert [basis.shape for basis in bases] == [(2, 6, size) for size in range(1, k + 1)]
    assert scores[-1].shape == (2, 100) and scores[-1].min() > 0.99
    overlap = torch.linalg.svdvals(bases[-1].mT @ model.planted())  # cosines of angles between
    assert overlap.min() > 0.999
    if k == 2:  # one direction does not carry a code of two
        assert interventions.share_following(scores[0]).max() < 0.5


def test_a_network_that_holds_only_its_answer_has_no_such_subspace(pairs):
    _, scores = learnt_and_scored(Planted(0), pairs, 4)
    assert max(interventions.share_following(one).max() for one in scores) < 0.2


def test_the_planted_subspace_itself_scores_one_and_none_of_it_zero(pairs):
    model = Planted(1)
    exchange = subspaces.exchange_at(model, "mid", pairs)
    exact = subspaces.exchange_scores(model, "mid", exchange, model.planted())
    torch.testing.assert_close(exact, torch.ones_like(exact))
    idle = model.turn[:, -1:].mT  # nothing stands there
    nothing = subspaces.exchange_scores(model, "mid", exchange, idle)
    torch.testing.assert_close(nothing, torch.zeros_like(nothing))
    whole = torch.eye(6).double().expand(2, 6, 6)  # everything: the answer to the source
    answer = subspaces.exchanged_answers(model, "mid", exchange, whole)
    torch.testing.assert_close(answer, interventions.answers(model, pairs.source))


def test_what_is_wanted_is_the_frequency_of_the_source_on_the_state_of_the_base(pairs):
    flow = propagator(pairs.source.omega0, 0.0, DT)
    last = pairs.base.windows[:, -1]
    torch.testing.assert_close(pairs.wanted, (flow @ last[..., None])[..., 0])
    same = Pairs(pairs.base, replace(pairs.base))
    torch.testing.assert_close(same.wanted, pairs.base.next)


def test_the_search_repeats_itself_and_draws_nothing_from_elsewhere(pairs):
    model, brief = Planted(1), Search(most=2, restarts=1, iterations=2)
    exchange = subspaces.exchange_at(model, "mid", pairs)
    state = torch.get_rng_state()
    one, two = (subspaces.search(model, "mid", exchange, brief)[-1] for _ in range(2))
    assert torch.equal(one, two) and torch.equal(state, torch.get_rng_state())
    torch.testing.assert_close(one.mT @ one, torch.eye(2).double().expand(2, 2, 2))


@pytest.mark.parametrize("most", [0, 7])
def test_a_number_of_directions_that_is_not_there_is_refused(pairs, most):
    model = Planted(1)
    exchange = subspaces.exchange_at(model, "mid", pairs)
    with pytest.raises(ValueError, match=f"most = {most}: must be in 1 ... 6, the width of mid"):
        subspaces.search(model, "mid", exchange, Search(most=most))


def test_every_seed_takes_the_case_that_is_its_best_elsewhere():
    chosen_on = torch.tensor([[0.1, 0.9], [0.2, 0.3], [0.2, 0.1]])
    scored = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert subspaces.best_of(chosen_on, scored).tolist() == [3.0, 2.0]
