"""Google Pub/Sub: how many messages go together, what attributes may be, and what the test call proves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from connectors import registry
from connectors.base import Built
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

PUBSUB = registry.get("google_pubsub")
KEY = json.dumps(
    {
        "type": "service_account",
        "client_email": "headwater@acme-prod.iam.gserviceaccount.com",
        "private_key": "-----BEGIN PRIVATE KEY-----\nZmFrZQ==\n-----END PRIVATE KEY-----\n",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
)


def prepared(**settings: object) -> object:
    known = {"project_id": "acme-prod", "topic": "events", "service_account": KEY}
    return PUBSUB.prepare(validate_settings(PUBSUB, {**known, **settings}))


def build(payloads: list[Mapping[str, object]], **settings: object) -> Sequence[Built]:
    return PUBSUB.action("publish").build(payloads, prepared(**settings), context_for([{} for _ in payloads]))


def message(size: int = 0, **more: object) -> dict[str, object]:
    return {"data": {"text": "x" * size}, **more}


def test_a_call_has_a_thousand_messages_at_most() -> None:
    assert [len(one.covers) for one in build([message()] * 2_001)] == [1_000, 1_000, 1]  # type: ignore[union-attr]


def test_a_call_has_ten_megabytes_at_most_as_it_is_written() -> None:
    refused, *built = build([message(3_500_000), message(3_500_000), message(7_500_000), message(3_500_000)])
    assert isinstance(refused, ItemOutcome)
    assert (refused.index, refused.reason) == (2, "message_too_large")
    assert [one.covers for one in built] == [(0, 1), (3,)]  # type: ignore[union-attr]
    assert all(len(json.dumps(one.body)) < 10_000_000 for one in built)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"attributes": {f"a{number}": 1 for number in range(101)}}, "bad_attribute"),
        ({"attributes": {"googclient": "x"}}, "bad_attribute"),
        ({"attributes": {"n" * 257: "x"}}, "bad_attribute"),
        ({"attributes": {"": "x"}}, "bad_attribute"),
        ({"attributes": {"note": "ä" * 513}}, "bad_attribute"),
        ({"ordering_key": "k" * 1_025}, "ordering_key_too_long"),
    ],
)
def test_what_pubsub_refuses_costs_its_message_only(more: dict[str, object], reason: str) -> None:
    refused, request = build([message(**more), message()])  # type: ignore[arg-type]
    assert isinstance(refused, ItemOutcome)
    assert (refused.index, refused.outcome, refused.reason) == (0, Outcome.REJECTED, reason)
    assert isinstance(request, RequestSpec)
    assert request.covers == (1,)


@pytest.mark.parametrize(
    "settings",
    [
        {"topic": "goog-events"},
        {"topic": "projects/a/topics/b"},
        {"topic": "a"},
        {"project_id": "Acme"},
        {"project_id": "a/../b"},
        {"region": "europe-west1-pubsub.evil.example/"},
    ],
)
def test_a_setting_that_would_change_the_address_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(**settings)
    assert set(raised.value.codes) == set(settings)


def test_the_owners_address_stands_in_for_googles() -> None:
    (request,) = build([message()], api_url="http://emulator.example:8085/", region="europe-west1")
    assert request.url == "http://emulator.example:8085/v1/projects/acme-prod/topics/events:publish"  # type: ignore[union-attr]


def test_the_test_asks_what_the_account_may_do() -> None:
    assert PUBSUB.test is not None
    assert PUBSUB.interpret is not None
    request = PUBSUB.test(prepared(), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert request.url == "https://pubsub.googleapis.com/v1/projects/acme-prod/topics/events:testIamPermissions"
    (may,) = PUBSUB.interpret(request, Response(200, body=b'{"permissions": ["pubsub.topics.publish"]}'))
    (may_not,) = PUBSUB.interpret(request, Response(200, body=b"{}"))
    assert (may.outcome, may_not.outcome) == (Outcome.DELIVERED, Outcome.DISABLED)
