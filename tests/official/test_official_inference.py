"""Our decoding, scaling and score do what the official ones do, with the same random weights."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency

from attention_in_motion.odeformer.language.expressions import constants_of, vector_field
from attention_in_motion.odeformer.network.decode import greedy, sample
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.recognise import r2
from attention_in_motion.odeformer.systems.scale import Scale

pytestmark = [pytest.mark.official, pytest.mark.filterwarnings("ignore")]

CONFIG = ODEFormerConfig(
    **dict(encoder_width=24, encoder_layers=2, encoder_heads=3, embedding_width=8, precision=2),
    **dict(decoder_width=40, decoder_layers=3, decoder_heads=5, max_dimension=2),
)
MAX_TOKENS = 60
END_BIAS = 9.0  # added to the logit of <EOS>


def trajectories(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Times (n_points,) and values (n_points, 1 or 2) of different lengths."""
    rng = np.random.default_rng(0)
    return [
        (
            np.sort(rng.uniform(1, 10, 10 + i)),
            rng.normal(size=(10 + i, 1 + i % 2)) * 10.0 ** (i % 3),
        )
        for i in range(n)
    ]


def ids(data: list[tuple[np.ndarray, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    """The same as padded points (batch, n_points, words) and n_points (batch,)."""
    rows = [torch.from_numpy(CONFIG.vocabulary.encode_points(*one)) for one in data]
    pad = CONFIG.vocabulary.float_pad
    points = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
    return points, torch.tensor([len(row) for row in rows])


@pytest.fixture(scope="module")
@torch.no_grad()
def writers(official_peer):
    """Our model and the peer with equal weights that end their sequences at different lengths.

    Untied from the embeddings, because an untrained model would else repeat what it reads.
    """
    generator = torch.Generator().manual_seed(4)
    ours, peer = ODEFormer(CONFIG, generator).eval(), official_peer(CONFIG)
    ours.decoder.proj.weight = torch.nn.Parameter(3 * ours.decoder.embeddings.weight.flip(0))
    for parameter in ours.parameters():
        parameter += (
            0.3 * parameter.shape[-1] ** -0.5 * torch.randn(parameter.shape, generator=generator)
        )
    ours.decoder.position_embeddings.weight *= 2
    for attention in ours.decoder.encoder_attn:
        attention.out_lin.weight *= 6
    ours.decoder.proj.bias[CONFIG.vocabulary.eos] += END_BIAS
    decoder = peer.modules["decoder"]
    decoder.proj.weight = torch.nn.Parameter(torch.empty_like(decoder.proj.weight))
    peer.modules.load_state_dict(ours.state_dict())
    return ours, peer


@pytest.fixture
def mended(monkeypatch):
    """The official byte mask, which torch refuses where a row reaches the limit, as a bool mask."""
    monkeypatch.setattr(torch.Tensor, "byte", torch.Tensor.bool)


@torch.no_grad()
def official_tokens(peer, data: list, n_samples: int, max_len: int, temperature=None, seed=0):
    """The buffer of the official `generate`: (batch · n_samples, ≤ max_len), <EOS> in front."""
    memory = peer.encode(data).repeat_interleave(
        n_samples, 0
    )  # (batch · n_samples, n_points, width)
    n_points = torch.tensor([len(times) for times, _ in data]).repeat_interleave(n_samples)
    generated, _, _ = peer.modules["decoder"].generate(
        memory, n_points, max_len=max_len, sample_temperature=temperature, seed=seed
    )
    return generated.T


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_greedy_token_by_token(writers, mended, monkeypatch, dtype):
    ours, peer = writers
    if dtype == torch.float64:  # the official softmax casts its scores by calling .float()
        monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)
    for model in (ours, peer.modules):
        model.to(dtype)
    monkeypatch.setattr(peer.modules["decoder"], "dtype", dtype)
    data = trajectories(12)
    found = greedy(ours, *ids(data), MAX_TOKENS)
    # their buffer has one place more, for the first <EOS>, and forces an <EOS> into the last
    expected = official_tokens(peer, data, 1, 1 + MAX_TOKENS)
    for model in (ours, peer.modules):
        model.to(torch.float32)
    for tokens, row in zip(found, expected.tolist(), strict=True):
        end = row.index(CONFIG.vocabulary.eos, 1)
        assert tokens[: MAX_TOKENS - 1] == row[1:end]
    assert len({len(tokens) for tokens in found}) > 4


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_first_tokens_have_the_same_distribution(writers, mended, temperature):
    ours, peer = writers
    data, n, size = trajectories(3)[2:], 8000, len(CONFIG.vocabulary.words)
    theirs = official_tokens(peer, data, n, 3, temperature, seed=1)[:, 1]
    expected = torch.bincount(theirs, minlength=size)

    def counts(temperature: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(2)
        [decoded] = sample(ours, *ids(data), n, temperature, generator, 1)
        first = [(one.tokens or [CONFIG.vocabulary.eos])[0] for one in decoded]
        return torch.bincount(torch.tensor(first), minlength=size)

    assert p_value(counts(temperature), expected) > 1e-3
    assert p_value(counts(temperature * 1.2), expected) < 1e-6


def p_value(first: torch.Tensor, second: torch.Tensor) -> float:
    """Of a χ² test that two counts (n_words,) have one distribution; rare words are one class."""
    both = torch.stack([first, second])
    common = both.sum(0) >= 20
    rare = both[:, ~common].sum(1, keepdim=True)
    table = torch.cat([both[:, common], rare], dim=1) if rare.sum() else both[:, common]
    return float(chi2_contingency(table.numpy()).pvalue)


@pytest.mark.usefixtures("official_peer")
def test_scaler_and_its_inverse():
    from odeformer.model.utils_wrapper import Scaler

    times, values = trajectories(4)[3]
    values[0, 1] = 0.0
    official, ours = Scaler(time_range=[1, 10]), Scale.of(times, values)
    theirs, mine = official.fit_transform(times, values), ours.apply(times, values)
    assert np.allclose(theirs[0], mine[0], rtol=1e-13)
    assert np.allclose(theirs[1], mine[1], rtol=1e-13)
    tree = SimpleNamespace(prefix=lambda: "sin,add,0.3,mul,1.7,x_1,|,mul,-0.4,mul,x_0,pow,x_1,2")
    env = SimpleNamespace(word_to_infix=lambda prefix, **options: ",".join(prefix))
    rescaled = official.rescale_function(env, tree, *official.get_params())
    x = np.random.default_rng(3).normal(size=(2, 20))
    mine = ours.undo(system_of(tree.prefix()))
    assert np.allclose(derivatives(system_of(rescaled), x), derivatives(mine, x), rtol=1e-12)


def system_of(prefix: str) -> list[list]:
    return [[leaf(w) for w in part.split(",") if w] for part in prefix.split("|")]


def leaf(word: str) -> str | float | int:
    try:
        return float(word) if "." in word else int(word)
    except ValueError:
        return word


def derivatives(system: list, x: np.ndarray) -> np.ndarray:
    return vector_field(system)(x, np.array(constants_of(system))[:, None])


@pytest.mark.usefixtures("official_peer")
def test_r2_is_scikit_learns():
    from sklearn.metrics import r2_score

    rng = np.random.default_rng(4)
    for dimension in (1, 2, 5):
        truth = rng.normal(size=(30, dimension)) * 10.0 ** rng.integers(-2, 3, dimension)
        prediction = truth + 0.3 * rng.normal(size=truth.shape)
        expected = r2_score(truth, prediction, multioutput="variance_weighted")
        assert np.isclose(r2(truth, prediction), expected, rtol=1e-12)
