"""How long things take is guessed from what was measured, in proportion to what is asked for."""

from dataclasses import replace

import pytest

from attention_in_motion.book import cost
from attention_in_motion.chapters import contents
from attention_in_motion.training import store


def test_every_page_was_measured():
    assert cost.seconds().keys() == contents.PAGES.keys()
    assert all(duration > 0 for duration in cost.seconds().values())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "a time never measured"),
        (0.2, "less than a second"),
        (53.4, "about 53 s"),
        (119.0, "about 120 s"),
        (754.0, "about 13 min"),
        (7200.0, "about 2 h"),
        (36000.0, "about 10 h"),
    ],
)
def test_durations_in_words(seconds, words):
    assert cost.about(seconds) == words


def test_the_published_page_trains_nothing_that_is_not_part_of_it(monkeypatch, tmp_path):
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path))
    for page in contents.PAGES:
        (line,) = cost.plan(page, {})
        assert line == f"executes {page}: {cost.about(cost.seconds()[page])}"


def test_what_is_to_be_trained_is_named_with_its_time(monkeypatch, tmp_path):
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path))
    row = next(row for row in store.manifest() if row["name"] == "03-8la-32-16-open")
    _, line = cost.plan("frequency", {"steps": 2 * row["config"]["steps"]})
    assert line == f"trains first 8LA 32/16 open: {cost.about(2 * row['seconds'])}"
    _, again = cost.plan("frequency", {"retrain": True})
    assert again == f"trains first 8LA 32/16 open: {cost.about(row['seconds'])}"


def test_what_was_trained_before_is_not_trained_again(monkeypatch, tmp_path):
    monkeypatch.setenv("AIM_WEIGHTS", str(tmp_path))
    module, given = contents.named("frequency"), {"steps": 7}
    p = module.Parameters.given(cost.parameters.defaults("frequency") | given)
    ((name, run),) = module.runs(p).items()
    assert len(cost.plan("frequency", given)) == 2
    key = store.digest(run)
    (tmp_path / f"03-{store.slug(name)}-{key}.safetensors").touch()
    assert len(cost.plan("frequency", given)) == 1


def test_a_page_that_trains_live_takes_longer_with_more_to_train():
    (more,) = cost.plan("1", {"n_seeds": 30})
    assert more == f"executes 01_fixed_omega: {cost.about(3 * cost.seconds()['01_fixed_omega'])}"
    (less,) = cost.plan("1", {"n_seeds": 2})
    assert less.startswith("executes 01_fixed_omega: at most about ")


def test_work_grows_with_steps_and_seeds():
    run = store.run_of(store.manifest()[0])
    assert cost.work(replace(run, steps=3 * run.steps)) == 3 * cost.work(run)


def test_a_shorter_training_of_odeformer_is_said_to_take_less():
    config = "configs/odeformer/twin.toml"
    whole = cost.odeformer(config)
    assert cost.odeformer(config, 2000) == pytest.approx(whole / 10)  # of its 20 000 steps
    assert cost.odeformer("configs/odeformer/none.toml", 2000) is None
