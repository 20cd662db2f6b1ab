from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attention_in_motion.models.activations import record
from attention_in_motion.odeformer.network.model import (
    MultiHeadAttention,
    ODEFormer,
    ODEFormerConfig,
    order_numbers,
)

DATA = Path(__file__).parents[2] / "data"
CONFIG = ODEFormerConfig(
    **dict(encoder_width=8, encoder_layers=2, encoder_heads=2, embedding_width=4, precision=2),
    **dict(decoder_width=12, decoder_layers=2, decoder_heads=3),
)


@pytest.fixture(scope="module")
def stored() -> dict[str, torch.Tensor]:
    """What the official classes computed in float64 (tests/official/test_official_pairs.py)."""
    return load_file(DATA / "odeformer_model.safetensors")


@pytest.fixture(scope="module")
def model(stored) -> ODEFormer:
    """Our model with the stored weights, in float64."""
    prefix = "weights."
    weights = {n.removeprefix(prefix): t for n, t in stored.items() if n.startswith(prefix)}
    table = torch.zeros(4096, CONFIG.decoder_width, dtype=torch.float16)
    rows = weights["decoder.position_embeddings.weight"]
    table[: len(rows)] = rows
    weights["decoder.position_embeddings.weight"] = table
    weights["decoder.proj.weight"] = weights["decoder.embeddings.weight"]
    ours = ODEFormer(CONFIG, torch.Generator().manual_seed(0)).double().eval()
    ours.load_state_dict(weights)
    return ours


@pytest.fixture(scope="module")
def batch(stored) -> dict[str, torch.Tensor]:
    return {name: stored[name] for name in ("points", "n_points", "tokens", "n_tokens")}


@torch.no_grad()
def test_stored_official_activations(model, batch, stored):
    memory = model.encode(batch["points"], batch["n_points"])  # (batch, n_points, width)
    assert (memory - stored["memory"]).abs().max() < 1e-11
    logits = model(**batch)[..., ::29]  # (batch, length, words kept)
    assert logits.shape == stored["logits"].shape
    assert (logits - stored["logits"]).abs().max() < 1e-10


@torch.no_grad()
def test_float32_is_near_float64(model, batch, stored):
    logits = copy.deepcopy(model).float()(**batch)[..., ::29]  # (batch, length, words kept)
    assert logits.dtype == torch.float32
    assert (logits - stored["logits"]).abs().max() < 1e-4


@torch.no_grad()
def test_positions_past_the_end_score_the_bias_alone(model, batch):
    logits = model(**batch)  # (batch, length, n_words)
    row, length = 1, int(batch["n_tokens"][1])
    assert (logits[row, length:] == model.decoder.proj.bias).all()
    assert (logits[row, length - 1] != model.decoder.proj.bias).any()


@torch.no_grad()
def test_padding_is_never_seen(model, batch):
    logits = model(**batch)  # (batch, length, n_words)
    for row in range(3):
        n_points, n_tokens = batch["n_points"][row], batch["n_tokens"][row]
        single = model(
            batch["points"][row : row + 1, :n_points],
            n_points[None],
            batch["tokens"][row : row + 1, :n_tokens],
            n_tokens[None],
        )
        assert (single[0] - logits[row, :n_tokens]).abs().max() < 1e-12
    points = batch["points"].clone()
    points[0, batch["n_points"][0] :] = 20
    torch.testing.assert_close(model(**batch | {"points": points}), logits, rtol=0, atol=0)


@torch.no_grad()
def test_the_decoder_is_causal(model, batch):
    tokens = batch["tokens"].clone()
    tokens[0, 9] = (tokens[0, 9] + 1) % 1000
    change = (model(**batch | {"tokens": tokens}) - model(**batch))[0].abs().amax(-1)  # (length,)
    assert (change[:9] == 0).all() and (change[9:18] > 1e-6).all()


