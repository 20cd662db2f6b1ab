"""Counting: every fault that was survived is printed by kind at the end of the session."""

from __future__ import annotations

from collections import Counter

import harness
import pytest


@pytest.fixture
def count(record_property):
    """count("kind of fault", n): so many more were survived."""
    return lambda kind, n=1: record_property("fault", (kind, n))


def pytest_terminal_summary(terminalreporter) -> None:
    found: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in getattr(report, "user_properties", ()):
            if name == "fault" and report.when == "call":
                found[value[0]] += value[1]
    if found:
        terminalreporter.section(f"faults survived, {harness.SCALE:.0%} of the full counts")
        lines = [f"{n:6} {kind}" for kind, n in sorted(found.items())]
        terminalreporter.write_line("\n".join(lines))
