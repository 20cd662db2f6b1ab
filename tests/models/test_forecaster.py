"""The library's transformer: built without a network, asked in the right shapes."""

import socket

import pytest
import torch

from attention_in_motion.models import forecaster

SIZES = {"context": 12, "horizon": 3, "width": 8}
PAST = 12 + 7


def forecasters(seeds=(0,), variates=1):
    return forecaster.Forecasters(seeds, variates=variates, **SIZES)


def series(n=4, variates=1, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn((n, PAST + 3, variates), generator=rng)


def test_building_and_asking_opens_no_connection(monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refused)
    member = forecasters().members[0]
    assert forecaster.nats(member, series()).shape == (4,)


def test_a_seed_means_its_weights_and_leaves_the_global_stream_alone():
    before = torch.get_rng_state()
    first, second, again = forecasters((0, 1, 0)).members
    assert torch.equal(before, torch.get_rng_state())
    weights = [member.model.encoder.layers[0].fc1.weight for member in (first, second, again)]
    assert torch.equal(weights[0], weights[2]) and not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize("variates", [1, 2])
def test_nats_are_the_librarys_own_loss(variates):
    model, x = forecasters((0, 1), variates), series(variates=variates)
    own = [member(**forecaster.split(member, x)).loss / variates for member in model.members]
    assert torch.allclose(model.nats(torch.stack([x, x])), torch.stack(own))


def test_a_forecast_reads_no_value_that_it_forecasts():
    member, x = forecasters().members[0], series()
    changed = x.clone()
    changed[:, PAST + 1 :] += 5
    first, other = (forecaster.distribution(member, one).mean for one in (x, changed))
    assert torch.allclose(first[:, :2], other[:, :2]) and not torch.allclose(first, other)
    drawn = [forecaster.sampled(member, one, 6, seed=0) for one in (x, changed)]
    assert drawn[0].shape == (4, 6, 3, 1) and torch.equal(*drawn)


def test_samples_follow_the_distribution_of_the_first_step():
    member, x = forecasters().members[0], series(2)
    drawn = forecaster.sampled(member, x, 4000, seed=0)[:, :, 0, 0]
    said = forecaster.distribution(member, x)
    error = (drawn.mean(1) - said.mean[:, 0]).abs()
    assert (error < 5 * said.stddev[:, 0] / 4000**0.5).all()


def test_other_shapes_are_refused():
    member = forecasters().members[0]
    with pytest.raises(ValueError, match=r"x \(4, 21, 1\): must be \(batch, 22, 1\)"):
        forecaster.nats(member, series()[:, 1:])
