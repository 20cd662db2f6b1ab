"""The table of the subspace search: what it holds, that it goes on, and whom it refuses."""

from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from attention_in_motion.measures import subspace_table
from attention_in_motion.measures.subspace_table import Settings
from attention_in_motion.measures.subspaces import Search
from attention_in_motion.physics.oscillator import propagator
from attention_in_motion.training import store
from attention_in_motion.training.oscillator import OscillatorRun, SolverRun

SHAPE = {"context": 5, "n_layers": 2, "d_model": 4, "d_head": 4, "d_mlp": 4, "causal": False}
TOY = {"omega0_min": 1.0, "omega0_max": 4.0, "loss_on": "last", "steps": 2, "batch": 8, **SHAPE}
RUN = SolverRun(seeds=(0, 1), foreign_last=True, **TOY)
BRIEF = Settings(8, 4, 6, search=Search(most=2, restarts=1, iterations=2))


@pytest.fixture
def solver(tmp_path):
    """The path of a solver of two seeds, trained for two steps."""
    path = tmp_path / "solver.safetensors"
    store.write(store.train(RUN), path)
    return path


def test_a_table_has_every_place_of_the_model_and_of_it_untrained(solver, tmp_path):
    path = tmp_path / "table.json"
    table = subspace_table.extend(path, [str(solver)], BRIEF)
    blank, found = RUN.model(), store.opened(solver).model
    for model in (found, blank):
        rows = subspace_table.rows_for(table, model)
        assert list(rows) == [
            *(f"core.blocks.0.{place}" for place in ("attention.heads", "resid_mid", "resid_post")),
            *(f"core.blocks.1.{place}" for place in ("attention.heads", "resid_mid")),
        ]
        for row in rows.values():
            assert all(torch.tensor(row[name]).shape == (2, 2) for name in row)
        assert subspace_table.best(rows).shape == (2,)
    assert subspace_table.read(path) == table
    other = replace(RUN, seeds=(2, 3)).model()
    assert not subspace_table.rows_for(table, other)
    assert not subspace_table.rows_for({}, found)
    models = {"trained": found, "untrained": blank}
    assert set(subspace_table.shares(table, models)) == set(models)
    assert not subspace_table.shares(table, {**models, "other": other})  # all or none
    middles = subspace_table.medians(table, {**models, "other": other})
    assert set(middles) == set(models)
    last = middles["trained"]["blocks.1.resid_mid"]
    row = subspace_table.rows_for(table, found)["core.blocks.1.resid_mid"]
    assert last.tolist() == pytest.approx(row["median"][1])  # of two directions


def test_what_stands_in_the_table_is_not_computed_again(solver, tmp_path, monkeypatch):
    path = tmp_path / "table.json"
    whole = subspace_table.extend(path, [str(solver)], BRIEF)
    row, digest = whole["rows"][store.digest_of(RUN.model())], store.digest_of(RUN.model())
    lost = row["places"].popitem()
    subspace_table.write(whole, path)
    computed = []
    monkeypatch.setattr(
        subspace_table, "row_of", lambda model, place, *rest: computed.append(place) or lost[1]
    )
    again = subspace_table.extend(path, [str(solver)], BRIEF)
    assert computed == [lost[0]] and again["rows"][digest]["places"][lost[0]] == lost[1]
    subspace_table.extend(path, [str(solver)], replace(BRIEF, seed=1))  # begun anew
    assert len(computed) == 1 + 10


def test_pairs_are_like_the_windows_of_training():
    flow_of = lambda test: propagator(test.omega0, test.gamma, RUN.dt)  # noqa: E731
    for foreign in (False, True):
        pairs = subspace_table.pairs_like(replace(RUN, foreign_last=foreign), 40, seed=0)
        assert (pairs.base.omega0 - pairs.source.omega0).abs().min() >= 0.75 - 1e-6
        for test in (pairs.base, pairs.source):
            states = test.windows
            on = torch.einsum("nij,ntj->nti", flow_of(test), states)  # where ω0 takes each state
            torch.testing.assert_close(on[:, :-2], states[:, 1:-1])  # one motion up to the last
            kept = (on[:, -2] - states[:, -1]).norm(dim=-1) < 1e-5
            assert not kept.any() if foreign else kept.all()
            torch.testing.assert_close(on[:, -1], test.next)


def test_each_seed_has_its_own_best_place_and_size():
    rows = {
        "one": {"choosing": [[0.1, 0.5], [0.2, 0.0]], "share": [[1.0, 2.0], [3.0, 4.0]]},
        "two": {"choosing": [[0.9, 0.1], [0.0, 0.3]], "share": [[5.0, 6.0], [7.0, 8.0]]},
    }
    assert subspace_table.best(rows).tolist() == [5.0, 2.0]


def test_what_is_no_solver_is_refused_in_one_line(tmp_path):
    out = ["--out", str(tmp_path / "table.json")]
    done = CliRunner().invoke(subspace_table.main, ["nowhere.safetensors", *out])
    assert done.exit_code == 2 and "nowhere.safetensors: no such file" in done.output
    path = tmp_path / "rung.safetensors"
    store.write(store.train(OscillatorRun(seeds=(0,), steps=1)), path)
    done = CliRunner().invoke(subspace_table.main, [str(path), *out])
    assert done.exit_code == 2 and "must be a solver, is a OscillatorRun" in done.output
    path.write_bytes(b"nothing")
    done = CliRunner().invoke(subspace_table.main, [str(path), *out])
    assert done.exit_code == 2 and "not a readable weights file" in done.output
    assert not (tmp_path / "table.json").exists()
