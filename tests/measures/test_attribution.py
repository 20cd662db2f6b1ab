"""Attributions: exact for functions that have a formula, complete for all, and seeded."""

import pytest
import torch

from attention_in_motion.measures import attribution

N, D = 6, 3


@pytest.fixture
def drawn():
    """Inputs (4, N, D), a baseline and weights."""
    rng = torch.Generator().manual_seed(0)
    x, w = (torch.randn(s, generator=rng, dtype=torch.float64) for s in ((4, N, D), (N, D)))
    return x, torch.full((D,), 0.5, dtype=torch.float64), w


def test_of_a_linear_answer_every_part_has_its_own_term(drawn):
    x, baseline, w = drawn

    def answer(x):
        return (x * w).sum((1, 2))

    found, missed = attribution.integrated_gradients(answer, x, baseline, n_steps=2)
    assert torch.allclose(found, w * (x - baseline)) and missed.abs().max() < 1e-12
    groups = torch.arange(N) // 2
    values = attribution.shapley_values(answer, x, baseline, groups, n_samples=2)
    expected = found.sum(2).unflatten(1, (-1, 2)).sum(2)
    assert torch.allclose(values.double(), expected, atol=1e-5)


def test_two_that_act_together_share_what_they_gain():
    def answer(x):
        return x[:, 0, 0] * x[:, 1, 0] + x[:, 2, 0]

    x = torch.tensor([[[2.0], [3.0], [5.0]]])
    found, _ = attribution.integrated_gradients(answer, x, torch.zeros(1))
    values = attribution.shapley_values(answer, x, torch.zeros(1), torch.arange(3), n_samples=400)
    assert found[0, :, 0].tolist() == pytest.approx([3, 3, 5], abs=1e-4)
    assert values[0].tolist() == pytest.approx([3, 3, 5], abs=0.6)


def test_any_answer_is_accounted_for_completely(drawn):
    x, baseline, w = drawn

    def answer(x, shift):
        return torch.tanh((x * w).sum((1, 2)) + shift)

    given = (torch.arange(4.0, dtype=torch.float64),)
    gained = answer(x, *given) - answer(baseline.expand_as(x), *given)
    found, missed = attribution.integrated_gradients(answer, x, baseline, given)
    assert attribution.missed(found, gained).max() < 1e-3
    assert torch.allclose(missed, found.sum((1, 2)) - gained)
    values = attribution.shapley_values(answer, x, baseline, torch.arange(N), given, n_samples=3)
    assert attribution.missed(values, gained).max() < 1e-6  # captum adds in single precision


def test_the_same_seed_gives_the_same_values_and_leaves_the_global_one_alone(drawn):
    x, baseline, w = drawn

    def answer(x):
        return torch.tanh((x * w).sum((1, 2)))

    before = torch.get_rng_state()
    one, two, other = (
        attribution.shapley_values(answer, x, baseline, torch.arange(N), n_samples=2, seed=seed)
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"x \(2, 3\), baseline \(3,\): must agree in d"):
        attribution.integrated_gradients(torch.sum, torch.ones(2, 3), torch.ones(3))
    with pytest.raises(ValueError, match="must be finite, one value is not"):
        broken = torch.full((1, 2, 3), torch.nan)
        attribution.shapley_values(torch.sum, broken, torch.ones(3), torch.zeros(2))
