from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.events.spec import CLEANED, CLIENT_SIDE, HAS_INTEGRATIONS, NO_MESSAGE_ID, EventRow
from hub.ingest.codes import DISCARDS, Discarded
from hub.ingest.decoding import Decoded
from hub.ingest.intake import messages_of, take_in
from hub.ingest.normalising import SINGLE_LIMIT, Arrival, Envelope, merged, normalise
from hub.lib.ids import key8, key16

RECEIVED = datetime(2026, 11, 24, 12, 0, 0, 123_000, UTC)
SERVER = Arrival(RECEIVED, "source-1", ip="203.0.113.9")
CLIENT = Arrival(RECEIVED, "source-1", "website", is_client_side=True, ip="203.0.113.9")
TRACK: dict[str, Any] = {"type": "track", "event": "Signed Up", "userId": "ada", "messageId": "m1"}


def row(message: Any, envelope: Envelope | None = None, arrival: Arrival = SERVER) -> EventRow:
    return normalise(message, envelope or Envelope(), arrival)


def body(message: Any, envelope: Envelope | None = None, arrival: Arrival = SERVER) -> dict[str, Any]:
    return json.loads(row(message, envelope, arrival).body)


def code(message: Any, envelope: Envelope | None = None) -> str:
    with pytest.raises(Discarded) as caught:
        row(message, envelope)
    return caught.value.code


def nested(levels: int) -> dict[str, Any]:
    value: Any = "leaf"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (None, "message_not_object"),
        ("text", "message_not_object"),
        ([], "message_not_object"),
        ({"userId": "u"}, "missing_type"),
        ({"type": None, "userId": "u"}, "missing_type"),
        ({"type": "purchase", "userId": "u"}, "invalid_type"),
        ({"type": 7, "userId": "u"}, "invalid_type"),
        ({"type": "Track", "userId": "u"}, "invalid_type"),
        ({"type": "track", "event": "e"}, "no_user_anon_id"),
        ({"type": "track", "event": "e", "userId": None, "anonymousId": None}, "no_user_anon_id"),
        ({"type": "track", "event": "e", "userId": ""}, "id_not_string"),
        ({"type": "track", "event": "e", "userId": 12}, "id_not_string"),
        ({"type": "track", "event": "e", "userId": "u", "anonymousId": {}}, "id_not_string"),
        ({"type": "track", "event": "e", "userId": False, "anonymousId": "a"}, "id_not_string"),
        ({"type": "track", "userId": "u"}, "event_not_defined"),
        ({"type": "track", "event": "", "userId": "u"}, "event_not_defined"),
        ({"type": "track", "event": 5, "userId": "u"}, "event_not_string"),
        ({"type": "track", "event": "e", "userId": "u", "properties": "p"}, "properties_not_object"),
        ({"type": "track", "event": "e", "userId": "u", "properties": []}, "properties_not_object"),
        ({"type": "page", "userId": "u", "properties": 1}, "properties_not_object"),
        ({"type": "identify", "userId": "u", "traits": [1]}, "traits_not_object"),
        ({"type": "group", "userId": "u", "groupId": "g", "traits": "t"}, "traits_not_object"),
        ({"type": "page", "userId": "u", "name": 3}, "name_not_string"),
        ({"type": "screen", "userId": "u", "category": {}}, "category_not_string"),
        ({"type": "group", "userId": "u"}, "group_id_required"),
        ({"type": "group", "userId": "u", "groupId": 4}, "group_id_not_string"),
        ({"type": "alias", "userId": "u"}, "previous_id_required"),
        ({"type": "alias", "userId": "u", "previousId": 4}, "previous_id_not_string"),
        ({**TRACK, "messageId": "m" * 100}, "message_id_too_long"),
        ({**TRACK, "messageId": ["m"]}, "message_id_not_string"),
        ({**TRACK, "messageId": True}, "message_id_not_string"),
        ({**TRACK, "context": "c"}, "context_not_object"),
        ({**TRACK, "integrations": "all"}, "integrations_not_object"),
        ({**TRACK, "properties": nested(21)}, "too_deep"),
        ({**TRACK, "properties": {"a": [[[nested(18)]]]}}, "too_deep"),
        ({**TRACK, "properties": nested(400)}, "too_deep"),
        ({**TRACK, "properties": {"a": "x" * (SINGLE_LIMIT + 1)}}, "payload_too_large"),
    ],
)
def test_a_message_that_breaks_a_rule_is_discarded_with_its_code(message: Any, expected: str) -> None:
    assert code(message) == expected
    assert expected in DISCARDS


