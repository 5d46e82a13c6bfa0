"""Google Analytics 4: what its names and limits allow, how a stream is tried, and how people are erased."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations import _ga4_events as events
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

GA4 = registry.get("google_analytics_4")
WEB = {"measurement_id": "G-AB12CD34EF", "api_secret": "fake-secret"}
ERASING = {**WEB, "auth": "service_account", "service_account": '{"type": "service_account"}', "property_id": "123456"}


def prepared(**settings: object) -> object:
    return GA4.prepare(validate_settings(GA4, settings))


def params_of(name: str, **payload: object) -> dict[str, object]:
    built = GA4.action("event").build(
        [{"name": name, "client_id": "1.2", **payload}], prepared(**WEB), context_for([{}])
    )
    return built[0].body["events"][0]["params"]  # type: ignore[union-attr,index,no-any-return]


@pytest.mark.parametrize(
    "settings", [{"api_secret": "fake-secret"}, {**WEB, "stream": "app"}, {**WEB, "auth": "service_account"}]
)
def test_a_stream_needs_its_own_id_and_erasure_its_account(settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        prepared(**settings)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("Order Completed", "purchase"),
        ("order completed", "purchase"),
        ("Product Added to Wishlist", "add_to_wishlist"),
        ("Cart Shared", "share"),
        ("  Trial  Started! ", "Trial_Started"),
        ("level_up", "level_up"),
    ],
)
def test_an_event_gets_the_name_that_it_has_here(event: str, name: str) -> None:
    assert events.name_of(event) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "bad_event_name"),
        ("3d", "bad_event_name"),
        ("x" * 41, "bad_event_name"),
        ("session_start", "reserved_event_name"),
        ("ga_x", "reserved_event_name"),
        ("firebase_x", "reserved_event_name"),
    ],
)
def test_a_name_that_google_refuses_is_told_before_it_is_sent(name: str, reason: str) -> None:
    assert (events.problem_of_name(name) or ("", ""))[0] == reason


def test_a_name_of_forty_letters_is_allowed() -> None:
    assert events.problem_of_name("x" * 40) is None


def test_no_more_parameters_than_are_kept() -> None:
    named = params_of("x", session_id="s", params={f"p{number}": number for number in range(30)})
    assert list(named) == ["session_id", *(f"p{number}" for number in range(24))]


def test_an_items_price_is_worth_nothing_without_a_currency() -> None:
    items = [{"item_id": "tea", "price": 4.5, "quantity": 2}, {"item_id": "pot", "price": 1}, {"price": 9}]
    assert params_of("Cart Viewed", items=items) == {"items": items[:2]}
    assert params_of("Cart Viewed", items=items, currency="EUR")["value"] == 10.0


def test_a_trial_of_the_stream_records_nothing() -> None:
    assert GA4.test is not None
    assert GA4.interpret is not None
    request = GA4.test(prepared(**WEB, region="eu"), context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert request.url.startswith("https://region1.google-analytics.com/debug/mp/collect?")
    assert GA4.interpret(request, Response(200, body=b'{"validationMessages": []}'))[0].outcome is Outcome.DELIVERED
    objection = b'{"validationMessages": [{"fieldPath": "measurement_id", "description": "Unknown id."}]}'
    assert GA4.interpret(request, Response(200, body=objection))[0].message == "200: Unknown id."


def sample_of(message_id: str, **settings: object) -> RequestSpec | None:
    (step,) = GA4.action("event").resolve
    payloads = [{"name": "x", "client_id": "1.2"}]
    return step.build(payloads, {}, prepared(**WEB, **settings), context_for([{"messageId": message_id}]))


def test_one_request_of_a_hundred_is_shown_to_the_validation_server_and_always_the_same_one() -> None:
    shown = [number for number in range(10_000) if sample_of(f"m-{number}") is not None]
    assert 50 < len(shown) < 200
    assert shown == [number for number in range(10_000) if sample_of(f"m-{number}") is not None]


def test_a_stream_that_is_only_validated_is_not_sampled_too() -> None:
    assert sample_of("ajs-next-15") is not None
    assert sample_of("ajs-next-15", validate_only=True) is None


def test_nobody_is_erased_without_a_service_account() -> None:
    assert GA4.delete is not None
    assert GA4.delete.build([Identifiers(user_id="ada")], prepared(**WEB), context_for([{}])) == []


def test_a_user_is_erased_and_every_device_with_her() -> None:
    assert GA4.delete is not None
    ada, stranger = Identifiers(user_id="ada", anonymous_ids=("a", "b")), Identifiers(emails=("x@acme.test",))
    device = Identifiers(anonymous_ids=("c", "d"))
    stream, context = prepared(**ERASING), context_for([{}] * 3)
    built = GA4.delete.build([ada, stranger, device], stream, context)
    assert [one.covers if isinstance(one, RequestSpec) else (one.index,) for one in built] == [(1,), (0,), (2,)]
    assert [id_in(one) for one in built[1:]] == [("USER_ID", "ada"), ("CLIENT_ID", "c")]
    people = [{"user_id": "ada", "anonymous_ids": ("a", "b")}, {"anonymous_ids": ("c", "d")}]
    asked = [[step.build([one], {}, stream, context) for step in GA4.delete.resolve] for one in people]
    assert [[id_in(one) for one in steps if one is not None] for steps in asked] == [
        [("CLIENT_ID", "a"), ("CLIENT_ID", "b")],
        [("CLIENT_ID", "d")],
    ]


def id_in(request: object) -> tuple[str, str]:
    assert isinstance(request, RequestSpec)
    assert request.uses_grant
    assert request.url == "https://www.googleapis.com/analytics/v3/userDeletion/userDeletionRequests:upsert"
    named = request.body["id"]  # type: ignore[index]
    return named["type"], named["userId"]


def test_a_device_that_cannot_be_erased_ends_the_attempt() -> None:
    assert GA4.delete is not None
    step = GA4.delete.resolve[0]
    request = step.build([{"user_id": "ada", "anonymous_ids": ("a",)}], {}, prepared(**ERASING), context_for([{}]))
    assert request is not None
    assert step.read(request, Response(200, body=b"{}")) is True
    refused = step.read(request, Response(403))
    assert isinstance(refused, ItemOutcome)
    assert refused.reason == "forbidden"
