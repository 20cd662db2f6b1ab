"""A one-layer model is the affine map that is read off its weights; its rollouts are measured."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from attention_in_motion.measures import one_layer
from attention_in_motion.models import transformer
from attention_in_motion.physics import oscillator
from attention_in_motion.training.descent import initialisers
from attention_in_motion.training.oscillator import OscillatorRun

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


def drift(lr):
    """How far gradient descent for one unit of time, in steps of lr, moves D: (seed,)."""
    run = OscillatorRun(seeds=(0, 1, 2), context=6, batch=16, d_model=4)
    model, batch = run.model().double(), [run.batches()(0)[0].double()]
    before = one_layer.imbalance(model).detach()
    for _ in range(round(1 / lr)):
        for w, g in zip(model.parameters(), gradient(run, model, batch), strict=True):
            w.data -= lr * g
    return (one_layer.imbalance(model).detach() - before).norm(dim=(1, 2))


def gradient(run, model, batch):
    return torch.autograd.grad(run.loss(model, batch).sum(), list(model.parameters()))


def test_gradient_flow_conserves_the_imbalance():
    """A step of size η adds η² terms, so over a fixed time D drifts in proportion to η."""
    coarse, fine = drift(0.02), drift(0.01)
    assert fine.max() < 5e-3
    torch.testing.assert_close(coarse / fine, torch.full_like(fine, 2.0), rtol=0.05, atol=0)


def planted(value, output):
    """A one-layer model with these W_V and W_O (d_model, d_head), (d_head, d_model)."""
    model = nla(seeds=1)
    model.blocks[0].attention.W_V.W.copy_(torch.tensor(value, dtype=double))
    model.blocks[0].attention.W_O.W.copy_(torch.tensor(output, dtype=double))
    return model


def test_where_the_product_vanishes_the_imbalance_has_the_signs_of_the_ranks():
    threshold = torch.tensor([1e-3], dtype=double)
    one_each = planted([[3.0, 0.0], [4.0, 0.0]], [[0.0, 0.0], [1.0, 2.0]])
    attention = one_each.blocks[0].attention
    assert (attention.W_V.W @ attention.W_O.W).abs().max() == 0
    torch.testing.assert_close(
        one_layer.imbalance(one_each), torch.tensor([[[25.0, 0.0], [0.0, -5.0]]], dtype=double)
    )
    silent = planted([[3.0, 1.0], [4.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]])
    for model, expected in ((one_each, [[1, 1]]), (silent, [[2, 0]])):
        assert one_layer.ranks(model, threshold).tolist() == expected
        assert one_layer.signs(one_layer.imbalance(model), threshold).tolist() == expected


def test_gradients_are_those_of_the_loss_batch_by_batch():
    run = OscillatorRun(seeds=(0, 1), context=4, batch=8, loss_on="last")
    found, model = one_layer.gradients(run, 3), run.model()
    run.loss(model, run.batches()(2)).sum().backward()
    for name, values in found.items():
        own = getattr(model.blocks[0].attention, name).W.grad.flatten(1)
        assert values.shape == (3, 2, 4)
        torch.testing.assert_close(values[2], own)


def test_gradients_may_be_taken_at_other_weights_which_stay_as_they_are():
    run = OscillatorRun(seeds=(0, 1), context=4, batch=8)
    other = replace(run, seeds=(5, 6)).model().requires_grad_(False)
    before = {name: weight.clone() for name, weight in other.state_dict().items()}
    found = one_layer.gradients(run, 2, at=other)
    own = replace(run, seeds=(5, 6)).model()
    run.loss(own, run.batches()(1)).sum().backward()  # the batches stay those of the run
    for name, values in found.items():
        wanted = getattr(own.blocks[0].attention, name).W.grad.flatten(1)
        torch.testing.assert_close(values[1], wanted)
        assert not torch.equal(values, one_layer.gradients(run, 2)[name])
    assert all(torch.equal(weight, before[name]) for name, weight in other.state_dict().items())


def test_signal_and_noise_find_a_planted_mean():
    noise = torch.randn(4000, 2, 3, generator=torch.Generator().manual_seed(0), dtype=double)
    planted = torch.tensor([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]], dtype=double)
    signal, spread = one_layer.signal_and_noise(planted + noise)
    assert signal[0].item() == pytest.approx(5, abs=0.05) and signal[1] < 0.1
    torch.testing.assert_close(spread, torch.full((2,), 3**0.5, dtype=double), rtol=0.03, atol=0)