CONSENT: dict[str, Any] = {**TRACK, "event": "Segment Consent Preference Updated"}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (None, "consent_categorypreferences_should_exist"),
        ({"consent": {}}, "consent_categorypreferences_should_exist"),
        ({"consent": {"categoryPreferences": []}}, "consent_categorypreferences_fields_should_be_object"),
        ({"consent": {"categoryPreferences": {"ads": "yes"}}}, "consent_categorypreferences_fields_should_be_bool"),
        ({"consent": {"categoryPreferences": {}, "version": "2"}}, "consent_version_should_be_number"),
        (
            {"consent": {"categoryPreferences": {"ads": True}}, "device": {"advertisingId": 1}},
            "device_advertisingid_should_be_string",
        ),
    ],
)
def test_a_consent_event_must_be_whole(context: Any, expected: str) -> None:
    assert code({**CONSENT, "context": context}) == expected


def test_a_whole_consent_event_is_kept() -> None:
    context = {"consent": {"categoryPreferences": {"ads": False}, "version": 2}, "device": {"advertisingId": "a"}}
    assert body({**CONSENT, "context": context})["context"] == context


@pytest.mark.parametrize("levels", [1, 19, 20])
def test_nesting_up_to_twenty_is_kept(levels: int) -> None:
    assert body({**TRACK, "properties": nested(levels)})["properties"] == nested(levels)


def test_what_the_server_adds_and_takes_away() -> None:
    message = {**TRACK, "writeKey": "wk_secret_key", "anonymousId": None, "email": "x@y.z", "traits": {"a": None}}
    assert body(message) == {
        "type": "track",
        "event": "Signed Up",
        "userId": "ada",
        "messageId": "m1",
        "email": "x@y.z",
        "traits": {"a": None},
        "channel": "server",
        "version": 2,
        "projectId": "source-1",
        "timestamp": "2026-11-24T12:00:00.123Z",
        "originalTimestamp": "2026-11-24T12:00:00.123Z",
        "receivedAt": "2026-11-24T12:00:00.123Z",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"properties": {"Some Name": 1.0, "empty": "", "no": None, "n": 10**18, "ü": ["", {}, []]}},
        {"integrations": {"All": False, "Facebook": {}, "Salesforce": {"a": [1]}}},
        {"_metadata": {"bundled": [], "nodeVersion": "20"}},
        {"context": {"direct": False, "ip": "0.0.0.0"}},
        {"context": {}},
    ],
)
def test_what_the_client_says_inside_its_objects_is_left_alone(changes: dict[str, Any]) -> None:
    result = body({**TRACK, **changes}, arrival=CLIENT)
    (name,) = changes
    expected = changes[name]
    assert {key: value for key, value in result[name].items() if key in expected} == expected
    assert name == "context" or result[name] == expected


@pytest.mark.parametrize(
    ("envelope", "own", "expected"),
    [
        ({"library": {"name": "go"}}, {}, {"library": {"name": "go"}}),
        ({"a": {"x": 1, "y": 1}, "b": 1}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}, "b": 1}),
        ({"a": {"x": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": None}, {"a": None}),
    ],
)
def test_the_envelope_is_merged_deeply_and_the_message_wins(
    envelope: dict[str, Any], own: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert merged(envelope, own) == expected
    assert body({**TRACK, "context": own}, Envelope(context=envelope))["context"] == expected
    assert body({**TRACK, "integrations": own}, Envelope(integrations=envelope))["integrations"] == expected


@pytest.mark.parametrize(
    ("arrival", "context", "expected"),
    [
        (CLIENT, {}, "203.0.113.9"),
        (SERVER, {}, None),
        (SERVER, {"direct": True}, "203.0.113.9"),
        (SERVER, {"direct": "true"}, None),
        (SERVER, {"library": {"name": "analytics-android"}}, "203.0.113.9"),
        (SERVER, {"library": {"name": "analytics-python"}}, None),
        (CLIENT, {"ip": "0.0.0.0"}, "0.0.0.0"),
        (CLIENT, {"ip": None}, None),
        (Arrival(RECEIVED, "s", is_client_side=True), {}, None),
    ],
)
def test_the_senders_address_is_noted_for_client_side_messages_only(
    arrival: Arrival, context: dict[str, Any], expected: str | None
) -> None:
    assert body({**TRACK, "context": context}, arrival=arrival).get("context", {}).get("ip") == expected


@pytest.mark.parametrize(
    ("arrival", "changes", "expected"),
    [
        (SERVER, {}, "server"),
        (CLIENT, {}, "browser"),
        (Arrival(RECEIVED, "s", "mobile", is_client_side=True), {}, "mobile"),
        (CLIENT, {"context": {"library": {"name": "analytics-kotlin"}}}, "mobile"),
        (SERVER, {"context": {"library": {"name": "Analytics-CSharp"}}}, "mobile"),
        (SERVER, {"channel": "browser"}, "browser"),
        (SERVER, {"channel": "pigeon"}, "server"),
    ],
)
def test_the_channel_is_told_by_path_library_and_source(arrival: Arrival, changes: Any, expected: str) -> None:
    assert body({**TRACK, **changes}, arrival=arrival)["channel"] == expected


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, 0),
        ({"integrations": {}}, 0),
        ({"integrations": {"All": False}}, HAS_INTEGRATIONS),
        ({"_metadata": {"bundled": ["Amplitude"]}}, HAS_INTEGRATIONS),
        ({"_metadata": {"bundled": []}}, 0),
        ({"messageId": None}, NO_MESSAGE_ID),
        ({"messageId": ""}, NO_MESSAGE_ID),
        ({"timestamp": "yesterday"}, CLEANED),
        ({"context": {"library": {"name": "analytics-ios"}}}, CLIENT_SIDE),
    ],
)
def test_flags_say_what_readers_need_to_know(changes: Any, flags: int) -> None:
    assert row({**TRACK, **changes}).flags == flags


