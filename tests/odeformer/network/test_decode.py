"""Decoding: samples follow the model, beam search is exhaustive."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from attention_in_motion.odeformer.network.decode import beam, greedy, sample
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.weights import load, save


def whole_logits(model: ODEFormer, points: Tensor, n_points: Tensor, tokens: list[int]) -> Tensor:
    """Logits (length, n_words) by the model's forward pass over one input and its tokens."""
    ids = torch.tensor([[model.config.vocabulary.eos, *tokens]])
    length = torch.tensor([ids.shape[1]])
    return model(points[None], n_points[None], ids, length)[0].detach()


def log_probability(model: ODEFormer, points: Tensor, n_points: Tensor, tokens: list[int]) -> float:
    """Σ log p of tokens and the final <EOS>, by the forward pass."""
    scores = whole_logits(model, points, n_points, tokens).log_softmax(-1)
    targets = torch.tensor([*tokens, model.config.vocabulary.eos])
    return float(scores.gather(1, targets[:, None]).sum())


def test_decoding_changes_no_weight_and_the_model_can_be_saved_after_it(
    random_model, trajectories, tmp_path
):
    model, data = random_model().float(), trajectories(2)
    model.decoder.proj.weight = model.decoder.embeddings.weight  # tied, as in every saved model
    before = {name: t.clone() for name, t in model.state_dict().items()}
    greedy(model, *data, 5)
    assert not model.decoder.ffns[0].lin1.weight.is_contiguous()
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    save(model, {"config": {"model": asdict(model.config)}}, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").state_dict()
    assert all(torch.equal(t, again[name]) for name, t in before.items())


def by_forward_pass(model, points, n_points, choose, max_tokens) -> list[int]:
    """One sequence, the whole forward pass for every token: choose(logits, step) → token."""
    tokens: list[int] = []
    for step in range(max_tokens):
        token = int(choose(whole_logits(model, points, n_points, tokens)[-1], step))
        if token == model.config.vocabulary.eos:
            break
        tokens.append(token)
    return tokens


def test_greedy_equals_the_forward_pass(random_model, trajectories):
    model, (points, n_points) = random_model(end_bias=3.0), trajectories(6)
    expected = [
        by_forward_pass(model, *one, lambda logits, step: logits.argmax(), 20)
        for one in zip(points, n_points, strict=True)
    ]
    assert greedy(model, points, n_points, max_tokens=20) == expected
    assert len({len(tokens) for tokens in expected}) > 2


def test_samples_equal_the_forward_pass_whoever_shares_a_row_or_ends_first(
    random_model, trajectories
):
    model, (points, n_points) = random_model(end_bias=3.5), trajectories(3)
    decoded = sample(model, points, n_points, 4, 0.5, torch.Generator().manual_seed(3), 15)
    draws = torch.rand(15, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def drawn(logits: Tensor, step: int, i: int) -> int:
        return int(((logits / 0.5).softmax(-1).cumsum(-1) <= draws[step, i]).sum())

    for i, one in enumerate(itertools.chain(*decoded)):
        owner = points[i // 4], n_points[i // 4]
        expected = by_forward_pass(model, *owner, lambda *at, i=i: drawn(*at, i), 15)
        assert one.tokens == expected
        if len(expected) < 15:
            assert math.isclose(one.log_probability, log_probability(model, *owner, expected))
    assert len({len(one.tokens) for one in itertools.chain(*decoded)}) > 4


def test_seeds(random_model, trajectories):
    model, data = random_model(end_bias=2.0), trajectories(2)
    first, again, other = (
        sample(model, *data, 5, 1.0, torch.Generator().manual_seed(seed), 12) for seed in (4, 4, 5)
    )
    assert first == again != other


def test_encoder_runs_once_and_equal_beginnings_share_a_row(random_model, trajectories):
    model, data, calls, rows = random_model(end_bias=-100), trajectories(2), [], []
    model.encoder.register_forward_hook(lambda *_: calls.append(1))
    model.decoder.logits.register_forward_hook(lambda *seen: rows.append(len(seen[2])))
    cold = sample(model, *data, 5, 1e-9, torch.Generator().manual_seed(6), 10)
    assert (len(calls), rows) == (1, [2] * 10)
    assert [one.tokens for one in cold[1]] == 5 * [greedy(model, *data, 10)[1]]
    rows.clear()
    sample(model, *data, 5, 5.0, torch.Generator().manual_seed(6), 10)
    assert rows[0] == 2 and rows[-1] == 10


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_first_tokens_follow_the_softmax(random_model, trajectories, temperature):
    model, (points, n_points) = random_model(), trajectories(1)
    n = 20_000
    generator = torch.Generator().manual_seed(7)
    [decoded] = sample(model, points, n_points, n, temperature, generator, 1)
    first = torch.tensor([*(one.tokens or [model.config.vocabulary.eos] for one in decoded)])[:, 0]
    counts = torch.bincount(first, minlength=len(model.config.vocabulary.words))
    logits = whole_logits(model, points[0], n_points[0], [])[0]
    expected = n * (logits / temperature).softmax(-1)
    common = expected > 5
    observed = [*counts[common].tolist(), int(counts[~common].sum())]
    assert common.sum() > 3
    assert chisquare(observed, [*expected[common], expected[~common].sum()]).pvalue > 1e-3


def few_words(random_model: Callable, end_bias: float) -> tuple[ODEFormer, list[int]]:
    """A model that can write only three words and <EOS>, and these words."""
    model, words = random_model(end_bias=end_bias), [20, 60, 100]
    kept = model.decoder.proj.bias.detach().clone()[[*words, model.config.vocabulary.eos]]
    model.decoder.proj.bias.data.fill_(-math.inf)
    model.decoder.proj.bias.data[[*words, model.config.vocabulary.eos]] = kept
    return model, words


@pytest.mark.parametrize("draw", [0.0, 1 - 2.0**-53])
def test_impossible_words_are_never_drawn(random_model, trajectories, monkeypatch, draw):
    model, words = few_words(random_model, end_bias=-1.0)
    monkeypatch.setattr(torch, "rand", lambda shape, **options: torch.full(shape, draw).double())
    [[one]] = sample(model, *trajectories(1), 1, 1.0, torch.Generator(), 5)
    assert set(one.tokens) <= set(words) and math.isfinite(one.log_probability)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 1.7])
def test_a_wide_beam_is_an_exhaustive_search(random_model, trajectories, length_penalty):
    model, words = few_words(random_model, end_bias=1.0)
    points, n_points = trajectories(2)
    texts = [list(text) for n in range(5) for text in itertools.product(words, repeat=n)]
    found = beam(model, points, n_points, 3**5, length_penalty, max_tokens=5)
    for i, decoded in enumerate(found):
        totals = {tuple(t): log_probability(model, points[i], n_points[i], t) for t in texts}
        scores = {text: total / (len(text) + 1) ** length_penalty for text, total in totals.items()}
        best = sorted(scores, key=scores.get, reverse=True)
        assert [tuple(one.tokens) for one in decoded[: len(texts)]] == best
        for one in decoded[: len(texts)]:
            assert math.isclose(one.log_probability, totals[tuple(one.tokens)])


def plain_beam(model, points, n_points, width, length_penalty, max_tokens) -> list[list[int]]:
    """The same search, written with lists and whole forward passes, without an early end."""
    eos, live, finished = model.config.vocabulary.eos, [(0.0, [])], []
    for length in range(1, max_tokens + 1):
        candidates = []
        for total, tokens in live:
            log_p = whole_logits(model, points, n_points, tokens)[-1].log_softmax(-1)
            candidates += [(total + float(p), [*tokens, word]) for word, p in enumerate(log_p)]
        live = []
        for total, tokens in sorted(candidates, key=lambda c: -c[0]):
            if tokens[-1] == eos:
                finished.append((total / length**length_penalty, tokens[:-1]))
            else:
                live.append((total, tokens))
            if len(live) == width:
                break
    return [tokens for _, tokens in sorted(finished, key=lambda f: -f[0])[:width]]


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_narrow_beam_equals_the_plain_search(random_model, trajectories, width):
    model, (points, n_points) = random_model(end_bias=3.5), trajectories(3)
    found = beam(model, points, n_points, width, 0.8, max_tokens=7)
    plain = [plain_beam(model, *one, width, 0.8, 7) for one in zip(points, n_points, strict=True)]
    assert [[one.tokens for one in decoded] for decoded in found] == plain
    assert any(plain)


@pytest.mark.parametrize(
    ("decode", "line"),
    [
        (lambda *a: sample(*a, 0, 1.0, torch.Generator()), "n_samples = 0: must be at least 1"),
        (lambda *a: sample(*a, 1, 0.0, torch.Generator()), "temperature = 0.0: must be positive"),
        (lambda *a: greedy(*a, max_tokens=0), "max_tokens = 0: must be from 1 to 4096"),
        (lambda *a: beam(*a, 0), "width = 0: must be at least 1"),
        (lambda *a: beam(*a, 1, -1.0), "length_penalty = -1.0: must not be negative"),
        (lambda *a: beam(*a, 1, max_tokens=4097), "max_tokens = 4097: must be from 1 to 4096"),
    ],
)
def test_bad_arguments(random_model, trajectories, decode, line):
    with pytest.raises(ValueError, match=f"^{line}$"):
        decode(random_model(), *trajectories(1))
