"""Rollouts against matrix powers, and the sliding window."""

import torch

from attention_in_motion.measures.trajectories import last_position, rollout
from attention_in_motion.models.transformer import NLA
from attention_in_motion.physics import oscillator
from attention_in_motion.training.descent import initialisers

double = torch.float64


def test_an_exact_map_rolls_out_the_exact_trajectory():
    flow = oscillator.propagator(torch.tensor(2.0, dtype=double), 0.1, 0.1)
    start = torch.tensor([[0.3, 0.8]], dtype=double)
    rolled = rollout(lambda window: window[..., -1, :] @ flow.mT, start, 500)
    times = oscillator.uniform_times(501, 0.1, double)[1:]
    exact = oscillator.trajectory(start[0], 2.0, 0.1, times)
    torch.testing.assert_close(rolled, exact, rtol=1e-10, atol=1e-12)


def test_the_window_slides_and_keeps_its_length():
    lengths = []

    def sums(window):
        lengths.append(window.shape[-2])
        return window.sum(-2)

    rolled = rollout(sums, torch.tensor([[1.0, 0], [2, 0], [3, 0]]), 3)
    assert rolled[:, 0].tolist() == [6, 11, 20] and lengths == [3, 3, 3]


def test_one_step_of_a_rollout_is_the_models_last_output():
    model = NLA(initialisers([0, 1]), n_layers=2, d_model=4, d_head=2)
    window = torch.randn(2, 3, 5, 2, generator=torch.Generator().manual_seed(0))
    rolled = rollout(last_position(model), window, 1)
    torch.testing.assert_close(rolled[:, :, 0], model(window)[:, :, -1])
