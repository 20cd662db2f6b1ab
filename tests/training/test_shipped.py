"""Every shipped file: small, intact, and reproduced by its own configuration."""

import pytest
import torch

from attention_in_motion.paths import DATA
from attention_in_motion.training import store
from attention_in_motion.training.descent import fit

ROWS = store.manifest()


def named(rows):
    return pytest.mark.parametrize("row", rows, ids=[row["name"] for row in rows])


@named(ROWS)
def test_stored_inputs_give_stored_outputs(row):
    trained = store.load_or_train(store.run_of(row), row["name"])
    stored = trained.part("sample.")
    output = trained.model(stored["input"])
    torch.testing.assert_close(output, stored["output"], rtol=1e-4, atol=1e-6)


class Enough(Exception):
    pass


@named(ROWS)
def test_the_first_steps_are_reproduced(row):
    run, seen = store.run_of(row), []
    steps, losses = store.load_or_train(run, row["name"]).losses
    source = run.batches()

    def twenty(step):
        if step == 20:
            raise Enough
        return source(step)

    def watched(model, batch):
        seen.append(run.loss(model, batch))
        return seen[-1]

    options = {key: getattr(run, key) for key in store.RECIPE_FIELDS}
    with pytest.raises(Enough):
        fit(run.model(), watched, twenty, **options)
    assert steps[:20].tolist() == list(range(20))
    torch.testing.assert_close(torch.stack(seen), losses[:20], rtol=1e-3, atol=0)


def test_the_manifest_and_the_folder_name_the_same_files():
    listed = {row["file"] for row in ROWS}
    assert listed == {path.name for path in DATA.glob("*.safetensors")}


def test_data_stays_small():
    total = sum(p.stat().st_size for p in DATA.rglob("*") if p.is_file())
    assert total <= 120e6