@torch.no_grad()
def test_the_order_of_points_does_not_matter(model, batch):
    order = torch.randperm(int(batch["n_points"][1]), generator=torch.Generator().manual_seed(1))
    points = batch["points"].clone()
    points[1, : len(order)] = points[1, order]
    memory = model.encode(batch["points"], batch["n_points"])  # (batch, n_points, width)
    shuffled = model.encode(points, batch["n_points"])  # (batch, n_points, width)
    assert (shuffled[1, : len(order)] - memory[1, order]).abs().max() < 1e-12
    logits = model(**batch | {"points": points})
    assert (logits - model(**batch)).abs().max() < 1e-12


@torch.no_grad()
def test_attention_is_the_formula():
    """One head at a time, one query at a time, from the definition."""
    rng = torch.Generator().manual_seed(2)
    attention = MultiHeadAttention(3, 12, 8).double()
    x, source = torch.randn(2, 5, 12, generator=rng), torch.randn(2, 7, 8, generator=rng)
    x, source = x.double(), source.double()
    allowed = torch.rand(2, 1, 1, 7, generator=rng) < 0.7
    q, k, v = attention.q_lin(x), attention.k_lin(source), attention.v_lin(source)
    out = torch.zeros(2, 5, 12, dtype=torch.float64)
    for b in range(2):
        keys = allowed[b, 0, 0].nonzero()[:, 0]
        for head in (slice(0, 4), slice(4, 8), slice(8, 12)):
            for i in range(5):
                scores = torch.stack([q[b, i, head] @ k[b, j, head] / math.sqrt(4) for j in keys])
                weights = scores.exp() / scores.exp().sum()  # (keys,)
                out[b, i, head] = sum(w * v[b, j, head] for w, j in zip(weights, keys, strict=True))
    expected = attention.out_lin(out)  # (batch, query, width)
    mask = torch.where(allowed, 0.0, -math.inf)  # (batch, 1, 1, key)
    assert (attention(x, source, mask) - expected).abs().max() < 1e-13


@torch.no_grad()
def test_recording_changes_nothing(model, batch):
    logits = model(**batch)
    seen = record(model, **batch)
    assert torch.equal(seen["decoder.logits"], logits)
    assert torch.equal(model(**batch), logits)


@torch.no_grad()
def test_what_is_recorded_is_what_is_used(model, batch):
    seen = record(model, **batch)
    real = torch.arange(20) < batch["n_points"][:, None]  # (batch, n_points)
    for name, part in model.named_modules():
        if isinstance(part, MultiHeadAttention):
            weights, values = seen[f"{name}.weights"], seen[f"{name}.values"]
            assert (weights.sum(-1) - 1).abs().max() < 1e-12
            assert torch.equal(weights @ values, seen[f"{name}.heads"])
            if "decoder.attentions" in name:
                assert (weights.triu(1) == 0).all()
            else:
                assert (weights.amax((1, 2))[~real] == 0).all()
    for layer in range(CONFIG.decoder_layers):
        stages = [f"decoder.layer_norm{n}.{layer}" for n in ("1", "15", "2")]
        parts = [f"decoder.{part}.{layer}" for part in ("attentions", "encoder_attn", "ffns")]
        stream = seen[f"decoder.layer_norm2.{layer - 1}.after"] if layer else None
        stream = seen["decoder.layer_norm_emb.after"] if stream is None else stream
        for stage, part in zip(stages, parts, strict=True):
            module = model.get_submodule(part)
            if "ffns" in part:
                added = seen[f"{part}.output"]
            else:
                added = module.out_lin(seen[f"{part}.heads"].transpose(1, 2).flatten(2))
            assert torch.equal(seen[f"{stage}.before"], stream + added)
            stream = seen[f"{stage}.after"]


@torch.no_grad()
def test_a_hook_can_replace_an_activation(model, batch):
    """What a hook returns is what goes on: the recorded tensor is not a copy."""
    module = model.encoder.attentions[0].weights
    hook = module.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    try:
        changed = record(model, **batch)
    finally:
        hook.remove()
    assert (changed["encoder.attentions.0.heads"] == 0).all()
    assert (changed["decoder.logits"] - model(**batch)).abs().max() > 1e-3


