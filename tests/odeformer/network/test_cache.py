"""The cache changes no logit, whatever its rows do."""

from __future__ import annotations

import pytest
import torch

from attention_in_motion.odeformer.network.cache import Cache


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_cached_logits_equal_the_forward_pass(random_model, trajectories, dtype, tolerance):
    model, (points, n_points) = random_model().to(dtype), trajectories()
    rng, n_words = torch.Generator().manual_seed(0), len(model.config.vocabulary.words)
    tokens = torch.randint(n_words, (4, 40), generator=rng)  # more than the first capacity
    tokens[:, 0] = model.config.vocabulary.eos
    expected = model(points, n_points, tokens, torch.full((4,), 40))
    cache = Cache(model, points, n_points)
    cached = torch.stack([cache.step(column) for column in tokens.T], dim=1)
    assert expected.std() > 0.5
    assert (cached - expected).abs().max() < tolerance


def test_rows_may_branch_swap_and_leave(random_model, trajectories):
    model, (points, n_points) = random_model(), trajectories(3)
    cache, eos = Cache(model, points, n_points), model.config.vocabulary.eos
    texts = {0: [], 1: [], 2: []}  # row → tokens, of the input with that number
    owners = [0, 1, 2]
    plan = [[0, 0, 0, 1, 2], [0, 2, 3, 3, 4, 4, 4], [1, 0, 4, 6], [2, 3, 3], [1, 2]]
    last = torch.full((3,), eos)
    for step, parents in enumerate(plan):
        logits = cache.step(last)
        for row, tokens in texts.items():
            owner = owners[row]
            ids = torch.tensor([[eos, *tokens]])
            whole = model(points[[owner]], n_points[[owner]], ids, torch.tensor([ids.shape[1]]))
            expected = whole[0, -1]
            assert (logits[row] - expected).abs().max() < 1e-12
        last = torch.tensor([20 + 10 * step + i for i in range(len(parents))])
        texts = {i: [*texts[p], int(last[i])] for i, p in enumerate(parents)}
        owners = [owners[p] for p in parents]
        cache.keep(torch.tensor(parents))
    assert owners == [2, 2] and len(cache.mask) == 1


def test_a_row_that_leaves_moves_at_most_the_last_one(random_model, trajectories):
    model, (points, n_points) = random_model(), trajectories(1)
    cache = Cache(model, points, n_points)
    cache.step(torch.tensor([model.config.vocabulary.eos]))
    cache.keep(torch.tensor([0, 0, 0, 0]))
    cache.step(torch.tensor([20, 30, 40, 50]))
    before = cache.written.clone()
    cache.keep(torch.tensor([0, 2, 3]))  # the second row leaves
    assert cache.slot.tolist() == [0, 2, 1]
    expected = before.clone()
    expected[:, :, 1, :, :2] = before[:, :, 3, :, :2]
    assert torch.equal(cache.written[..., :2, :], expected[..., :2, :])


@torch.no_grad()
def test_interventions_count_at_every_step(random_model, trajectories):
    model, (points, n_points) = random_model(), trajectories(2)
    tokens = torch.randint(20, 60, (2, 6), generator=torch.Generator().manual_seed(2))
    for module in (model.decoder.attentions[1].heads, model.decoder.layer_norm15[0].after):
        handle = module.register_forward_hook(lambda module, inputs, output: output * 0.5)
        changed = model(points, n_points, tokens, torch.full((2,), 6))
        cache = Cache(model, points, n_points)
        cached = torch.stack([cache.step(column) for column in tokens.T], dim=1)
        handle.remove()
        assert (model(points, n_points, tokens, torch.full((2,), 6)) - changed).abs().max() > 0.01
        assert (cached - changed).abs().max() < 1e-12
