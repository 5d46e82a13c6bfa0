"""PostHog: what proves the key, what is too large, and how people are deleted."""

from __future__ import annotations

from uuid import UUID

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations._posthog import uuid_of
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

POSTHOG = registry.get("posthog")
KEY = {"project_api_key": "phc_fakekey1"}
ERASING = {**KEY, "personal_api_key": "phx_fakekey1", "project_id": "4711"}


def prepared(**settings: object) -> object:
    return POSTHOG.prepare(validate_settings(POSTHOG, settings))


def test_the_key_is_proved_by_asking_for_the_flags_of_nobody() -> None:
    assert POSTHOG.test is not None
    assert POSTHOG.interpret is not None
    request = POSTHOG.test(prepared(**KEY), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert request.url == "https://us.i.posthog.com/flags/?v=2"
    assert POSTHOG.interpret(request, Response(200, body=b'{"flags": {}}'))[0].outcome is Outcome.DELIVERED
    assert POSTHOG.interpret(request, Response(401))[0].outcome is Outcome.UNAUTHORIZED


def test_an_event_that_is_too_large_stays_behind_and_the_others_go() -> None:
    payloads = [{"event": "x", "distinct_id": "ada", "properties": {"note": "x" * size}} for size in (900_000, 10)]
    refused, request = POSTHOG.action("capture").build(payloads, prepared(**KEY), context_for([{}, {}]))
    assert (refused.index, refused.reason) == (0, "event_too_large")  # type: ignore[union-attr]
    assert request.covers == (1,)  # type: ignore[union-attr]


def test_a_message_id_becomes_the_same_uuid_each_time() -> None:
    assert uuid_of("0197a0aa-0000-7000-8000-000000000001") == "0197a0aa-0000-7000-8000-000000000001"
    assert uuid_of("ajs-next-1") == uuid_of("ajs-next-1") != uuid_of("ajs-next-2")
    assert UUID(uuid_of("ajs-next-1"))


def test_people_are_deleted_with_their_events_by_any_of_their_ids() -> None:
    assert POSTHOG.delete is not None
    assert POSTHOG.interpret is not None
    people = [Identifiers(user_id="ada", anonymous_ids=("a",)), Identifiers()]
    context = context_for([{}, {}])
    assert POSTHOG.delete.build(people, prepared(**KEY), context) == []
    stranger, request = POSTHOG.delete.build(people, prepared(**ERASING, region="eu"), context)
    assert (stranger.index, stranger.reason) == (1, "no_identifier")  # type: ignore[union-attr]
    assert isinstance(request, RequestSpec)
    assert request.url == "https://eu.posthog.com/api/projects/4711/persons/bulk_delete/"
    assert request.headers == (("authorization", "Bearer phx_fakekey1"),)
    assert request.body == {"distinct_ids": ["ada", "a"], "delete_events": True, "delete_recordings": True}
    assert POSTHOG.interpret(request, Response(404))[0].outcome is Outcome.DELIVERED
    assert POSTHOG.interpret(request, Response(403))[0].outcome is Outcome.REJECTED


def test_on_a_server_of_ones_own_everything_has_one_address() -> None:
    assert POSTHOG.delete is not None
    place = prepared(**ERASING, api_url="https://posthog.acme.test")
    (request,) = POSTHOG.delete.build([Identifiers(user_id="ada")], place, context_for([{}]))
    assert request.url == "https://posthog.acme.test/api/projects/4711/persons/bulk_delete/"  # type: ignore[union-attr]
