"""Attentive: people named as it knows them, names of properties that it takes."""

from __future__ import annotations

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations.attentive import cleaned
from connectors.http import Outcome, RequestSpec
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

ATTENTIVE = registry.get("attentive")
ACCOUNT = ATTENTIVE.prepare(validate_settings(ATTENTIVE, {"api_key": "not-a-real-key"}))


def test_names_of_properties_lose_what_attentive_refuses() -> None:
    assert cleaned({"a'b\"c,d{e}f[g]": 1}) == {"abcdefg": 1}


def test_nobody_is_subscribed_without_a_sign_up_unit() -> None:
    (refused,) = ATTENTIVE.action("subscribe").build([{"phone": "+15005550006"}], ACCOUNT, context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "sign_up_source_missing")  # type: ignore[union-attr]


def test_a_person_is_deleted_by_phone_or_address() -> None:
    assert ATTENTIVE.delete is not None
    people = [Identifiers(phones=("+15005550006",)), Identifiers(emails=("a@x.test",)), Identifiers(user_id="x")]
    first, second, third = ATTENTIVE.delete.build(people, ACCOUNT, context_for([{}] * 3))
    assert isinstance(first, RequestSpec)
    assert first.body == {"requestType": "DELETE", "user": {"phone": "+15005550006"}}
    assert second.body == {"requestType": "DELETE", "user": {"email": "a@x.test"}}  # type: ignore[union-attr]
    assert third.outcome is Outcome.FILTERED  # type: ignore[union-attr]
