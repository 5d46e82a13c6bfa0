"""Intercom: prices in cents, people deleted by Intercom's own id and nobody else's."""

from __future__ import annotations

from connectors import registry
from connectors.base import Identifiers
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

INTERCOM = registry.get("intercom")
WORKSPACE = INTERCOM.prepare(validate_settings(INTERCOM, {"access_token": "not-a-real-token"}))


def test_a_price_is_in_whole_cents() -> None:
    payload = {"external_id": "ada", "name": "x", "time": "2026-03-01T12:00:00Z", "revenue": 19.99}
    (request,) = INTERCOM.action("track_event").build([payload], WORKSPACE, context_for([{}]))
    assert request.body["metadata"] == {"price": {"amount": 1999, "currency": "usd"}}  # type: ignore[union-attr, index]


def test_every_contact_of_a_person_is_deleted_by_the_id_that_was_found() -> None:
    assert INTERCOM.delete is not None
    assert INTERCOM.interpret is not None
    people = [Identifiers(user_id="ada"), Identifiers(user_id="bob"), Identifiers(anonymous_ids=("a-1",))]
    found = [{"contacts": ["5ba682d2", "5ba682d3"]}, {}, {}]
    request, lead, gone, nobody = INTERCOM.delete.build(people, WORKSPACE, context_for([{}] * 3, found))
    assert isinstance(request, RequestSpec)
    assert (request.url, request.body) == (
        "https://api.intercom.io/user_delete_requests",
        {"intercom_user_id": "5ba682d2"},
    )
    assert lead.body == {"intercom_user_id": "5ba682d3"}  # type: ignore[union-attr]
    assert INTERCOM.interpret(request, Response(404))[0].outcome is Outcome.DELIVERED
    assert (gone.outcome, gone.reason) == (Outcome.DELIVERED, "not_found")  # type: ignore[union-attr]
    assert (nobody.outcome, nobody.reason) == (Outcome.FILTERED, "no_identifier")  # type: ignore[union-attr]


def test_a_person_to_be_deleted_is_searched_by_every_id() -> None:
    assert INTERCOM.delete is not None
    (step,) = INTERCOM.delete.resolve
    person = {"user_id": "ada", "emails": ("ada@acme.test",)}
    request = step.build([person], {}, WORKSPACE, context_for([{}]))
    assert request is not None
    assert request.body == {
        "query": {
            "operator": "OR",
            "value": [
                {"field": "external_id", "operator": "=", "value": "ada"},
                {"field": "email", "operator": "=", "value": "ada@acme.test"},
            ],
        }
    }
    two = Response(200, body=b'{"data": [{"id": "1"}, {"id": "2"}]}')
    assert step.read(request, two) == ["1", "2"]
    assert step.read(request, Response(500)) is None


def test_an_email_and_a_user_id_that_look_alike_are_remembered_apart() -> None:
    (step,) = INTERCOM.action("upsert_contact").resolve
    assert step.cache_key is not None
    names = [step.cache_key({key: "ada@acme.test"}, WORKSPACE) for key in ("external_id", "email")]
    assert len(set(names)) == 2


def test_with_oauth_the_token_is_added_by_delivery() -> None:
    settings = {"auth": "oauth2_code", "client_id": "c-1", "client_secret": "not-a-real-secret"}
    workspace = INTERCOM.prepare(validate_settings(INTERCOM, settings))
    assert [name for name, _ in workspace.headers] == ["intercom-version", "accept"]
