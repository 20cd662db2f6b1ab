"""fit: ensembles are their members, resuming is exact, schedules and clipping do what they say."""

import pytest
import torch
from torch import nn

from attention_in_motion.models.transformer import NLA
from attention_in_motion.paths import save_atomically
from attention_in_motion.training.descent import (
    Batches,
    Muon,
    build_optimiser,
    clip_per_seed,
    fit,
    hidden_matrices,
    initialisers,
    orthogonal,
    schedule_factor,
    seeded,
)

OPTIONS = {"lr": 3e-3, "clip": 0.05, "weight_decay": 0.01, "schedule": "cosine", "warmup": 5}


def draw(rng, n):
    return (torch.randn(n, 8, 4, 2, generator=rng, dtype=torch.float64),)


def loss(model, batch):
    return (model(batch[0][:, :, :-1]) - batch[0][:, :, 1:]).square().mean(dim=(1, 2, 3))


PLAIN = {"clip": None, "weight_decay": 0.0, "schedule": "constant", "warmup": 0}


def run(seeds, steps=50, n_layers=2, **options):
    model = NLA(initialisers(seeds), n_layers=n_layers, d_model=4, d_head=2).double()
    losses, snapshots = fit(
        model, loss, Batches(draw, seeds, chunk=7), steps=steps, **OPTIONS | options
    )
    return model, losses, snapshots


def test_an_ensemble_is_its_seeds_one_by_one():
    together, losses, _ = run([3, 1, 4])
    for i, seed in enumerate([3, 1, 4]):
        alone, own, _ = run([seed])
        torch.testing.assert_close(losses[:, i : i + 1], own, rtol=0, atol=1e-10)
        for a, b in zip(together.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(a[i : i + 1], b, rtol=0, atol=1e-10)


class Interrupted(Exception):
    pass


def test_resuming_is_as_if_nothing_had_happened(tmp_path):
    checkpoint = tmp_path / "run.checkpoint"
    undisturbed, losses, snapshots = run([0, 1], snapshots=(0, 10, 40))
    model = NLA(initialisers([0, 1]), n_layers=2, d_model=4, d_head=2).double()
    source = Batches(draw, [0, 1], chunk=7)

    def breaks_down(step):
        if step == 33:
            raise Interrupted
        return source(step)

    saving = {"checkpoint": checkpoint, "checkpoint_every": 10, "snapshots": (0, 10, 40)}
    with pytest.raises(Interrupted):
        fit(model, loss, breaks_down, steps=50, **OPTIONS, **saving)
    assert checkpoint.exists()
    resumed, again, snapped = run([0, 1], **saving)
    assert torch.equal(again, losses)
    assert all(
        torch.equal(a, b)
        for a, b in zip(resumed.parameters(), undisturbed.parameters(), strict=True)
    )
    assert snapped.keys() == snapshots.keys() == {0, 10, 40}
    assert all(torch.equal(snapped[s][k], t) for s in snapshots for k, t in snapshots[s].items())
    assert checkpoint.exists()  # until whoever called has kept the result


def test_a_run_that_begins_later_warms_up_anew_and_sees_the_later_batches():
    """AdamW's first step moves every weight by its rate, here a twentieth of it."""
    asked = []

    def source(step):
        asked.append(step)
        return Batches(draw, [0], chunk=7)(step)

    model = NLA(initialisers([0]), n_layers=1, d_model=4, d_head=2).double()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    later = {"first_step": 30, "rewarm": 20}
    losses, _ = fit(model, loss, source, steps=31, lr=1e-3, weight_decay=0.0, **later)
    assert asked == [30] and losses[:30].isnan().all() and losses[30].isfinite().all()
    moved = torch.stack([(p - before[name]).abs().max() for name, p in model.named_parameters()])
    assert moved.max().item() == pytest.approx(1e-3 / 20, rel=1e-3)


def test_batches_are_random_access_and_differ_between_seeds_and_steps():
    source = Batches(draw, [0, 1], chunk=3)
    first, fourth = source(0)[0], source(4)[0]
    assert torch.equal(source(0)[0], first) and torch.equal(source(4)[0], fourth)
    assert first.shape == (2, 8, 4, 2)
    assert not torch.equal(first[0], first[1]) and not torch.equal(first, fourth)


def test_random_streams_do_not_repeat():
    draws = {torch.rand((), generator=seeded(s, k)).item() for s in range(20) for k in range(20)}
    assert len(draws) == 400


def test_clipping_is_per_seed():
    weight = nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.tensor([[3.0, 0, 4], [0.3, 0, 0.4]])
    clip_per_seed([weight], 2, 1.0)
    torch.testing.assert_close(weight.grad, torch.tensor([[0.6, 0, 0.8], [0.3, 0, 0.4]]))


@pytest.mark.parametrize(("limit", "factor"), [(6.5, 0.5), (20.0, 1.0)])
def test_without_seeds_all_gradients_are_clipped_together(limit, factor):
    pair = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1, 1))]
    pair[0].grad, pair[1].grad = torch.tensor([3.0, 4]), torch.tensor([[12.0]])  # norm 13
    clip_per_seed(pair, 1, limit)
    torch.testing.assert_close(pair[0].grad, factor * torch.tensor([3.0, 4]))
    torch.testing.assert_close(pair[1].grad, factor * torch.tensor([[12.0]]))


