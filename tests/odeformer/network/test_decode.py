"""Decoding: the cache changes no logit, samples follow the model, beam search is exhaustive."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from attention_in_motion.odeformer.network.decode import Cache, beam, greedy, sample
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.train import load, save

SMALL = ODEFormerConfig(
    **dict(encoder_width=8, encoder_layers=1, encoder_heads=2, embedding_width=4, precision=1),
    **dict(decoder_width=12, decoder_layers=2, decoder_heads=3, max_dimension=2),
)


@torch.no_grad()
def random_model(
    config: ODEFormerConfig = SMALL, seed: int = 3, end_bias: float = 0.0
) -> ODEFormer:
    """Every weight moved, in float64; `end_bias` is added to the logit of <EOS>.

    With tied embeddings an untrained model repeats the token it reads for ever, so these are not;
    it hardly looks at the points or at its position either, so both are made louder.
    """
    generator = torch.Generator().manual_seed(seed)
    model = ODEFormer(config, generator).double().eval()
    model.decoder.proj.weight = torch.nn.Parameter(3 * model.decoder.embeddings.weight.flip(0))
    for parameter in model.parameters():
        size = 0.3 * parameter.shape[-1] ** -0.5
        parameter += size * torch.randn(parameter.shape, generator=generator)
    model.decoder.position_embeddings.weight *= 2
    for attention in model.decoder.encoder_attn:
        attention.out_lin.weight *= 6
    model.decoder.proj.bias[config.vocabulary.eos] += end_bias
    return model


def trajectories(n: int = 4, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Random points of different lengths, padded: what the model takes as points and n_points."""
    generator, vocabulary = torch.Generator().manual_seed(seed), SMALL.vocabulary
    n_points = torch.randint(3, 9, (n,), generator=generator)
    points = torch.randint(16, len(vocabulary.float_words), (n, 8, 9), generator=generator)
    points[torch.arange(8) >= n_points[:, None]] = vocabulary.float_pad
    return points, n_points


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


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_cached_logits_equal_the_forward_pass(dtype, tolerance):
    model, (points, n_points) = random_model().to(dtype), trajectories()
    tokens = torch.randint(len(SMALL.vocabulary.words), (4, 40))  # more than the first capacity
    tokens[:, 0] = SMALL.vocabulary.eos
    expected = model(points, n_points, tokens, torch.full((4,), 40))
    cache = Cache(model, points, n_points)
    cached = torch.stack([cache.step(column) for column in tokens.T], dim=1)
    assert expected.std() > 0.5
    assert (cached - expected).abs().max() < tolerance


def test_rows_may_branch_swap_and_leave():
    model, (points, n_points) = random_model(), trajectories(3)
    cache, eos = Cache(model, points, n_points), SMALL.vocabulary.eos
    texts = {0: [], 1: [], 2: []}  # row → tokens, of the input with that number
    owners = [0, 1, 2]
    plan = [[0, 0, 0, 1, 2], [0, 2, 3, 3, 4, 4, 4], [1, 0, 4, 6], [2, 3, 3], [1, 2]]
    last = torch.full((3,), eos)
    for step, parents in enumerate(plan):
        logits = cache.step(last)
        for row, tokens in texts.items():
            owner = owners[row]
            expected = whole_logits(model, points[owner], n_points[owner], tokens)[-1]
            assert (logits[row] - expected).abs().max() < 1e-12
        last = torch.tensor([20 + 10 * step + i for i in range(len(parents))])
        texts = {i: [*texts[p], int(last[i])] for i, p in enumerate(parents)}
        owners = [owners[p] for p in parents]
        cache.keep(torch.tensor(parents))
    assert owners == [2, 2] and len(cache.mask) == 1


def test_a_row_that_leaves_moves_at_most_the_last_one():
    model, (points, n_points) = random_model(), trajectories(1)
    cache = Cache(model, points, n_points)
    cache.step(torch.tensor([SMALL.vocabulary.eos]))
    cache.keep(torch.tensor([0, 0, 0, 0]))
    cache.step(torch.tensor([20, 30, 40, 50]))
    before = cache.written.clone()
    cache.keep(torch.tensor([0, 2, 3]))  # the second row leaves
    assert cache.slot.tolist() == [0, 2, 1]
    expected = before.clone()
    expected[:, :, 1, :, :2] = before[:, :, 3, :, :2]
    assert torch.equal(cache.written[..., :2, :], expected[..., :2, :])


