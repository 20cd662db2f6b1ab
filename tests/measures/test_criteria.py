"""The criteria find what was planted, where it was planted, and nothing else."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from attention_in_motion.measures import criteria, interventions, probes, trajectories
from attention_in_motion.models.linear import in_context_map
from attention_in_motion.physics import oscillator
from attention_in_motion.training.oscillator import OscillatorRun, log_uniform_steps

double = torch.float64


def make(n=200, *, dt=None, context=6, seed=0):
    omega0 = trajectories.evenly(1.0, 4.0, n)
    rng = torch.Generator().manual_seed(seed)
    dt = log_uniform_steps(omega0, 0.02, rng) if dt is None else dt
    options = {"gamma": (0.0, 0.0), "context": context, "dtype": double, "seed": seed}
    return trajectories.held_out(omega0, dt=dt, **options)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=double)


class Planted(nn.Module):
    """Ensemble of two whose stream is K̂ of the window, found in context, and nothing else."""

    def __init__(self):
        super().__init__()
        self.seeds, self.resid_mid = nn.Parameter(torch.zeros(2)), nn.Identity()

    def forward(self, x, last=True):
        k = self.resid_mid(in_context_map(x).flatten(-2)[:, :, None])  # (seed, n, 1, 4)
        return (k.unflatten(-1, (2, 2)) * x[:, :, -1:, None, :]).sum(-1)  # (seed, n, 1, 2)


def test_every_trajectory_has_its_own_step():
    test = make()
    k = oscillator.propagator(test.omega0, test.gamma, test.dt)
    predicted = (k[:, None] * test.states[:, :-1, None, :]).sum(-1)
    assert torch.allclose(predicted, test.states[:, 1:], atol=1e-10)


def test_windows_ending_in_a_state_pass_through_it():
    for dt in (0.1, None):
        test = make(dt=dt)
        other = interventions.ending_in(test.windows[:, -1], test.omega0.flip(0), test)
        assert torch.allclose(other.windows[:, -1], test.windows[:, -1], atol=1e-12)
        k = criteria.exponential(other).unflatten(1, (2, 2))
        assert torch.allclose((k * other.windows[:, -1, None]).sum(-1), other.next, atol=1e-10)


def test_intermediates_leave_out_what_never_varies():
    test = make()
    widths = {name: features(test).shape[1] for name, features in criteria.METHODS.items()}
    # AΔt has a zero diagonal without damping, and so every power has two zeros
    assert widths == {"matrix exponential": 20, "Taylor": 10, "linear multistep": 2}


def test_taylor_gives_the_exponential_away_for_short_steps_alone():
    left = [
        criteria.beyond(criteria.exponential(test), criteria.taylor_powers(test)).std()
        for test in (make(dt=0.1), make())
    ]
    assert left[0] < 1e-5 and left[1] > 1e-2


def test_a_probe_finds_the_place_and_position_where_a_number_stands():
    target, stream = noise(300, 1, seed=1), noise(2, 300, 3, 5)
    stream[1, :, 2] += 3 * target  # second seed, third position
    found = probes.encoding(stream, target, probes.every_other(300))[..., 0]
    assert found[1, 2] > 0.9
    found[1, 2] = 0
    assert found.max() < 0.15


def test_splits_by_trajectory_and_by_range():
    omega0 = trajectories.evenly(1.0, 4.0, 8)
    assert probes.every_other(4).tolist() == [True, False, True, False]
    assert probes.inner_half(omega0).tolist() == [False] * 2 + [True] * 4 + [False] * 2


def test_harmonics_span_every_power_of_an_undamped_flow():
    """K^j is cos(jωΔt) and sin(jωΔt) with factors ω and 1/ω: its diagonal lies in their span."""
    test = make(dt=0.3)
    numbers, flow = criteria.harmonics(test), criteria.exponential(test)
    assert numbers.shape == (200, 10)
    angle = test.omega0 * 0.3
    for j in range(1, 6):
        assert torch.allclose(numbers[:, j - 1], (j * angle).cos())
        assert torch.allclose(numbers[:, 4 + j], (j * angle).sin())
    assert torch.allclose(flow[:, 0], numbers[:, 0])


def test_explained_is_one_for_a_linear_map_and_nothing_for_noise():
    features, half = noise(400, 3), probes.every_other(400)
    mixed = torch.stack([features @ noise(3, 8, seed=2), noise(400, 8, seed=3)])
    shares = criteria.explained(mixed.unflatten(2, (2, 4)), features, half)
    assert shares[0] > 1 - 1e-6 and shares[1].abs() < 0.05


def test_moving_the_planted_variable_moves_the_answer_and_a_shuffled_map_does_not():
    start, seen = make(dt=0.3), make(dt=0.3, seed=5)
    ends = [
        interventions.ending_in(start.windows[:, -1], omega0, start)
        for omega0 in (start.omega0, start.omega0.flip(0))
    ]
    stream = probes.streams(Planted(), seen)["resid_mid"]
    options = "resid_mid", *ends, seen, stream, criteria.exponential
    scores = interventions.follow_scores(Planted(), *options)
    shuffled = replace(seen, omega0=seen.omega0[probes.shuffled(torch.arange(200))])
    options = "resid_mid", *ends, shuffled, stream, criteria.exponential
    strays = interventions.follow_scores(Planted(), *options)
    far = (start.omega0 - start.omega0.flip(0)).abs() > 0.5
    assert scores.shape == (2, 200) and scores[:, far].min() > 0.999
    assert strays[:, far].median() < 0.3
    assert interventions.ceiling(Planted(), *ends)[:, far].min() > 0.999


@pytest.mark.parametrize("context", [4, 9])
def test_streams_have_one_row_per_position_and_heads_side_by_side(context):
    shape = {"n_layers": 2, "d_model": 4, "d_head": 2, "n_heads": 3}
    model = OscillatorRun(seeds=(0, 1), context=context, **shape).model().double()
    found = probes.streams(model, make(n=10, context=context))
    assert {tuple(h.shape[:3]) for h in found.values()} == {(2, 10, context)}
    assert found["blocks.1.attention.heads"].shape[3] == 6
    assert found["resid_pre"].shape[3] == found["blocks.0.resid_post"].shape[3] == 4


@pytest.mark.parametrize("dt", [0.1, 0.003, 1e-5])
def test_no_power_is_lost_because_the_step_is_short(dt):
    # (AΔt)^j has two entries that vary, and AΔt itself one: its other entry is Δt
    assert criteria.taylor_powers(make(dt=dt)).shape[1] == 9
    assert criteria.multistep(make(dt=dt)).shape[1] == 1


def test_every_target_has_the_score_of_a_probe_of_its_own():
    test, half = make(300), probes.every_other(300)
    stream = torch.stack([criteria.cubic(test), criteria.cubic(test) ** 2])[:, :, None]
    found = criteria.target_scores(stream, test, half)
    for name, target in criteria.targets(test).items():
        alone = probes.encoding(stream, target, half).mean(-1)
        assert torch.allclose(found[name], alone, atol=1e-8) and found[name].shape == (2, 1)
    # ω0² and AΔt = (Δt, −ω0² Δt) are among the monomials of the first seed
    assert found["ω0²"][0] > 0.999 and found["AΔt, multistep"][0] > 0.999
    assert found["exp(AΔt)"][0] < 0.99


def test_the_cubic_holds_every_monomial_once():
    test = make(10)
    omega0, dt = test.omega0, test.dt
    first = [omega0, omega0**2, omega0**3, omega0 * dt, omega0**2 * dt, omega0 * dt**2]
    wanted = torch.stack([dt, dt**2, dt**3, *first], dim=1)
    order = [columns.argsort() for columns in (criteria.cubic(test)[0], wanted[0])]
    assert torch.allclose(criteria.cubic(test)[:, order[0]], wanted[:, order[1]])


def test_prefixes_are_probes_on_the_first_states_up_to_the_whole_window():
    test, half = make(400, dt=0.3, context=9), probes.every_other(400)
    found, k = criteria.prefix_scores(test, half), criteria.exponential(test)
    assert found.shape == (1, 8)
    shortest = probes.held_out_r2(test.states[:, :2].flatten(1), k, half).mean()
    whole = probes.of_windows(test, k, half).mean()
    assert torch.allclose(found[0, [0, -1]], torch.stack([shortest, whole]))
    assert shortest + 0.01 < whole


def test_ranks_agree_where_the_better_encoded_position_errs_less():
    error = torch.tensor([[1e-1, 1e-3, 1e-2, 1e-6], [1e-6, 1e-2, 1e-3, 1e-1]], dtype=double)
    r2s = torch.tensor([[-5.0, 0.8, 0.7, 0.9]], dtype=double)
    assert criteria.rank_correlations(r2s, error) == pytest.approx([1.0, -1.0])
    assert criteria.rank_correlations(r2s.expand(2, 4), error) == pytest.approx([1.0, -1.0])


def test_probes_without_a_network_see_the_features_alone():
    test, half = make(200), probes.every_other(200)
    numbers = criteria.cubic(test)
    stream = criteria.without_network(numbers)
    assert stream.shape == (1, 200, 1, 9)
    square = test.omega0[:, None] ** 2
    alone = probes.held_out_r2(numbers, square, half)
    assert torch.allclose(probes.encoding(stream, square, half)[0, 0], alone)


def test_the_residual_stream_is_the_streams_without_the_heads():
    model = OscillatorRun(seeds=(0, 1), context=6, n_layers=2, d_model=4).model().double()
    test = make(n=10)
    whole, kept = probes.streams(model, test), probes.residual(model, test)
    assert set(whole) - set(kept) == {f"blocks.{i}.attention.heads" for i in range(2)}
    order = list(kept)
    assert (order[0], order[-1]) == ("resid_pre", "blocks.1.resid_post")
    # the last place is what the answer is read from
    windows = test.windows.expand(2, -1, -1, -1)
    assert torch.allclose(model.W_U(kept["blocks.1.resid_post"]), model(windows))


def test_shuffled_labels_are_the_same_labels_of_other_rows():
    labels = noise(200, 2)
    mixed = probes.shuffled(labels)
    assert torch.equal(mixed.sort(0).values, labels.sort(0).values)
    assert (mixed == labels).all(1).sum() < 10
    assert torch.equal(mixed, probes.shuffled(labels))
