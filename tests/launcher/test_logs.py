"""Lines get through while somebody reads, and stop nothing when nobody does."""

from __future__ import annotations

import io
import os
import selectors

import pytest

from hub.launcher.logs import LogPump


def test_long_lines_arrive_whole() -> None:
    stream = io.StringIO()
    LogPump(selectors.DefaultSelector(), stream).say("web", "x" * 5000)
    assert stream.getvalue() == f"web       | {'x' * 5000}\n"


def test_an_unread_stream_loses_lines_and_does_not_block() -> None:
    reading_end, writing_end = os.pipe()
    with os.fdopen(writing_end, "w") as stream:
        log = LogPump(selectors.DefaultSelector(), stream)
        for _line in range(200):
            log.say("web", "x" * 1000)
        first = os.read(reading_end, 12)
        os.close(reading_end)
    assert first == b"web       | "


def test_a_stream_whose_reader_is_gone_stops_nothing() -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    stream = os.fdopen(writing_end, "w")
    LogPump(selectors.DefaultSelector(), stream).say("web", "anybody?")
    with pytest.raises(BrokenPipeError):
        stream.close()
