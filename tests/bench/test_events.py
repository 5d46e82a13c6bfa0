from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from hub.bench import events
from hub.ingest import intake
from hub.ingest.decoding import decode
from hub.ingest.normalising import BATCH_LIMIT, SINGLE_LIMIT, Arrival

ARRIVAL = Arrival(datetime(2026, 3, 1, 12, tzinfo=UTC), "source")


@pytest.mark.parametrize("body", [events.single("run"), events.batch("run", 100)], ids=["single", "batch"])
def test_a_body_keeps_its_length_whatever_its_number(body: bytes) -> None:
    assert {len(events.numbered(body, number)) for number in (0, 7, 10**9)} == {len(body)}


def test_an_event_is_about_as_large_as_the_figures_say() -> None:
    assert 750 <= len(events.single("run")) <= 900


def test_ingest_takes_every_event_of_a_batch_with_an_id_of_its_own() -> None:
    body = events.batch("run", 100)
    ids = set()
    for number in range(3):
        decoded = decode(events.numbered(body, number), "", BATCH_LIMIT)
        taken = intake.take_in(*intake.messages_of(decoded, None)[:2], ARRIVAL)
        assert taken.refusals == []
        ids |= {row.message_id for row in taken.rows}
    assert len(ids) == 300


def test_the_users_of_single_events_are_many() -> None:
    bodies = [events.numbered(events.single("run"), number) for number in range(5_000)]
    assert len({orjson.loads(body)["userId"] for body in bodies}) == events.USERS


def test_a_single_event_is_taken_too() -> None:
    decoded = decode(events.numbered(events.single("run"), 1), "", SINGLE_LIMIT)
    assert intake.take_in(*intake.messages_of(decoded, "track")[:2], ARRIVAL).refusals == []
