"""The commands, as a user types them."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def command():
    """command("run", 1, ...) → what it said and its exit status."""

    def run(*words, **options):
        line = [sys.executable, "-m", "attention_in_motion", *map(str, words)]
        options = {"capture_output": True, "text": True, "encoding": "utf-8", **options}
        return subprocess.run(line, **options)

    return run
