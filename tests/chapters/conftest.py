"""Re-running a page through real papermill, as a reader does; networks for it to look at."""

import subprocess
import sys
from dataclasses import asdict

import papermill
import pytest
import torch

from attention_in_motion.book import reading
from attention_in_motion.chapters import contents
from attention_in_motion.odeformer import weights
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.paths import BOOK

HOUR = 3600  # seconds that a kernel may take to start beside other work
QUIETLY = {"progress_bar": False, "start_timeout": HOUR}
PATIENT = ("--no-progress-bar", "--start-timeout", str(HOUR))


@pytest.fixture
def rerun(tmp_path, monkeypatch):
    """rerun(page, name=value, ...) → the page's reading; every claim of the page is in it."""

    def run(page, **parameters):
        monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path / "weights"))
        out = tmp_path / "out.ipynb"
        source = BOOK / f"{page}.ipynb"
        papermill.execute_notebook(source, out, parameters, **QUIETLY, cwd=tmp_path)
        found = reading.read(out)
        assert found.page == page and set(found.claims) == set(contents.PAGES[page].RULES)
        assert found.parameters | parameters == found.parameters
        return found

    return run


@pytest.fixture
def refusal(tmp_path):
    """refusal(page, "-p", name, value) → the last line of a papermill run that must fail."""

    def run(page, *options):
        command = [sys.executable, "-m", "papermill", *PATIENT, *options]
        paths = [str(BOOK / f"{page}.ipynb"), str(tmp_path / "out.ipynb")]
        done = subprocess.run([*command, *paths], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode != 0
        return done.stderr.strip().splitlines()[-1]

    return run


@pytest.fixture(scope="module")
def random_networks(tmp_path_factory):
    """(folder, {layers: network}): random, narrow, in the released numbers of layers or in fewer.

    The folder has the weights of each, 4.safetensors of the released numbers, 3.safetensors.
    """
    folder, networks = tmp_path_factory.mktemp("toy"), {}
    widths = {"encoder_width": 32, "decoder_width": 32, "embedding_width": 8, "precision": 2}
    for layers in (3, 4):
        sizes = {"encoder_layers": layers, "decoder_layers": 3 * layers, "max_dimension": 6}
        config = ODEFormerConfig(**sizes, **widths)
        networks[layers] = ODEFormer(config, torch.Generator().manual_seed(layers)).eval()
        record = {"config": {"model": asdict(config)}}
        weights.save(networks[layers], record, folder / f"{layers}.safetensors")
    return folder, networks
