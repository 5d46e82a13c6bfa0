"""Events that are handed on as they are: not read where nothing needs their inside, and named without reading them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import orjson
import pytest

from connectors import registry
from connectors.base import ALL_CALLS
from hub.delivery import config as configs
from hub.delivery import prepare
from hub.delivery.calls import Call
from hub.delivery.chunk import Chunk
from hub.delivery.config import Config
from hub.delivery.lanes import Lane
from hub.delivery.outcomes import Status
from hub.delivery.parts import Delivery, DeliveryIds, Part, Tag
from hub.delivery.run import Memory, Run
from hub.delivery.stored import Stored, StoredMapping
from hub.events.cursors import LogRow, Position
from hub.lib.net import Answer
from hub.routing.decide import Interval, Link, Plan

SOURCE, DESTINATION, MAPPING = UUID(int=1), UUID(int=2), UUID(int=3)
ALWAYS = (Interval((1, 0), None),)
WHOLE = {"data": {"@path": "$."}}
SECRET = "whsec_" + "A" * 43 + "="


def a_config(
    batch_size: int = 0, trigger: str = ALL_CALLS, fields: dict[str, Any] | None = None, mapping: UUID = MAPPING
) -> Config:
    """A webhook with one mapping, as a turn has it."""
    settings = {"url": "https://a.example/", "signing_secret": SECRET, "batch_size": batch_size}
    webhook = registry.get("webhook")
    stored = StoredMapping(mapping, "All", "send", trigger, fields or WHOLE, 1)
    rule, route = configs._compile(stored, DESTINATION, webhook, settings)
    found = Config(
        workspace_id=UUID(int=9),
        destination_id=DESTINATION,
        stored=Stored("Hook", "webhook", {}, {}, True, False, "none", 24, None, "active", 1, "dead", [], [], []),
        connector=webhook,
        prepared=webhook.prepare(settings),
        rules={mapping: rule},
        routes=(route,),
        checks=None,
        calls_per_second=None,
        secrets=(),
        public_url="https://hub.example",
    )
    found.take_plan(Plan(True, False, frozenset({"Webhook"}), ALWAYS, {SOURCE: Link(True, ALWAYS)}, (route,)))
    return found


def a_row(seq: int, body: str | None = None, message_id: str = "m") -> LogRow:
    text = f'{{"type":"track","messageId":"{message_id}","properties":{{"n":{seq},"price":8.90,"tea":"\u8336"}}}}'
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return LogRow(seq, 100, SOURCE, at, 0, "track", "Tea", 5, message_id, text if body is None else body)


def sent(config: Config, rows: list[LogRow]) -> tuple[Chunk, list[Call]]:
    """A chunk of these rows, and the calls that it makes, all answered with 200."""
    run = Run(config, Lane(cast(Any, None), "lane", 64, False), Memory(), lambda: None, lambda: None)
    chunk = Chunk(run, [Delivery(row) for row in rows], Position(1, 100, rows[-1].seq))
    calls = list(iter(chunk.next_call, None))
    for call in calls:
        chunk.finish(call, Answer(200))
    return chunk, calls


def test_a_whole_event_goes_out_as_the_very_text_of_the_log() -> None:
    row = a_row(1)
    _, [call] = sent(a_config(), [row])
    assert call.body == row.body.encode()


def test_a_batch_of_whole_events_is_an_array_of_their_texts() -> None:
    rows = [a_row(seq) for seq in range(3)]
    _, [call] = sent(a_config(batch_size=3), rows)
    assert call.body == f"[{rows[0].body},{rows[1].body},{rows[2].body}]".encode()


def test_text_and_reading_give_equal_bodies() -> None:
    row = a_row(1, orjson.dumps({"integrations": {}, "n": [1.5, -0.0, 1e300, 2**60], "t": "\x7f\u2028é"}).decode())
    _, [handed_on] = sent(a_config(), [row])
    _, [read] = sent(a_config(trigger='type != "page"'), [row])
    assert handed_on.body == read.body


@pytest.mark.parametrize("member", ['"integrations":{"All":false}', '"_metadata":{"bundled":["Webhook"]}'])
def test_an_event_that_excludes_the_destination_does_not_go_out_unread(member: str) -> None:
    chunk, calls = sent(a_config(), [a_row(1, f'{{"type":"track",{member}}}')])
    assert not calls
    assert [item.status for item in chunk.outcome.decided] == [Status.FILTERED]


def test_a_trigger_is_asked_about_every_event() -> None:
    config = a_config(trigger='event = "Coffee"')
    _, calls = sent(config, [a_row(1)])
    assert not calls
    assert not config.unread


@pytest.mark.parametrize(
    "looks", [{"chosen": lambda _message: True}, {"rules": object()}], ids=["a replay's filter", "filters"]
)
def test_what_looks_into_events_has_them_read(looks: dict[str, Any]) -> None:
    config = a_config()
    assert config.unread == (MAPPING,)
    config.take_plan(replace(config.plan, **looks))
    assert not config.unread


def test_a_mapping_that_picks_has_events_read() -> None:
    config = a_config(fields={"data": {"n": {"@path": "$.properties.n"}}})
    _, [call] = sent(config, [a_row(7)])
    assert json.loads(call.body or b"") == {"n": 7}
    assert not config.unread


def key_of(config: Config, rows: list[LogRow]) -> str:
    _, [call] = sent(config, rows)
    return str(cast(Tag, call.tag).spec.idempotency_key)


def test_the_same_members_make_the_same_batch_and_others_another() -> None:
    rows = [a_row(1), a_row(2), a_row(3)]
    later = [row._replace(received_at=datetime(2026, 3, 2, tzinfo=UTC)) for row in rows]
    make: Callable[[], Config] = lambda: a_config(batch_size=3)  # noqa: E731 - the type is the point
    assert key_of(make(), rows) == key_of(make(), rows)
    others = [key_of(make(), [rows[1], rows[0], rows[2]]), key_of(make(), later), key_of(make(), [*rows[:2], a_row(4)])]
    elsewhere = key_of(a_config(batch_size=3, mapping=UUID(int=4)), rows)
    assert len({key_of(make(), rows), *others, elsewhere}) == 5


def test_delivery_ids_are_those_that_a_search_works_out() -> None:
    config, rows = a_config(), [a_row(1, message_id="a"), a_row(2, message_id="b")]
    rule = config.rules[MAPPING]
    parts = [Part(Delivery(row), rule, prepare.accepted(config, row), None) for row in rows]
    expected = [prepare.delivery_id(config, rule, row) for row in rows]
    assert list(DeliveryIds(parts)) == expected == DeliveryIds(parts)[0:2]
    assert len(DeliveryIds(parts)) == 2