def test_the_loss_is_the_mean_over_real_targets(model, batch):
    with torch.no_grad():
        total, count = 0.0, 0
        for row, n in enumerate(batch["n_tokens"]):
            one = {name: part[row : row + 1] for name, part in batch.items()}
            one |= {"tokens": one["tokens"][:, : n - 1], "n_tokens": n[None] - 1}
            scores = model(**one)[0].log_softmax(-1)  # (n − 1, n_words)
            total -= scores.gather(1, batch["tokens"][row, 1:n, None]).sum()
            count += int(n) - 1
        assert abs(float(model.loss(**batch) - total / count)) < 1e-12


def test_every_weight_gets_a_gradient(model, batch):
    trained = copy.deepcopy(model)
    trained.loss(**batch).backward()
    for name, parameter in trained.named_parameters():
        if not name.endswith("k_lin.bias"):  # softmax does not see a shift of all its scores
            assert parameter.grad.abs().max() > 1e-9, name


def test_initial_weights_depend_on_the_generator_alone():
    def draw(seed: int) -> dict[str, torch.Tensor]:
        return ODEFormer(CONFIG, torch.Generator().manual_seed(seed)).state_dict()

    first = draw(1)
    torch.rand(3)  # moves the global generator, which must not matter
    again, other = draw(1), draw(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["encoder.ffns.0.lin1.bias"], other["encoder.ffns.0.lin1.bias"])


def test_initial_weights_have_the_published_scales():
    config = ODEFormerConfig(encoder_layers=1, decoder_layers=1)
    model = ODEFormer(config, torch.Generator().manual_seed(0))
    for module, pad in ((model.decoder.embeddings, 82), (model.embedder.embeddings, 9)):
        width = module.embedding_dim
        assert abs(float(module.weight.detach().std()) * width**0.5 - 1) < 0.01
        assert (module.weight[pad] == 0).all()
    bound = 512**-0.5
    weight = model.decoder.ffns[0].lin1.weight
    assert bound * 0.999 < weight.max() <= bound and -bound * 0.999 > weight.min() >= -bound
    assert (model.encoder.layer_norm1[0].weight == 1).all()
    assert model.decoder.proj.weight is model.decoder.embeddings.weight


def test_ordered_numbers_are_as_close_as_they_are_on_the_number_line():
    """The product of two rows is a mean of cosines of their distance; other words stay."""
    drawn, model = (ODEFormer(CONFIG, torch.Generator().manual_seed(1)) for _ in range(2))
    order_numbers(model)
    vocabulary = CONFIG.vocabulary
    rows = model.decoder.embeddings.weight.detach()[vocabulary.mantissa_ids + 73]
    assert torch.equal(rows, model.decoder.proj.weight[vocabulary.mantissa_ids + 73])
    waves = 4 * 500 ** torch.linspace(0, 1, CONFIG.decoder_width // 2)  # from 4 to 2000
    for i, j in ((0, 0), (100, 101), (990, 110), (7, 992)):
        expected = torch.cos(2 * math.pi * abs(i - j) / waves).mean()
        assert abs(float(rows[i] @ rows[j] - expected)) < 2e-3
    numbers = {*vocabulary.mantissa_ids, *vocabulary.exponent_ids}
    others = [i for i in range(len(vocabulary.float_words)) if i not in numbers]
    before, after = (m.embedder.embeddings.weight.detach() for m in (drawn, model))
    assert torch.equal(after[others], before[others] * CONFIG.embedding_width**0.5)
    assert (after[vocabulary.float_pad] == 0).all()
    decoder = model.decoder.embeddings.weight.detach()
    assert torch.equal(decoder[:73], drawn.decoder.embeddings.weight.detach()[:73])


def test_the_released_sizes():
    """Parameter counts from the layer arithmetic, without allocating the released model twice."""
    model = ODEFormer(ODEFormerConfig(), torch.Generator().manual_seed(0))
    count = {n: sum(p.numel() for p in m.parameters()) for n, m in model.named_children()}
    assert count == {"embedder": 2_806_080, "encoder": 3_159_552, "decoder": 54_681_141}
    assert len(model.state_dict()) == 389


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="encoder_heads = 7: must divide encoder_width = 256"):
        ODEFormerConfig(encoder_heads=7)
    with pytest.raises(ValueError, match="decoder_layers = 0: must be at least 1"):
        ODEFormerConfig(decoder_layers=0)