@pytest.mark.parametrize("shape", [(3, 32, 96), (2, 96, 32)])
def test_orthogonal_levels_the_singular_values_and_keeps_the_directions(shape):
    """Newton-Schulz acts on singular values alone: U and V stay, S comes near 1."""
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, s, vt = torch.linalg.svd(matrices, full_matrices=False)
    core = u.mT @ orthogonal(matrices) @ vt.mT  # diagonal if the directions stay
    values = core.diagonal(dim1=1, dim2=2)
    assert (core - torch.diag_embed(values)).abs().max() < 1e-10
    assert values.min() > 0.65 and values.max() < 1.25 < s.max() / s.min()


@pytest.mark.parametrize(("dtype", "margin"), [(None, 0.03), (torch.bfloat16, 0.06)])
def test_muon_is_torchs_up_to_the_rounding_of_bfloat16(dtype, margin):
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(32, 64, generator=generator)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    pair = (
        Muon([ours], 1e-2, dtype=dtype),
        torch.optim.Muon([theirs], 1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(5):
        ours.grad = torch.randn(32, 64, generator=generator)
        theirs.grad = ours.grad.clone()
        for one in pair:
            one.step()
    assert (ours - theirs).abs().max() < margin * (ours - start).abs().max()


def tied_model() -> nn.Module:
    model = nn.ModuleDict(
        {"embedding": nn.Embedding(7, 4), "hidden": nn.Linear(4, 4), "out": nn.Linear(4, 7)}
    )
    model["out"].weight = model["embedding"].weight
    return model


def test_muon_gets_the_hidden_matrices_and_adamw_the_rest():
    model = tied_model()
    assert [id(w) for w in hidden_matrices(model)] == [id(model["hidden"].weight)]
    both = build_optimiser(model, "muon", 1e-3, 2e-2, 0.0)
    sizes = [sum(p.numel() for p in group["params"]) for group in both.param_groups]
    assert sizes == [16, 7 * 4 + 4 + 7] and [g["lr"] for g in both.param_groups] == [2e-2, 1e-3]
    with pytest.raises(ValueError, match="optimiser = 'lion': must be one of adamw, muon, sgd"):
        build_optimiser(model, "lion", 1e-3, 2e-2, 0.0)


def test_plain_gradient_descent_follows_the_gradient():
    before = NLA(initialisers([0, 1]), d_model=4, d_head=2).double()
    batch = Batches(draw, [0, 1], chunk=7)(0)
    loss(before, batch).sum().backward()
    after, _, _ = run([0, 1], steps=1, n_layers=1, optimiser="sgd", lr=0.1, **PLAIN)
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(new, old - 0.1 * old.grad)


def test_the_average_is_that_of_the_last_weights():
    plain, _, snapshots = run([0], steps=20, snapshots=range(21))
    averaged, _, _ = run([0], steps=20, average=0.2)
    for name, mean in averaged.state_dict().items():
        last = torch.stack([snapshots[step][name] for step in (17, 18, 19, 20)])
        torch.testing.assert_close(mean, last.mean(dim=0))
        assert not torch.equal(mean, plain.state_dict()[name])


def test_schedules_start_peak_and_end_where_they_should():
    assert schedule_factor("constant", 70, 100, 0) == 1
    assert [schedule_factor("constant", s, 100, 4) for s in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert schedule_factor("cosine", 10, 110, 10) == 1
    assert schedule_factor("cosine", 60, 110, 10) == pytest.approx(0.5)
    assert schedule_factor("one_cycle", 0, 100, 0) == 0
    assert schedule_factor("one_cycle", 30, 100, 0) == 1
    assert schedule_factor("one_cycle", 100, 100, 0) == pytest.approx(0)
    with pytest.raises(ValueError, match="schedule = 'linear'"):
        schedule_factor("linear", 0, 1, 0)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept"
    path.write_text("old", encoding="utf-8")

    def fails(partial):
        partial.write_text("half", encoding="utf-8")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_atomically(fails, path)
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]
