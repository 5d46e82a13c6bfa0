"""Webhook: what exactly goes out for each call, alone and in batches, and what can be set about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors import registry
from connectors.base import BuildContext, Identifiers, Payload
from connectors.destinations.webhook import batch_id
from connectors.http import RequestSpec
from connectors.settings import validate_settings
from connectors.signing import decode_secret

FIXTURES = sorted((Path(__file__).parent / "webhook").glob("*.json"))
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BASE: dict[str, object] = {"url": "https://hook.example/in", "signing_secret": SECRET}
WEBHOOK = registry.get("webhook")
SEND = WEBHOOK.action("send")


def context(count: int = 1, *, is_replay: bool = False) -> BuildContext:
    ids = [f"msg_{number}" for number in range(count)]
    return BuildContext(NOW, delivery_ids=ids, message_ids=ids, is_replay=is_replay)


def requests(payloads: list[Payload], *, is_replay: bool = False, **settings: object) -> list[RequestSpec]:
    prepared = WEBHOOK.prepare(validate_settings(WEBHOOK, {**BASE, **settings}))
    return SEND.build(payloads, prepared, context(len(payloads), is_replay=is_replay))


def numbered(count: int) -> list[Payload]:
    return [{"data": {"number": number}} for number in range(count)]


def test_all_six_calls_are_covered() -> None:
    assert {json.loads(path.read_text())["event"]["type"] for path in FIXTURES} == {
        *("track", "identify", "page", "screen", "group", "alias")
    }


def test_each_event_has_a_request_with_its_own_delivery_id() -> None:
    built = requests(numbered(3))
    assert [(one.covers, one.idempotency_key, one.body) for one in built] == [
        ((number,), f"msg_{number}", {"number": number}) for number in range(3)
    ]
    assert all(("idempotency-key", str(one.idempotency_key)) in one.headers for one in built)


def test_a_batch_is_an_array_with_one_id_for_all() -> None:
    first, last = requests(numbered(5), batch_size=3)
    assert first.body == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert (first.covers, last.covers) == ((0, 1, 2), (3, 4))
    assert first.idempotency_key == batch_id(["msg_0", "msg_1", "msg_2"])
    assert ("idempotency-key", str(first.idempotency_key)) in first.headers


def test_a_batch_of_one_is_an_array_still() -> None:
    (request,) = requests(numbered(1), batch_size=10)
    assert request.body == [{"number": 0}]


def test_the_same_members_have_the_same_batch_id_and_others_another() -> None:
    assert batch_id(["a", "b"]) == batch_id(["a", "b"])
    assert len({batch_id(["a", "b"]), batch_id(["b", "a"]), batch_id(["a"]), batch_id(["ab"])}) == 4
    assert "." not in batch_id(["a"])


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"auth": "basic", "username": "ada", "password": "x:y"}, ("authorization", "Basic YWRhOng6eQ==")),
        ({"auth": "bearer", "token": "t0ken"}, ("authorization", "Bearer t0ken")),
        ({"headers": {"X-Team": "growth"}}, ("x-team", "growth")),
        ({"secret_headers": {"X-Key": "k3y"}}, ("x-key", "k3y")),
        ({"headers": {"X-Key": "open"}, "secret_headers": {"x-key": "k3y"}}, ("x-key", "k3y")),
        ({"headers": {"Content-Type": "application/vnd.acme+json"}}, ("content-type", "application/vnd.acme+json")),
        ({"auth": "bearer", "token": "t", "secret_headers": {"Authorization": "Own x"}}, ("authorization", "Own x")),
    ],
)
def test_a_header_is_sent_once_as_it_is_set(settings: dict[str, object], header: tuple[str, str]) -> None:
    (request,) = requests(numbered(1), **settings)
    assert [value for name, value in request.headers if name == header[0]] == [header[1]]


def test_a_replay_says_that_it_is_one_and_keeps_its_id() -> None:
    (live,) = requests(numbered(1))
    (replayed,) = requests(numbered(1), is_replay=True)
    assert replayed.headers == (*live.headers, ("replay", "true"))
    assert replayed.idempotency_key == live.idempotency_key


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_method_and_time_out_are_the_owners(method: str) -> None:
    (request,) = requests(numbered(1), method=method, timeout=5)
    assert (request.method, request.timeout_s) == (method, 5.0)


def test_both_secrets_sign_during_a_rotation() -> None:
    (request,) = requests(
        numbered(1), previous_signing_secret=OTHER, previous_signing_secret_until="2026-03-02T12:00:00Z"
    )
    assert request.signing is not None
    assert (request.signing.key, request.signing.previous_key) == (decode_secret(SECRET), decode_secret(OTHER))
    assert request.signing.previous_until == datetime(2026, 3, 2, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("batch_size", "is_array"), [(0, False), (10, True)])
def test_a_test_has_the_form_of_real_events_and_says_what_it_is(batch_size: int, is_array: bool) -> None:
    prepared = WEBHOOK.prepare(validate_settings(WEBHOOK, {**BASE, "batch_size": batch_size}))
    request = WEBHOOK.test(prepared, context())
    event = request.body[0] if is_array else request.body  # type: ignore[index]
    assert event["event"] == "Test Event"
    assert request.signing is not None


def test_a_deletion_goes_to_the_second_url_and_only_if_there_is_one() -> None:
    assert WEBHOOK.delete is not None
    person = Identifiers(user_id="ada", emails=("ada@acme.test",))
    without = WEBHOOK.prepare(validate_settings(WEBHOOK, BASE))
    with_url = WEBHOOK.prepare(validate_settings(WEBHOOK, {**BASE, "deletion_url": "https://hook.example/erase"}))
    assert WEBHOOK.delete.build([person], without, context()) == []
    (request,) = WEBHOOK.delete.build([person, person], with_url, context(2))
    assert (request.url, request.covers, request.body["type"]) == (  # type: ignore[index]
        "https://hook.example/erase",
        (0, 1),
        "user.deleted",
    )
