"""What each vendor's calls mean, by fixtures after the vendor's documentation; and what holds for all sources alike."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from connectors import registry
from connectors.inbound import Answer, BadPayload, InboundSource
from connectors.settings import validate_settings
from connectors.sources._messages import event_name, fitting, message_id
from tests.connectors.sources.calls import FOLDER, Fixture, all_fixtures

FIXTURES = all_fixtures()
SOURCES = registry.all_sources()
SOUNDS_SECRET = re.compile(r"password|secret|token|shared_key", re.IGNORECASE)
every_fixture = pytest.mark.parametrize("fixture", FIXTURES, ids=lambda one: one.name)
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda one: one.slug)


@every_fixture
def test_a_call_means_what_the_vendor_documents(fixture: Fixture) -> None:
    source = registry.get_source(fixture.slug)
    received = source.receive(fixture.call().as_request(), validate_settings(source, fixture.settings))
    assert list(received.messages) == fixture.content["messages"]
    told = fixture.content.get("answer", {})
    assert received.answer == Answer(**{"status": 200, **told})
    assert str(fixture.content["source"]).startswith("https://")


@every_fixture
def test_the_same_call_later_has_the_same_message_ids(fixture: Fixture) -> None:
    source = registry.get_source(fixture.slug)
    settings = validate_settings(source, fixture.settings)
    request = fixture.call().as_request()
    first = source.receive(request, settings).messages
    later = fixture.call().as_request()
    object.__setattr__(later, "received_at", request.received_at + timedelta(hours=5))
    assert [one["messageId"] for one in source.receive(later, settings).messages] == [one["messageId"] for one in first]
    assert all(len(str(one["messageId"])) < 100 for one in first)


@every_source
def test_a_source_is_complete(source: InboundSource) -> None:
    assert list(registry.source_problems(source, source.slug)) == []
    assert re.fullmatch(r"\d+\.\d+\.\d+", source.version)
    assert list((FOLDER / source.slug).glob("*.json"))
    icon = registry.source_icon(source.slug)
    assert icon is not None
    assert ElementTree.parse(icon).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    page = Path(__file__).parents[3] / "hub" / "docs" / "user" / "inbound.md"
    assert f"`{source.slug}`" in page.read_text(encoding="utf-8")


@every_source
def test_a_setting_that_sounds_secret_is_one(source: InboundSource) -> None:
    assert [one.key for one in source.settings if SOUNDS_SECRET.search(one.key) and not one.secret] == []


def test_there_are_at_least_eleven_sources() -> None:
    assert len(SOURCES) >= 11


HOSTILE = [
    None, True, 0, -1, 1e308, "", "x" * 100_000, [], {}, [[]], [{}], [None], [1, "a"], {"id": {}}, {"type": []},
    {"type": "event_callback"}, {"data": "x"}, {"data": {"object": []}}, {"event": 7, "payload": []},
    {"event_id": [], "event": "x"}, {"id": 1, "type": "a.b", "data": {"object": {"customer": [], "metadata": 7}}},
    {"event": "x" * 5_000, "payload": {"uri": {"a": 1}, "tracking": "no", "questions_and_answers": [1, None]}},
    {"topic": "a", "data": {"item": {"contacts": {"contacts": [{}, 1]}, "source": {"author": 5}}}},
    {"topic": "\ud800", "data": {"item": {"id": "\x00", "type": "user"}}},
    [{"event": {}, "timestamp": "soon", "email": [], "sg_event_id": {"a": 1}}],
    [{"subscriptionType": None, "objectId": [], "occurredAt": 10**40}],
    {"MessageSid": [], "CallSid": {}}, {"MessageSid": "\ud800", "MessageStatus": "x" * 500, "NumMedia": "9" * 15},
    {"type": "zen:event-type:", "detail": [], "id": 0.5}, {"sender": [], "action": {}, "issue": {"updated_at": []}},
    {"line_items": [{"price": "NaN"}, 5], "customer": "c", "total_price": {}, "id": -(10**30)},
]  # fmt: skip


@every_source
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_no_json_makes_a_source_raise_anything_but_bad_payload(source: InboundSource, body: object) -> None:
    fixture = next(one for one in FIXTURES if one.slug == source.slug)
    request = fixture.call().as_request()
    object.__setattr__(request, "json", body)
    object.__setattr__(request, "form", None)
    object.__setattr__(request, "headers", {"x-github-event": "\ud800", "x-shopify-topic": "orders/create"})
    try:
        received = source.receive(request, validate_settings(source, fixture.settings))
    except BadPayload as error:
        assert str(error)
    else:
        for message in received.messages:
            assert not isinstance(message, dict) or 0 < len(str(message["messageId"])) < 100


GROWN = [one for one in FIXTURES if isinstance(one.content["request"].get("json"), dict) and one.slug != "generic"]


@pytest.mark.parametrize("fixture", GROWN, ids=lambda one: one.name)
def test_a_message_fits_and_tells_what_was_left_out_of_it(fixture: Fixture) -> None:
    source = registry.get_source(fixture.slug)
    request = fixture.call().as_request()
    object.__setattr__(request, "json", _padded(request.json))
    for message in source.receive(request, validate_settings(source, fixture.settings)).messages:
        assert len(json.dumps(message)) < 32_000
        assert message["properties"]["left_out"]  # type: ignore[index]


def _padded(value: object) -> object:
    """Every object with much more in it than fits."""
    if not isinstance(value, dict):
        return value
    return {**{key: _padded(one) for key, one in value.items()}, "padding": ["x" * 300] * 200, "answer": "y" * 100_000}


def test_of_a_large_object_the_small_members_are_kept() -> None:
    item = {"id": "7", "total": 12.5, "lines": ["x" * 100] * 1_000}
    assert fitting({"object": item, "n": 1}) == {"n": 1, "object": {"id": "7", "total": 12.5}, "left_out": ["object"]}


def test_what_fits_is_left_alone() -> None:
    properties = {"a": {"b": [1, None, "ü"]}, "c": False}
    assert fitting(properties) == properties


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("invoice.payment_failed", "Invoice Payment Failed"),
        ("contact.propertyChange", "Contact Property Change"),
        ("orders/create", "Orders Create"),
        ("DKIM_failed", "DKIM Failed"),
        ("", "Event"),
        ("\ud800", "Event"),
    ],
)
def test_names_of_events_read_as_people_write_them(name: str, shown: str) -> None:
    assert event_name(name) == shown


def test_an_id_that_is_too_long_or_odd_is_a_hash_and_always_the_same() -> None:
    for odd in ("x" * 200, "with blank", "ümlaut", "\ud800", "nul\x00"):
        assert re.fullmatch(r"v:[0-9a-f]{64}", message_id("v", odd))
        assert message_id("v", odd) == message_id("v", odd)
    assert message_id("v", "a", 1) == "v:a:1"
