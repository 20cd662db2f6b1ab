"""Moves: how pairs are drawn, how a place is chosen, and what a score of 0, 1 and 0.95 means."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from attention_in_motion.chapters import criteria as criteria_page
from attention_in_motion.chapters import solver as solver_page
from attention_in_motion.measures import criteria, interventions, probes
from attention_in_motion.measures.trajectories import for_every_seed
from attention_in_motion.models.activations import replaced
from attention_in_motion.models.linear import in_context_map
from attention_in_motion.training.oscillator import OscillatorRun


class Chain(nn.Module):
    """Ensemble of two: K of the window stands at `mid`, and the last state, unused, at `pre`."""

    def __init__(self):
        super().__init__()
        self.seeds = nn.Parameter(torch.zeros(2))
        self.resid_pre, self.resid_mid = nn.Identity(), nn.Identity()

    def forward(self, x, last=True):
        self.resid_pre(x[:, :, -1:])
        k = self.resid_mid(in_context_map(x).flatten(-2)[:, :, None])  # (seed, n, 1, 4)
        return (k.unflatten(-1, (2, 2)) * x[:, :, -1:, None, :]).sum(-1)  # (seed, n, 1, 2)


class First(nn.Module):
    """Ensemble of two: least squares on the states before the last, or on all; K̂ of the last."""

    def __init__(self, past_only):
        super().__init__()
        self.seeds, self.stop = nn.Parameter(torch.zeros(2)), -1 if past_only else None

    def forward(self, x, last=True):
        k = in_context_map(x[..., : self.stop, :])
        return (k * x[..., -1, None, :]).sum(-1)[:, :, None]


@pytest.fixture
def ends(make):
    """Windows moved from, moved to, and fitted on."""
    start, seen = make(200, dt=0.3, context=6), make(200, dt=0.3, context=6, seed=5)
    a, b, _ = interventions.distant_pairs(1.0, 4.0, 200, seed=3)
    last = start.windows[:, -1]
    return [interventions.ending_in(last, omega0, start) for omega0 in (a, b)], seen


@pytest.mark.parametrize(("low", "high"), [(1.0, 4.0), (8.0, 8.4)])
def test_pairs_fill_the_range_and_stay_a_quarter_of_it_apart(low, high):
    draws = interventions.distant_pairs(low, high, 4000, seed=7)
    assert draws.shape == (3, 4000) and draws.min() >= low and draws.max() <= high
    for one in draws:  # uniform: the quarters hold as much each
        counts = torch.histc(one, bins=4, min=low, max=high)
        assert (counts / 1000 - 1).abs().max() < 0.1
    a, b, c = (draws - low) / (high - low)
    assert (a - b).abs().min() >= 0.25 - 1e-9 and (a - c).abs().min() < 0.01
    assert torch.corrcoef(torch.stack([a, c]))[0, 1].abs() < 0.05


def test_a_place_is_chosen_on_the_even_pairs_and_scored_on_the_odd_ones():
    even = torch.arange(10) % 2 == 0
    lucky = torch.where(even, 0.0, 1.0).expand(2, 10)  # high where nothing is chosen
    steady = torch.where(even, 0.4, 0.3).expand(2, 10)
    scores = {"lucky": lucky, "steady": steady, "last": torch.ones(2, 10)}
    assert interventions.best_place(scores, ["lucky", "steady"]) == "steady"
    assert interventions.held_out(scores["steady"]).unique().tolist() == [pytest.approx(0.3)]
    assert interventions.held_out(lucky).shape == (2, 5)


def test_the_score_that_counts_is_the_one_in_the_rules():
    scores = torch.tensor([[0.94, 0.95, 0.96, -2.0], [1.0, 1.0, 1.0, 1.0]])
    assert interventions.share_following(scores).tolist() == [0.5, 1.0]
    for rule in (solver_page.RULES["P2.17"], criteria_page.RULES["P2.26"]):
        assert f"score at least {interventions.FOLLOWED:g}" in rule.text


def test_every_place_is_scored_as_it_would_be_alone(ends):
    (start, goal), seen = ends
    model, features = Chain(), criteria.exponential
    stream = probes.residual(model, seen)
    assert list(stream) == ["resid_pre", "resid_mid"]
    found = interventions.follow_everywhere(model, stream, [start, goal], seen, features)
    for place, h in stream.items():
        alone = interventions.follow_scores(model, place, start, goal, seen, h, features)
        assert torch.allclose(found[place], alone, rtol=1e-9)  # sums depend on alignment
    assert found["resid_mid"].min() > 0.99  # what is moved there reaches the answer
    assert found["resid_pre"].abs().max() < 1e-12  # and there nothing does
    assert interventions.best_place(found, list(found)) == "resid_mid"


def test_a_map_fitted_on_other_frequencies_moves_nothing_to_its_goal(ends):
    (start, goal), seen = ends
    stream = probes.residual(Chain(), seen)
    mixed = {
        place: probes.shuffled(h.transpose(0, 1)).transpose(0, 1) for place, h in stream.items()
    }
    options = Chain(), mixed, [start, goal], seen, criteria.exponential
    assert interventions.follow_everywhere(*options)["resid_mid"].median() < 0.5


@pytest.mark.parametrize("place", ["resid_pre", "blocks.0.resid_post", "blocks.1.resid_mid"])
def test_a_move_acts_on_all_positions_that_can_reach_the_answer(make, place):
    model = OscillatorRun(seeds=(0, 1), context=6, n_layers=2, d_model=4, d_mlp=8).model().double()
    test = make(150, context=6)  # more than one part
    move = torch.randn(2, 150, 6 * 4, generator=torch.Generator().manual_seed(2)).double()
    found = interventions.moved_answers(model, place, test, move)
    with replaced(model, place, lambda h: h + move.unflatten(2, (6, 4))):  # every position
        wanted = model(for_every_seed(model, test.windows))[:, :, -1]
    assert torch.allclose(found, wanted, atol=1e-12)
    assert (found - interventions.answers(model, test)).abs().min(dim=1).values.max() > 0


def test_a_model_that_finds_the_frequency_first_follows_the_past(make):
    """Planted: least squares on the states before the last, or on all of them."""
    own, past = make(200, dt=0.3, context=8), make(200, dt=0.3, context=8, seed=5)
    a, b, _ = interventions.distant_pairs(1.0, 4.0, 200, seed=3)
    ends = [
        interventions.ending_in(test.windows[:, -1], omega0, test)
        for test, omega0 in ((own, a), (past, b))
    ]

    follows = interventions.hybrid_scores(First(past_only=True), *ends)
    assert follows.shape == (2, 200) and follows.min() > 0.99
    both = interventions.share_following(interventions.hybrid_scores(First(False), *ends))
    assert both.max() < 0.2  # least squares over all states believes the false step, too
    same = interventions.hybrid(ends[0], ends[0].windows[:, -1])
    torch.testing.assert_close(same.states, ends[0].states)


def test_answers_are_told_apart_where_they_lie_that_far_from_each_other(make):
    past, other = make(60, dt=0.3), make(60, dt=0.3, seed=5)
    last = other.windows[:, -1]
    own = interventions.ending_in(last, past.omega0.flip(0), past)
    apart = interventions.told_apart(own, past, 0.05)
    assert apart.any() and not apart[29:31].any()  # in the middle the frequencies are the same
    mixed = interventions.hybrid(past, last)
    distance = (own.next - mixed.next).norm(dim=-1)
    size = mixed.windows.square().mean(dim=(1, 2)).sqrt()
    assert torch.equal(apart, distance >= 0.05 * size)
    damped = interventions.ending_in(last, past.omega0, replace(past, gamma=past.gamma + 0.2))
    assert interventions.told_apart(damped, past, 0.0).all()  # γ alone makes a difference, too
    assert not interventions.told_apart(damped, past, 0.5).all()


def test_a_model_that_finds_the_damping_first_follows_that_too(make):
    past, other = make(200, dt=0.3, context=8), make(200, dt=0.3, context=8, seed=5)
    damped = replace(past, gamma=past.gamma + 0.2)
    own = interventions.ending_in(other.windows[:, -1], past.omega0, damped)
    kept = interventions.told_apart(own, past, 0.05)
    pair = own.rows(kept), past.rows(kept)
    assert interventions.hybrid_scores(First(past_only=True), *pair).min() > 0.99
    both = interventions.hybrid_scores(First(past_only=False), *pair)
    assert interventions.share_following(both).max() < 0.2
