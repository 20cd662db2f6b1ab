"""Held-out trajectories for the tests of measures."""

import pytest
import torch

from attention_in_motion.measures import trajectories


@pytest.fixture
def make():
    """make(n, gamma=..., context=..., low=..., high=...) → a float64 test set."""

    def made(n=64, *, gamma=(0.1, 0.1), context=12, steps=10, low=1.0, high=4.0, **options):
        omega0 = trajectories.evenly(low, high, n)
        shared = {"dt": 0.1, "context": context, "steps": steps, "dtype": torch.float64}
        return trajectories.held_out(omega0, gamma=gamma, **{**shared, **options})

    return made
