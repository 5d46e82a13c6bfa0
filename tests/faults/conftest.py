"""One product for all tests of a test process that can share it, a receiver for each test, and what it all cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import pytest

from tests.faults import telling
from tests.faults.product import Product
from tests.faults.receiver import SwitchReceiver
from tests.faults.shared import shared_product


@pytest.fixture
def product(pytestconfig: pytest.Config) -> Product:
    return shared_product(pytestconfig)


@pytest.fixture
def switch() -> Iterator[SwitchReceiver]:
    with SwitchReceiver() as running:
        yield running


@pytest.fixture(autouse=True)
def _told(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Hand what a test told to its report, which also travels between test processes."""
    told = telling.teller.begin()
    yield
    if told.killed or told.confirmed:
        record_property(telling.PROPERTY, told.as_property())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was killed, what was lost and what came twice."""
    found = {}
    for report in chain.from_iterable(terminalreporter.stats.values()):
        for name, told in getattr(report, "user_properties", []):
            if name == telling.PROPERTY:
                found[report.nodeid.rpartition("/")[2]] = told
    if found:
        terminalreporter.section("what was killed, lost and repeated")
        for line in telling.lines(sorted(found.items())):
            terminalreporter.write_line(line)