def test_decoding_changes_no_weight_and_the_model_can_be_saved_after_it(tmp_path):
    model, data = random_model().float(), trajectories(2)
    model.decoder.proj.weight = model.decoder.embeddings.weight  # tied, as in every saved model
    before = {name: t.clone() for name, t in model.state_dict().items()}
    greedy(model, *data, 5)
    assert not model.decoder.ffns[0].lin1.weight.is_contiguous()
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    save(model, {"config": {"model": asdict(SMALL)}}, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").state_dict()
    assert all(torch.equal(t, again[name]) for name, t in before.items())


@torch.no_grad()
def test_interventions_count_at_every_step():
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


def by_forward_pass(model, points, n_points, choose, max_tokens) -> list[int]:
    """One sequence, the whole forward pass for every token: choose(logits, step) → token."""
    tokens: list[int] = []
    for step in range(max_tokens):
        token = int(choose(whole_logits(model, points, n_points, tokens)[-1], step))
        if token == model.config.vocabulary.eos:
            break
        tokens.append(token)
    return tokens


def test_greedy_equals_the_forward_pass():
    model, (points, n_points) = random_model(end_bias=3.0), trajectories(6)
    expected = [
        by_forward_pass(model, *one, lambda logits, step: logits.argmax(), 20)
        for one in zip(points, n_points, strict=True)
    ]
    assert greedy(model, points, n_points, max_tokens=20) == expected
    assert len({len(tokens) for tokens in expected}) > 2


def test_samples_equal_the_forward_pass_whoever_shares_a_row_or_ends_first():
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


def test_seeds():
    model, data = random_model(end_bias=2.0), trajectories(2)
    first, again, other = (
        sample(model, *data, 5, 1.0, torch.Generator().manual_seed(seed), 12) for seed in (4, 4, 5)
    )
    assert first == again != other


def test_encoder_runs_once_and_equal_beginnings_share_a_row():
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
def test_first_tokens_follow_the_softmax(temperature):
    model, (points, n_points) = random_model(), trajectories(1)
    n = 20_000
    generator = torch.Generator().manual_seed(7)
    [decoded] = sample(model, points, n_points, n, temperature, generator, 1)
    first = torch.tensor([*(one.tokens or [SMALL.vocabulary.eos] for one in decoded)])[:, 0]
    counts = torch.bincount(first, minlength=len(SMALL.vocabulary.words))
    logits = whole_logits(model, points[0], n_points[0], [])[0]
    expected = n * (logits / temperature).softmax(-1)
    common = expected > 5
    observed = [*counts[common].tolist(), int(counts[~common].sum())]
    assert common.sum() > 3
    assert chisquare(observed, [*expected[common], expected[~common].sum()]).pvalue > 1e-3


def few_words(end_bias: float) -> tuple[ODEFormer, list[int]]:
    """A model that can write only three words and <EOS>, and these words."""
    model, words = random_model(end_bias=end_bias), [20, 60, 100]
    kept = model.decoder.proj.bias.detach().clone()[[*words, SMALL.vocabulary.eos]]
    model.decoder.proj.bias.data.fill_(-math.inf)
    model.decoder.proj.bias.data[[*words, SMALL.vocabulary.eos]] = kept
    return model, words


@pytest.mark.parametrize("draw", [0.0, 1 - 2.0**-53])
def test_impossible_words_are_never_drawn(monkeypatch, draw):
    model, words = few_words(end_bias=-1.0)
    monkeypatch.setattr(torch, "rand", lambda shape, **options: torch.full(shape, draw).double())
    [[one]] = sample(model, *trajectories(1), 1, 1.0, torch.Generator(), 5)
    assert set(one.tokens) <= set(words) and math.isfinite(one.log_probability)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 1.7])
def test_a_wide_beam_is_an_exhaustive_search(length_penalty):
    model, words = few_words(end_bias=1.0)
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
def test_a_narrow_beam_equals_the_plain_search(width):
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
def test_bad_arguments(decode, line):
    with pytest.raises(ValueError, match=f"^{line}$"):
        decode(random_model(), *trajectories(1))
