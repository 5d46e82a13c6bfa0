"""The door for callers inside the product."""

from __future__ import annotations

import pytest

from hub.events.log import LogUnavailable
from hub.ingest import services
from tests.ingest.running import Ingest

MESSAGE = {"type": "track", "event": "Audience Entered", "userId": "ada", "messageId": "m1"}


def test_messages_are_stored_under_their_source_when_the_call_returns(ingest: Ingest) -> None:
    source = ingest.source()
    result = services.accept(source, [MESSAGE, {**MESSAGE, "messageId": "m2"}])
    assert result.message_ids == ("m1", "m2")
    assert [body["messageId"] for body in ingest.bodies(source)] == ["m1", "m2"]
    assert [body["channel"] for body in ingest.bodies(source)] == ["server", "server"]


def test_refused_messages_are_listed_and_counted(ingest: Ingest) -> None:
    source = ingest.source()
    result = services.accept(source, [{"type": "track"}, MESSAGE, {**MESSAGE, "properties": {"x": object()}}])
    assert [(refusal.index, refusal.code) for refusal in result.rejected] == [
        (0, "no_user_anon_id"),
        (2, "unsupported_value"),
    ]
    assert ingest.counts(source) == (3, 2, 0, 1)


def test_sending_again_is_safe(ingest: Ingest) -> None:
    source = ingest.source()
    services.accept(source, [MESSAGE])
    services.accept(source, [MESSAGE])
    assert ingest.counts(source) == (2, 0, 1, 1)


def test_text_that_the_log_cannot_hold_is_repaired(ingest: Ingest) -> None:
    source = ingest.source()
    services.accept(source, [{**MESSAGE, "userId": "a\x1fb\x00", "properties": {"n": float("nan"), "s": "\ud800"}}])
    (body,) = ingest.bodies(source)
    assert body["userId"] == "a\ufffdb\ufffd"
    assert body["properties"] == {"n": None, "s": "\ufffd"}


def test_a_log_that_is_away_is_told(ingest: Ingest) -> None:
    source = ingest.source()
    ingest.start(dsn="host=127.0.0.1 port=1 dbname=none user=none")
    with pytest.raises(LogUnavailable):
        services.accept(source, [MESSAGE])


def test_nothing_to_accept_is_nothing_done(ingest: Ingest) -> None:
    source = ingest.source()
    assert services.accept(source, []).message_ids == ()
    assert ingest.counts(source) == (0, 0, 0, 0)
