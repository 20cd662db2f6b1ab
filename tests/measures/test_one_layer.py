"""A one-layer model is the affine map that is read off its weights; its rollouts are measured."""

import ast
from pathlib import Path

import pytest
import torch

from attention_in_motion.measures import one_layer
from attention_in_motion.models import transformer
from attention_in_motion.physics import oscillator
from attention_in_motion.training.descent import initialisers

double = torch.float64
MODELS = "attention_in_motion.models"


def nla(seeds=3, **options):
    return transformer.NLA(initialisers(range(seeds)), **options).double().requires_grad_(False)


def states(*shape):
    return torch.randn(*shape, 2, generator=torch.Generator().manual_seed(0), dtype=double)


def test_context_one_is_affine_and_one_step_map_names_it():
    model, x = nla(), states(3, 50, 1)
    matrix, offset = one_layer.one_step_map(model)
    expected = torch.einsum("sij,sbtj->sbti", matrix, x) + offset[:, None, None]
    torch.testing.assert_close(model(x), expected, rtol=1e-13, atol=1e-14)


def test_without_biases_the_map_has_no_offset():
    model = nla(bias=False)
    assert one_layer.one_step_map(model)[1].abs().max() == 0
    assert model(torch.zeros(3, 1, 1, 2, dtype=double)).abs().max() == 0


def test_cutting_attention_leaves_the_direct_path():
    model, x = nla(), states(3, 4, 6)
    direct = model.W_U(model.W_E(x))
    torch.testing.assert_close(one_layer.without_attention(model)(x), direct)
    assert one_layer.attention_share(one_layer.without_attention(model)).max() == 0


def test_measures_name_no_model_class():
    """Tensors in, labelled results out: a measure takes any module with the right parts."""
    for path in Path(one_layer.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith(MODELS):
                classes = [name.name for name in node.names if name.name[0].isupper()]
                assert not classes, f"{path.stem} imports {', '.join(classes)}"


def test_the_affine_defect_of_a_square_is_its_mixed_term():
    x, y = states(3, 4, 5).abs(), states(3, 4, 5).abs() + 1
    mixed = 2 * (x * y).norm(dim=-1)  # (x + y)² − x² − y² + 0²
    expected = mixed.amax(dim=(1, 2)) / x.square().norm(dim=-1).mean(dim=(1, 2))
    torch.testing.assert_close(one_layer.affine_defect(torch.square, x, y), expected)


def test_attention_is_affine_on_one_state_and_not_on_three():
    model = nla()
    assert one_layer.affine_defect(model, states(3, 50, 1), states(3, 50, 1).flip(1)).max() < 1e-14
    assert one_layer.affine_defect(model, states(3, 50, 3), states(3, 50, 3).flip(1)).min() > 1e-3


def test_futures_are_exact_motions_from_the_starts():
    starts = states(6).float()
    test = one_layer.futures(starts, omega0=3.0, gamma=0.0, dt=0.1, steps=8)
    assert test.windows.shape == (6, 1, 2) and test.future.shape == (6, 8, 2)
    assert torch.equal(test.windows[:, 0], starts.double())
    energy = oscillator.energy(test.states, 3.0)
    torch.testing.assert_close(energy, energy[:, :1].expand(-1, 9), rtol=1e-13, atol=0)
    with pytest.raises(ValueError, match="gamma = 3: must be < omega0"):
        one_layer.futures(starts, omega0=3.0, gamma=3.0, dt=0.1, steps=8)


def test_a_model_on_doubles_computes_what_it_computes_on_singles():
    model = nla().float()
    windows = states(3, 4, 1)
    answer = one_layer.on_doubles(model)(windows)
    assert answer.dtype == double and answer.shape == (3, 4, 2)
    assert torch.equal(answer, model(windows.float())[:, :, -1].double())


def test_the_growth_exponent_of_a_power_law_is_its_power():
    n = torch.arange(1, 41, dtype=double)
    powers = torch.tensor([1.0, 0.0, -0.5], dtype=double)
    found = one_layer.growth_exponent(3.0 * n ** powers[:, None])
    torch.testing.assert_close(found, powers, rtol=1e-12, atol=1e-12)
