"""What clients do wrong is a line in the log, and not a fault of ours with a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from hub.observability import log


class Heard(logging.Handler):
    """Keeps what reaches the log, as the product's own handler would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.addFilter(log.client_fault)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def heard() -> Iterator[list[logging.LogRecord]]:
    handler = Heard()
    logging.getLogger().addHandler(handler)
    yield handler.records
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("host", ["evil.example", "a b", "x" * 5000])
def test_a_wrong_host_is_one_short_line_without_a_traceback(host: str, heard: list[logging.LogRecord]) -> None:
    assert Client(headers={"Host": host}).get("/admin/login/").status_code == 400
    (record,) = heard
    assert (record.name, record.levelname, record.exc_info) == ("django.security.DisallowedHost", "WARNING", None)
    assert len(record.getMessage()) <= 200


def test_our_own_faults_keep_their_traceback() -> None:
    fault: Any = logging.makeLogRecord({"name": "django.request", "levelname": "ERROR", "exc_info": (1, 2, 3)})
    assert log.client_fault(fault)
    assert (fault.levelname, fault.exc_info) == ("ERROR", (1, 2, 3))
