"""Amplitude: what proves the keys, how users are deleted, and which ids count."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.http import ItemOutcome, Outcome, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

AMPLITUDE = registry.get("amplitude")
KEYS = {"api_key": "fake-api-key", "secret_key": "fake-secret-key"}
PAIR = (("authorization", "Basic ZmFrZS1hcGkta2V5OmZha2Utc2VjcmV0LWtleQ=="),)


def prepared(**settings: object) -> object:
    return AMPLITUDE.prepare(validate_settings(AMPLITUDE, settings))


def told(request: object, status: int, body: bytes = b"") -> ItemOutcome:
    assert AMPLITUDE.interpret is not None
    return AMPLITUDE.interpret(request, Response(status, body=body))[0]  # type: ignore[arg-type]


def test_both_keys_are_proved_by_looking_for_nobody() -> None:
    assert AMPLITUDE.test is not None
    request = AMPLITUDE.test(prepared(**KEYS, region="eu"), context_for([{}]))
    assert request.url == "https://analytics.eu.amplitude.com/api/2/usersearch?user=headwater-connection-test"  # type: ignore[union-attr]
    assert request.headers == PAIR  # type: ignore[union-attr]
    assert told(request, 200, b'{"matches": []}').outcome is Outcome.DELIVERED
    assert told(request, 403).outcome is not Outcome.DELIVERED


def test_the_api_key_alone_is_proved_by_an_upload_of_nothing() -> None:
    assert AMPLITUDE.test is not None
    request = AMPLITUDE.test(prepared(api_key="fake-api-key"), context_for([{}]))
    assert request.body == {"api_key": "fake-api-key", "events": []}  # type: ignore[union-attr]
    assert told(request, 400, b'{"code": 400, "error": "Missing events"}').outcome is Outcome.DELIVERED
    assert told(request, 400, b'{"code": 400, "error": "Invalid API key"}').outcome is Outcome.UNAUTHORIZED


def test_users_are_deleted_by_their_ids_and_only_with_the_secret_key() -> None:
    assert AMPLITUDE.delete is not None
    people = [Identifiers(user_id="ada"), Identifiers(anonymous_ids=("anon-1",)), Identifiers(user_id="bob")]
    context = context_for([{}] * 3)
    assert AMPLITUDE.delete.build(people, prepared(api_key="fake-api-key"), context) == []
    stranger, request = AMPLITUDE.delete.build(people, prepared(**KEYS), context)
    assert (stranger.index, stranger.reason) == (1, "no_identifier")  # type: ignore[union-attr]
    assert (request.url, request.headers) == ("https://amplitude.com/api/2/deletions/users", PAIR)  # type: ignore[union-attr]
    assert request.body == {"user_ids": ["ada", "bob"], "requester": "Headwater", "ignore_invalid_id": "true"}  # type: ignore[union-attr]
    assert request.covers == (0, 2)  # type: ignore[union-attr]
    assert told(request, 404).outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("shortest", "ids"), [(None, {"device_id": "12345"}), (3, {"user_id": "ada", "device_id": "12345"})]
)
def test_an_id_that_is_too_short_is_none(shortest: int | None, ids: dict[str, str]) -> None:
    settings = {"api_key": "fake-api-key", **({"min_id_length": shortest} if shortest else {})}
    payload = {"event_type": "x", "user_id": "ada", "device_id": "12345"}
    (request,) = AMPLITUDE.action("track").build([payload], prepared(**settings), context_for([{}]))
    (event,) = request.body["events"]  # type: ignore[union-attr,index]
    assert {key: event[key] for key in ("user_id", "device_id") if key in event} == ids


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"plan": "pro"}, {"$set": {"utm_source": "news", "plan": "pro"}, "$setOnce": {"initial_utm_source": "news"}}),
        (
            {"$unset": {"plan": "-"}},
            {"$unset": {"plan": "-"}, "$set": {"utm_source": "news"}, "$setOnce": {"initial_utm_source": "news"}},
        ),
        ({"$email": "x"}, {"$set": {"utm_source": "news", "$email": "x"}, "$setOnce": {"initial_utm_source": "news"}}),
    ],
)
def test_where_the_visit_came_from_is_kept_beside_the_users_properties(own: object, expected: object) -> None:
    payload = {"event_type": "x", "user_id": "ada-1815", "user_properties": own, "attribution": {"utm_source": "news"}}
    (request,) = AMPLITUDE.action("track").build([payload], prepared(api_key="fake-api-key"), context_for([{}]))
    assert request.body["events"][0]["user_properties"] == expected  # type: ignore[union-attr,index]
