"""Mixpanel: what proves the credentials, how people are erased, and what counts twice if it is sent twice."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

MIXPANEL = registry.get("mixpanel")
TOKEN = {"project_token": "fake-project-token"}
ADA = Identifiers(user_id="ada", anonymous_ids=("anon-1",))
STRANGER = Identifiers(emails=("ada@acme.test",))


def prepared(**settings: object) -> object:
    return MIXPANEL.prepare(validate_settings(MIXPANEL, {**TOKEN, **settings}))


def deletion(*people: Identifiers, **settings: object) -> list[RequestSpec | ItemOutcome]:
    assert MIXPANEL.delete is not None
    return list(MIXPANEL.delete.build(people, prepared(**settings), context_for([{}] * len(people))))  # type: ignore[arg-type]


def told(request: object, status: int, body: bytes = b"") -> ItemOutcome:
    assert MIXPANEL.interpret is not None
    return MIXPANEL.interpret(request, Response(status, body=body))[0]  # type: ignore[arg-type]


def test_a_service_account_needs_its_secret_and_the_project() -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(auth="basic", username="importer")
    assert set(raised.value.codes) == {"password", "project_id"}


def test_an_import_of_nothing_proves_the_credentials() -> None:
    assert MIXPANEL.test is not None
    request = MIXPANEL.test(prepared(), context_for([{}]))
    assert (request.method, request.body) == ("POST", [])  # type: ignore[union-attr]
    assert told(request, 400, b'{"code": 400, "error": "no data"}').outcome is Outcome.DELIVERED
    assert told(request, 401).outcome is Outcome.UNAUTHORIZED


def test_without_a_token_for_it_only_the_profiles_go() -> None:
    stranger, request = deletion(ADA, STRANGER)
    assert (stranger.index, stranger.outcome, stranger.reason) == (1, Outcome.FILTERED, "no_identifier")  # type: ignore[union-attr]
    gone = {"$token": TOKEN["project_token"], "$delete": None, "$ignore_alias": True}
    assert request.covers == (0,)  # type: ignore[union-attr]
    assert request.body == [{**gone, "$distinct_id": one} for one in ("ada", "anon-1", "$device:anon-1")]  # type: ignore[union-attr]
    assert told(request, 200, b"1").outcome is Outcome.DELIVERED
    assert told(request, 200, b'{"status": 0, "error": "no"}').reason == "refused"


def test_with_a_token_for_it_the_events_go_too_and_the_task_is_kept() -> None:
    (request,) = deletion(ADA, gdpr_token="fake-gdpr-token", region="eu", id_merge="original", compliance="CCPA")
    assert request.url == "https://eu.mixpanel.com/api/app/data-deletions/v3.0/?token=fake-project-token"  # type: ignore[union-attr]
    assert request.headers == (("authorization", "Bearer fake-gdpr-token"),)  # type: ignore[union-attr]
    assert request.body == {"distinct_ids": ["ada", "anon-1"], "compliance_type": "CCPA"}  # type: ignore[union-attr]
    done = told(request, 200, b'{"status": "ok", "results": {"task_id": "task-1"}}')
    assert (done.outcome, done.remote_id) == (Outcome.DELIVERED, "task-1")
    assert told(request, 404).outcome is Outcome.DELIVERED


def test_a_request_for_erasure_names_no_more_than_mixpanel_takes() -> None:
    people = [Identifiers(anonymous_ids=tuple(f"{person}-{device}" for device in range(400))) for person in range(3)]
    requests = deletion(*people)
    assert [one.covers for one in requests] == [(0,), (1,), (2,)]  # type: ignore[union-attr]
    assert all(len(one.body) == 800 for one in requests)  # type: ignore[union-attr,arg-type]


def test_more_properties_than_are_allowed_are_told_before_they_are_sent() -> None:
    track = MIXPANEL.action("track")
    payloads = [{"event": "x", "properties": {f"p{number}": 1 for number in range(count)}} for count in (255, 256)]
    refused, request = track.build(payloads, prepared(), context_for([{}, {}]))
    assert (refused.index, refused.reason) == (1, "too_many_properties")  # type: ignore[union-attr]
    assert request.covers == (0,)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("operation", "is_repeatable"), [("set", True), ("union", True), ("add", False), ("append", False)]
)
def test_what_counts_is_not_sent_again_when_nobody_knows_if_it_arrived(operation: str, is_repeatable: bool) -> None:
    payload = {"user_id": "ada", "operation": operation, "properties": {"visits": 1}}
    (request,) = MIXPANEL.action("set_profile").build([payload], prepared(), context_for([{}]))
    assert request.is_repeatable is is_repeatable  # type: ignore[union-attr]


def test_revenue_of_nobody_is_refused() -> None:
    (refused,) = MIXPANEL.action("add_revenue").build([{"amount": 5}], prepared(), context_for([{}]))
    assert refused.reason == "no_id"  # type: ignore[union-attr]
