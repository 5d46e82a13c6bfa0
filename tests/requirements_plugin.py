"""Turns a skip into a failure where the machine is meant to have what the test needs.

Tests that need Chromium or Node.js skip with the reason on a bare machine. Continuous integration installs both, loads
this plugin (`pytest -p tests.requirements_plugin`) and names the markers in HEADWATER_REQUIRE, so that a test which
silently stopped running is noticed there.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

REQUIRED = frozenset(word.strip() for word in os.environ.get("HEADWATER_REQUIRE", "").split(",") if word.strip())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what was skipped though it carries a required marker; an expected failure is no skip."""
    report = yield
    required = sorted(REQUIRED.intersection(mark.name for mark in item.iter_markers()))
    if report.skipped and required and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{', '.join(required)} must not be missing here: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skipped itself: what it would have run is not known."""
    report = yield
    if report.skipped and REQUIRED:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} skipped itself where nothing may be skipped: {report.longrepr}"
    return report
