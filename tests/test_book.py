"""The builder's version is checked before it builds nothing and says so to nobody."""

import pytest

from attention_in_motion import __main__ as cli


def test_version_two_of_the_builder_is_refused(monkeypatch, capsys):
    assert cli.check_builder(None) == 0
    monkeypatch.setattr(cli, "version", lambda name: "2.1.7")
    with pytest.raises(ValueError, match=r"jupyter-book = 2\.1\.7: must be 1\.x"):
        cli.check_builder(None)
