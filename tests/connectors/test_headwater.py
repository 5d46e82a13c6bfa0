"""Headwater to Headwater: what the other side's answers mean for what is still to come."""

from __future__ import annotations

import json

from connectors import registry
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import secrets_to_forget, validate_settings
from hub.ingest.decoding import Decoded
from hub.ingest.intake import messages_of, take_in
from hub.ingest.normalising import Arrival
from tests.connectors.fixtures import NOW, context_for
from tests.connectors.samples import BASE, CALLS

HEADWATER = registry.get("headwater")
OTHER = {"url": "https://other-hub.example", "write_key": "fake-write-key"}
PREPARED = HEADWATER.prepare(validate_settings(HEADWATER, OTHER))


def test_the_write_key_goes_nowhere_but_to_the_address_that_it_was_entered_for() -> None:
    assert secrets_to_forget(HEADWATER, OTHER, {**OTHER, "url": "https://elsewhere.example"}) == ("write_key",)


def test_handing_on_nothing_proves_the_write_key() -> None:
    assert HEADWATER.test is not None
    assert HEADWATER.interpret is not None
    request = HEADWATER.test(PREPARED, context_for([{}]))
    assert isinstance(request, RequestSpec)
    empty = b'{"success": true, "rejected": [{"index": null, "code": "empty_batch"}]}'
    assert HEADWATER.interpret(request, Response(200, body=empty))[0].outcome is Outcome.DELIVERED
    off = b'{"success": true, "rejected": [{"index": null, "code": "source_disabled"}]}'
    assert HEADWATER.interpret(request, Response(200, body=off))[0].outcome is Outcome.DISABLED
    assert HEADWATER.interpret(request, Response(401))[0].outcome is Outcome.UNAUTHORIZED


def test_events_of_up_to_the_other_sides_limit_are_handed_on() -> None:
    events = [
        {"type": "track", "event": "x", "userId": "ada", "properties": {"note": "é" * count}}
        for count in (16_000, 16_384)
    ]
    request, refused = sorted(
        HEADWATER.action("forward").build([{"data": one} for one in events], PREPARED, context_for(events)),
        key=lambda one: not isinstance(one, RequestSpec),
    )
    assert request.covers == (0,)  # type: ignore[union-attr]
    assert (refused.index, refused.reason) == (1, "event_too_large")  # type: ignore[union-attr]


def test_what_one_headwater_hands_on_another_takes_in_with_its_id_and_its_time() -> None:
    events = [{**BASE, **call} for call in CALLS]
    (request,) = HEADWATER.action("forward").build([{"data": one} for one in events], PREPARED, context_for(events))
    body = json.loads(json.dumps(request.body))  # type: ignore[union-attr]
    messages, envelope, fault = messages_of(Decoded(body), None)
    taken = take_in(messages, envelope, Arrival(NOW, "source-1"), fault)
    assert taken.refusals == []
    stored = [json.loads(row.body) for row in taken.rows]
    assert {one["timestamp"] for one in stored} == {BASE["timestamp"]}
    assert {one["messageId"] for one in stored} == {BASE["messageId"]}
    assert all(one["context"]["integration"] == {"name": "Headwater", "hops": 1} for one in stored)
