"""ActiveCampaign: contacts before lists and tags, people found before they are deleted."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers, Payload
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

ACTIVE = registry.get("active_campaign")
SETTINGS = {"account_url": "https://acme.api-us1.com", "api_key": "not-a-real-key"}
ACCOUNT = ACTIVE.prepare(validate_settings(ACTIVE, SETTINGS))


@pytest.mark.parametrize(
    ("action", "payload", "reason"),
    [
        ("track_event", {"email": "a@x.test", "name": "x"}, "event_key_missing"),
        ("track_page", {"email": "a@x.test", "url": "https://x.test/"}, "account_id_missing"),
        ("set_list", {"email": "a@x.test", "list_id": "3"}, "contact_missing"),
    ],
)
def test_what_lacks_something_is_not_sent(action: str, payload: Payload, reason: str) -> None:
    (refused,) = ACTIVE.action(action).build([payload], ACCOUNT, context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, reason)  # type: ignore[union-attr]


def test_a_tag_needs_an_id_or_a_name() -> None:
    build, found = ACTIVE.action("add_tag").build, {"contact_id": "113"}
    context = context_for([{}] * 2, [found, {**found, "tag": "15"}])
    refused, tagged = build([{"email": "a@x.test"}, {"email": "a@x.test", "tag_name": "Beta"}], ACCOUNT, context)
    assert refused.reason == "tag_missing"  # type: ignore[union-attr]
    assert tagged.body == {"contactTag": {"contact": "113", "tag": "15"}}  # type: ignore[union-attr]


@pytest.mark.parametrize("settings", [{"account_id": "1", "make_missing": False}, {}])
def test_the_lists_of_events_and_domains_are_left_alone_where_it_is_so_set(settings: dict[str, object]) -> None:
    account = ACTIVE.prepare(validate_settings(ACTIVE, {**SETTINGS, **settings}))
    payload = {"email": "a@x.test", "name": "x", "url": "https://x.test/"}
    for action in ("track_event", "track_page"):
        (step,) = ACTIVE.action(action).resolve
        assert step.build([payload], {}, account, context_for([{}])) is None


def test_updates_of_one_person_share_a_look_up_only_when_they_say_the_same() -> None:
    key = ACTIVE.action("add_tag").resolve[0].cache_key
    assert key is not None
    assert key({"email": "a@x.test", "tag_id": "1"}, ACCOUNT) == key({"email": "a@x.test", "tag_id": "2"}, ACCOUNT)
    assert key({"email": "a@x.test", "phone": "1"}, ACCOUNT) != key({"email": "a@x.test", "phone": "2"}, ACCOUNT)


def test_a_person_is_found_and_deleted() -> None:
    assert ACTIVE.delete is not None
    step, other, *_ = ACTIVE.delete.resolve
    person = {"emails": ("ada+x@acme.test", "ada@home.test")}
    request, second = (each.build([person], {}, ACCOUNT, context_for([{}])) for each in (step, other))
    assert second is not None
    assert second.url.endswith("/contacts?email=ada%40home.test")
    assert request is not None
    assert request.url == "https://acme.api-us1.com/api/3/contacts?email=ada%2Bx%40acme.test"
    found = step.read(request, Response(200, body=b'{"contacts": [{"id": "113"}]}'))
    known = {"contact_0": found, "contact_1": "114", "contact_2": "113"}
    deletion, another, nobody = ACTIVE.delete.build(
        [Identifiers(), Identifiers()], ACCOUNT, context_for([{}] * 2, [known, {}])
    )
    assert another.url.endswith("/contacts/114")  # type: ignore[union-attr]
    assert isinstance(deletion, RequestSpec)
    assert (deletion.method, deletion.url) == ("DELETE", "https://acme.api-us1.com/api/3/contacts/113")
    assert nobody.outcome is Outcome.FILTERED  # type: ignore[union-attr]


def test_of_more_emails_than_are_looked_up_the_owner_is_told() -> None:
    assert ACTIVE.delete is not None
    many = Identifiers(emails=tuple(f"ada+{place}@acme.test" for place in range(11)))
    *_, told = ACTIVE.delete.build([many], ACCOUNT, context_for([{}], [{"contact_0": "113"}]))
    assert (told.outcome, told.reason) == (Outcome.REJECTED, "too_many_emails")  # type: ignore[union-attr]
