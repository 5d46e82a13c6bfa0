"""What vendors' calls may hold: junk, too much, other character sets, files, and what a mapping makes of it."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
from dataclasses import replace
from typing import Any

import pytest

from hub.ingest.webhooks import LARGEST_CALL
from tests.connectors.sources.calls import Fixture, multipart
from tests.ingest.doors import Door, FrontDoor
from tests.ingest.running import Ingest
from tests.ingest.vendors import (
    FIRST,
    NAMED,
    PATH,
    PUBLIC_URL,
    URL,
    every_source,
    refused,
    resigned,
    send,
    set_up,
)


@pytest.fixture(autouse=True)
def public_url(settings: Any) -> None:
    settings.PUBLIC_URL = PUBLIC_URL


NOT_JSON = [b"", b"{", b"[1,", b"\xff\xfe", b"null", b"12", b'"text"', b"[" * 30_000, b'{"a":' * 30_000, b"\x00"]
JSON_SOURCES = [one for one in FIRST if one.slug not in ("twilio", "sendgrid_inbound")]


@pytest.mark.parametrize("fixture", JSON_SOURCES, ids=lambda one: one.slug)
@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_a_signed_call_that_cannot_be_read_is_refused_and_in_the_books(
    ingest: Ingest, fixture: Fixture, body: bytes
) -> None:
    source = set_up(ingest, fixture)
    headers = {**fixture.call().headers, "content-type": "application/json"}
    reply = send(FrontDoor(), resigned(fixture, body=body, headers=headers))
    assert (reply.status, reply.json["code"]) == (400, "malformed_payload")
    assert ingest.counts(source) == (1, 1, 0, 0)
    assert refused(ingest, source) == ["malformed_payload"]


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/xml", "application/JSON; charset=utf-16", "a/b;;=", "ü"]
)
def test_json_is_read_whatever_its_type_says(door: Door, ingest: Ingest, kind: str) -> None:
    fixture = NAMED["stripe-invoice_payment_failed"]
    source = set_up(ingest, fixture)
    headers = {name: value for name, value in fixture.call().headers.items() if name != "content-type"}
    headers |= {"content-type": kind} if kind else {}
    assert send(door, resigned(fixture, headers=headers)).status == 200
    assert len(ingest.bodies(source)) == 1


@every_source
@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x"]
)
def test_a_form_that_is_none_is_refused(door: Door, ingest: Ingest, fixture: Fixture, kind: str) -> None:
    set_up(ingest, fixture)
    reply = send(door, resigned(fixture, body=b"no form at all", headers={"content-type": kind}))
    assert (reply.status, reply.json["code"]) == (400, "bad_request")


def test_a_form_with_too_many_fields_is_refused(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["twilio-status_delivered"]
    set_up(ingest, fixture)
    reply = send(door, replace(fixture.call(URL), body=b"&".join([b"a=1"] * 2_000)))
    assert (reply.status, reply.json["code"]) == (400, "bad_request")
    reply = send(door, replace(fixture.call(URL), query="&".join(["a=1"] * 2_000)))
    assert (reply.status, reply.json["code"]) == (400, "bad_request")


def test_a_call_without_a_number_of_its_own_is_malformed(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["twilio-status_delivered"]
    source = set_up(ingest, fixture)
    reply = send(door, resigned(fixture, body=b"Hello=1"))
    assert (reply.status, reply.json["code"]) == (400, "malformed_payload")
    assert ingest.counts(source) == (1, 1, 0, 0)


@every_source
def test_a_body_that_is_too_large_is_refused(door: Door, ingest: Ingest, fixture: Fixture) -> None:
    source = set_up(ingest, fixture)
    headers = {**fixture.call().headers, "content-type": "application/json"}
    reply = send(door, resigned(fixture, body=b" " * (LARGEST_CALL + 1), headers=headers))
    assert (reply.status, reply.json["code"]) == (400, "payload_too_large")
    assert ingest.counts(source) == (0, 0, 0, 0)


def test_a_large_body_is_taken(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["stripe-invoice_payment_failed"]
    source = set_up(ingest, fixture)
    told = json.loads(fixture.call().body)
    told["data"]["object"]["lines"] = [{"n": number, "text": "x" * 100} for number in range(10_000)]
    reply = send(door, resigned(fixture, body=json.dumps(told).encode()))
    assert reply.status == 200
    (body,) = ingest.bodies(source)
    assert body["properties"]["object"]["id"] == "in_1"
    assert body["properties"]["left_out"] == ["object"]


def test_a_packed_body_is_checked_as_it_came_and_then_unpacked(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["github-issue_opened"]
    source = set_up(ingest, fixture)
    call = fixture.call(URL)
    packed = resigned(fixture, body=gzip.compress(call.body), headers={**call.headers, "content-encoding": "gzip"})
    assert send(door, packed).status == 200
    assert len(ingest.bodies(source)) == 1


def test_hostile_content_of_a_signed_call_is_repaired_or_refused_alone(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["sendgrid_events-batch"]
    source = set_up(ingest, fixture)
    item = '{"event":"open","sg_event_id":"%s","email":"a@b.c","x":%s}'
    values = ["NaN", "1e999", '"\\u0000"', '"\\ud800"', "[" * 40 + "]" * 40, "9" * 400]
    listed = [item % (number, value) for number, value in enumerate(values)]
    body = f"[{','.join([*listed, '7', 'null'])}]".encode()
    assert send(door, resigned(fixture, body=body)).status == 200
    received, rejected, _, accepted = ingest.counts(source)
    assert (received, rejected, accepted) == (8, 2, 6)
    assert set(refused(ingest, source)) == {"message_not_object"}


@every_source
def test_random_changes_of_a_call_crash_nothing(ingest: Ingest, fixture: Fixture) -> None:
    set_up(ingest, fixture)
    dice = random.Random(fixture.slug)
    call = fixture.call(URL)
    for _ in range(40):
        body = bytearray(call.body)
        for _ in range(dice.randint(1, 8)):
            place = dice.randrange(len(body) + 1)
            body[place : place + dice.randint(0, 20)] = dice.randbytes(dice.randint(0, 6))
        reply = send(FrontDoor(), resigned(fixture, body=bytes(body)))
        assert reply.status in (200, 204, 400), reply.body


def test_a_mail_with_large_attachments_is_taken_without_them(ingest: Ingest) -> None:
    fixture = NAMED["sendgrid_inbound-mail"]
    source = set_up(ingest, fixture)
    fields = fixture.content["request"]["multipart"]["fields"]
    body = multipart(fields, [["attachment1", "film.mp4", "video/mp4", 5_000_000], ["a2", "b.txt", "text/plain", 3]])
    assert send(FrontDoor(), replace(fixture.call(URL), body=body)).status == 200
    (event,) = ingest.bodies(source)
    assert [file["size"] for file in event["properties"]["files"]] == [5_000_000, 3]
    assert event["properties"]["attachments"] == 2


def test_a_mail_in_another_character_set_is_read_in_it(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["sendgrid_inbound-mail"]
    source = set_up(ingest, fixture)
    call = fixture.call(URL)
    body = call.body.replace(b'"text":"us-ascii"', b'"text":"iso-8859-1"').replace(
        b"Where is it?\n", b"Wo ist es, J\xfcrgen?"
    )
    body = body.replace(b"us-ascii", b"iso-8859-1").replace(b'\\"text\\":\\"us-ascii', b'\\"text\\":\\"iso-8859-1')
    assert send(door, replace(call, body=body)).status == 200
    (event,) = ingest.bodies(source)
    assert event["properties"]["text"] == "Wo ist es, Jürgen?"


def test_a_password_is_asked_for_where_one_is_set(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["sendgrid_inbound-mail"]
    told = {"auth": "basic", "username": "sendgrid", "password": "correct horse"}
    changed = Fixture(fixture.path, {**fixture.content, "settings": told})
    source = set_up(ingest, changed)
    call = fixture.call(URL)
    reply = send(door, call)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Basic realm="webhook", charset="UTF-8"')
    credentials = base64.b64encode(b"sendgrid:correct horse").decode()
    assert send(door, call.with_headers(authorization=f"Basic {credentials}")).status == 200
    assert len(ingest.bodies(source)) == 1


def test_the_owners_mapping_makes_the_message(door: Door, ingest: Ingest) -> None:
    fixture = NAMED["generic-own_ids"]
    source = set_up(ingest, fixture)
    assert send(door, fixture.signed(URL)).status == 200
    bodies = ingest.bodies(source)
    assert [(body["type"], body["userId"], body["messageId"]) for body in bodies] == [
        ("identify", "42", "generic:ev_1"),
        ("identify", "43", "generic:7"),
    ]
    assert bodies[0]["traits"] == {"id": "ev_1", "user": "42"}


def test_what_cannot_be_mapped_is_refused_alone(door: Door, ingest: Ingest) -> None:
    mapping = {"type": "track", "event": {"@path": "$.event"}, "userId": {"@path": "$.user"},
               "properties": {"list": {"@arrayPath": ["$.rows", {"a": {"@liquid": "{{ x }}"}}]}}}  # fmt: skip
    source = ingest.webhook("generic", {"signature": "none", "mapping": mapping})
    rows = [
        {"event": "Fine", "user": "1", "rows": []},
        {"event": "Big", "user": "2", "rows": [{}] * 60_000},
        {"event": 7},
    ]
    reply = door.send("POST", PATH, json.dumps(rows).encode(), {"content-type": "application/json"})
    assert reply.status == 200
    assert [body["event"] for body in ingest.bodies(source)] == ["Fine"]
    assert set(refused(ingest, source)) == {"unmappable", "event_not_string"}
    assert ingest.counts(source) == (3, 2, 0, 1)


def test_many_malformed_calls_at_once_keep_nobody_from_being_stored(ingest: Ingest) -> None:
    fixture = NAMED["github-issue_opened"]
    source = set_up(ingest, fixture)
    bad, good, door = resigned(fixture, body=b"{"), fixture.signed(URL), FrontDoor()

    async def at_once() -> list[int]:
        calls = [bad] * 20 + [good]
        replies = await asyncio.gather(*(door.exchange("POST", PATH, [one.body], one.headers) for one in calls))
        return [reply.status for reply in replies]

    assert asyncio.run(at_once()) == [400] * 20 + [200]
    assert send(door, fixture.signed(URL)).status == 200
    assert ingest.counts(source) == (22, 20, 1, 1)