def test_the_row_holds_what_lookups_need() -> None:
    result = row({**TRACK, "anonymousId": "anon"})
    assert (result.type, result.event_name, result.user_id, result.anonymous_id) == (
        "track",
        "Signed Up",
        "ada",
        "anon",
    )
    assert (result.key, result.message_key, result.user_key) == (key16("m1"), key8("m1"), key8("ada"))
    assert row({"type": "page", "name": "Home", "anonymousId": "anon"}).user_key == key8("anon")


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"anonymousId": ""}, "anonymousId"),
        ({"userId": "", "anonymousId": "a"}, "userId"),
        ({"type": "screen", "category": ""}, "category"),
        ({"type": "page", "name": ""}, "name"),
        ({"userId": None, "anonymousId": "a"}, "userId"),
    ],
)
def test_empty_and_null_fields_that_sdks_send_for_absent_ones_are_dropped(changes: Any, missing: str) -> None:
    assert missing not in body({**TRACK, **changes})


def test_a_numeric_message_id_is_taken_as_text() -> None:
    assert body({**TRACK, "messageId": 42})["messageId"] == "42"


def test_separators_in_columns_are_replaced_and_flagged() -> None:
    message = {**TRACK, "userId": "a\x1fb", "event": "x\x1ey", "messageId": "\x1f", "properties": {"p": "\x1f"}}
    result = row(message, Envelope(is_suspect=True))
    assert (result.user_id, result.event_name, result.message_id) == ("a\ufffdb", "x\ufffdy", "\ufffd")
    assert json.loads(result.body)["properties"] == {"p": "\x1f"}
    assert json.loads(result.body)["userId"] == result.user_id
    assert result.flags & CLEANED


def test_times_are_corrected_by_the_envelopes_sent_at_unless_the_message_has_its_own() -> None:
    payload = {
        "batch": [
            {**TRACK, "timestamp": "2026-11-24T15:00:00.000Z"},
            {**TRACK, "timestamp": "2026-11-24T15:00:00.000Z", "sentAt": "2026-11-24T15:00:02.000Z"},
            {**TRACK, "timestamp": "2026-11-24T15:00:00.000Z", "sentAt": "soon"},
            TRACK,
        ],
        "sentAt": "2026-11-24T15:00:01.000000+00:00",
    }
    messages, envelope, fault = messages_of(Decoded(payload), None)
    taken = take_in(messages, envelope, SERVER, fault)
    times = [(json.loads(r.body)["timestamp"], json.loads(r.body)["sentAt"]) for r in taken.rows]
    assert times == [
        ("2026-11-24T11:59:59.123Z", "2026-11-24T15:00:01.000Z"),
        ("2026-11-24T11:59:58.123Z", "2026-11-24T15:00:02.000Z"),
        ("2026-11-24T11:59:59.123Z", "2026-11-24T15:00:01.000Z"),
        ("2026-11-24T12:00:00.123Z", "2026-11-24T15:00:01.000Z"),
    ]


def test_the_size_of_a_message_is_the_clients_not_ours() -> None:
    envelope = Envelope(context={"big": "x" * SINGLE_LIMIT})
    assert len(row(TRACK, envelope).body) > SINGLE_LIMIT


def test_normalising_leaves_the_callers_objects_as_they_were() -> None:
    message = {**TRACK, "context": {"library": {"name": "x"}}, "anonymousId": None, "name": ""}
    before = json.dumps(message)
    row(message, Envelope(context={"a": 1}), CLIENT)
    assert json.dumps(message) == before
