"""Mailchimp: members known by a digest of the address in lower case, each once in a call, in order."""

from __future__ import annotations

import hashlib

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations.mailchimp import event_name
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

MAILCHIMP = registry.get("mailchimp")
SETTINGS = {"api_key": "notarealkey0123456789-us6", "audience_id": "a1b2c3d4e5"}
AUDIENCE = MAILCHIMP.prepare(validate_settings(MAILCHIMP, SETTINGS))


def test_updates_of_one_member_go_one_after_the_other() -> None:
    people = ["a@x.test", "b@x.test", "A@x.test", "c@x.test", "a@x.test", "b@x.test"]
    payloads = [{"email": email, "status": "subscribed"} for email in people]
    built = MAILCHIMP.action("upsert_members").build(payloads, AUDIENCE, context_for([{}] * 6))
    covers = [one.covers for one in built if isinstance(one, RequestSpec)]
    assert sorted(index for each in covers for index in each) == list(range(6))
    for email in ("a@x.test", "b@x.test"):
        places = [
            place
            for index, who in enumerate(people)
            if who.lower() == email
            for place, each in enumerate(covers)
            if index in each
        ]
        assert places == sorted(set(places))


def status_of(double_opt_in: bool | None, **payload: object) -> dict[str, object]:
    action = MAILCHIMP.action("upsert_member")
    found = [{"double_opt_in": double_opt_in}]
    (request,) = action.build([{"email": "a@x.test", **payload}], AUDIENCE, context_for([{}], found))
    assert isinstance(request, RequestSpec)
    return {key: value for key, value in request.body.items() if key.startswith("status")}  # type: ignore[attr-defined]


def test_whoever_is_there_keeps_the_status_and_whoever_is_new_confirms_where_the_audience_wants_it() -> None:
    assert status_of(None, status_if_new="subscribed") == {"status_if_new": "subscribed"}
    assert status_of(False, status_if_new="subscribed") == {"status_if_new": "subscribed"}
    assert status_of(True, status_if_new="subscribed") == {"status_if_new": "pending"}
    assert status_of(True, status_if_new="transactional") == {"status_if_new": "transactional"}
    assert status_of(True, status_if_new="subscribed", status="unsubscribed") == {"status": "unsubscribed"}


def test_the_preset_changes_nobodys_status_and_a_batch_needs_one_for_everybody() -> None:
    (keeping,) = [preset for preset in MAILCHIMP.presets if preset.trigger == 'type = "identify"']
    assert keeping.action == "upsert_member"
    assert "status" not in keeping.fields
    fields = {field.key: field for field in MAILCHIMP.action("upsert_members").fields}
    assert fields["status"].required is True
    assert "status_if_new" not in fields


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Order Completed", "Order_Completed"), ("é", "event_"), ("x", "event_x"), ("a" * 40, "a" * 30)],
)
def test_an_event_is_named_as_mailchimp_takes_names(name: str, wanted: str) -> None:
    assert event_name(name) == wanted


def test_a_member_is_deleted_for_good_by_the_digest_of_the_address_in_lower_case() -> None:
    assert MAILCHIMP.delete is not None
    assert MAILCHIMP.interpret is not None
    people = [Identifiers(emails=("Ada@Acme.test", "ada@acme.test", "ada@home.test")), Identifiers(user_id="bob")]
    request, second, other = MAILCHIMP.delete.build(people, AUDIENCE, context_for([{}] * 2))
    assert isinstance(request, RequestSpec)
    digest = hashlib.md5(b"ada@acme.test").hexdigest()
    assert (
        request.url == f"https://us6.api.mailchimp.com/3.0/lists/a1b2c3d4e5/members/{digest}/actions/delete-permanent"
    )
    assert MAILCHIMP.interpret(request, Response(404))[0].outcome is Outcome.DELIVERED
    assert hashlib.md5(b"ada@home.test").hexdigest() in second.url  # type: ignore[union-attr]
    assert other.outcome is Outcome.FILTERED  # type: ignore[union-attr]
