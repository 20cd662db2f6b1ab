"""Leaks of planted copiers, and the effects of a planted factorial."""

import torch

from attention_in_motion.measures import mask, trajectories
from attention_in_motion.training.oscillator import OscillatorRun

double = torch.float64


PLACES = [0, 2, 9]  # the last one of a window of ten


def test_a_masked_model_has_no_leak(make):
    test = make(context=10, steps=2, dtype=torch.float32)
    model = OscillatorRun(seeds=(0, 1), n_layers=2, d_model=4, d_head=4).model()
    intact = mask.mse_by_position(model, test, PLACES)
    assert intact.shape == (2, 3)
    for changed in mask.leak(model, test, PLACES).values():
        assert torch.allclose(intact, changed, rtol=1e-4)


class Copier(torch.nn.Linear):
    """Answers with the next state in the window."""

    def forward(self, x):
        return torch.cat([x[:, :, 1:], x[:, :, -1:]], dim=2)


class Learner(torch.nn.Linear):
    """Finds the map from the states after the answer, and applies it: needs no answer in view."""

    def forward(self, x):
        answers = torch.zeros_like(x)
        for t in range(x.shape[2] - 4):
            later = x[:, :, t + 2 :]
            step = torch.linalg.lstsq(later[:, :, :-1], later[:, :, 1:]).solution  # (…, 2, 2)
            answers[:, :, t] = (x[:, :, t : t + 1] @ step)[:, :, 0]
        return answers


def test_a_copier_needs_the_answer_and_a_learner_the_rest(make):
    test = make(context=10, steps=2)
    removed, exchanged, kept = "answer removed", "future exchanged", "exchanged, answer kept"
    for model, harmless in ((Copier(1, 1), kept), (Learner(1, 1), removed)):
        intact = mask.mse_by_position(model, test, PLACES)[:, :2]
        changed = mask.leak(model, test, PLACES)
        assert intact.max() < 1e-18 and changed[harmless][:, :2].max() < 1e-18
        for name in {removed, exchanged, kept} - {harmless}:
            assert changed[name][:, :2].min() > 1e-4
    copied = mask.mse_by_position(Copier(1, 1), test, PLACES)[:, 2]
    for changed in mask.leak(Copier(1, 1), test, PLACES).values():
        assert torch.allclose(changed[:, 2], copied)  # at the last position nothing stands after


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
