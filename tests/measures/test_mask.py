"""Leaks of planted copiers, and the effects of a planted factorial."""

import torch

from attention_in_motion.measures import mask, trajectories
from attention_in_motion.training.oscillator import OscillatorRun

double = torch.float64


def test_the_leak_of_a_copier_is_seen_and_a_masked_model_has_none(make):
    test = make(context=6, dtype=torch.float32)
    run = OscillatorRun(seeds=(0, 1), n_layers=2, d_model=4, d_head=4)
    kept, exchanged = mask.leak(run.model(), test, [0, 3, 5])
    assert torch.allclose(kept, exchanged, rtol=1e-4)

    class Copier(torch.nn.Linear):
        def forward(self, x):
            return torch.cat([x[:, :, 1:], x[:, :, -1:]], dim=2)

    kept, exchanged = mask.leak(Copier(1, 1), test, [0, 3, 5])
    assert (kept[:, :2] == 0).all() and (exchanged[:, :2] > 0.01).all()
    assert torch.allclose(kept[:, 2], exchanged[:, 2])


def test_without_mask_and_positions_the_earlier_states_are_a_set(make):
    test = make(context=9)
    windows = torch.cat([test.windows[:, [3, 0, 7, 5, 1, 6, 2, 4]], test.windows[:, 8:]], dim=1)
    options = {"seeds": (0, 1), "n_layers": 3, "d_model": 8, "d_head": 4, "causal": False}
    for positions, same in ((False, True), (True, False)):
        model = OscillatorRun(context=9, positions=positions, **options).model().double()
        predict = trajectories.predictor(model)
        change = (predict(windows[None]) - predict(test.windows[None])).abs().max()
        assert (change < 1e-12) == same


def test_effects_of_a_factorial_are_what_was_planted():
    a, b, _ = torch.meshgrid(*3 * [torch.tensor([0.0, 1.0])], indexing="ij")
    seeds = torch.tensor([0.0, 10.0])
    outcome = (2 * a - 3 * b + 4 * a * b)[..., None] + seeds  # (2, 2, 2, seed)
    # an interaction of 4 counts half in either main effect, and half of it is the interaction
    planted = {(0,): 4.0, (1,): -1.0, (2,): 0.0, (0, 1): 2.0, (0, 2): 0.0, (0, 1, 2): 0.0}
    for factors, value in planted.items():
        assert torch.allclose(mask.effect(outcome, factors), torch.tensor(value))
