"""Attentive: people named as it knows them, names of properties that it takes."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations._attentive import cleaned
from connectors.http import Outcome, RequestSpec
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

ATTENTIVE = registry.get("attentive")
ACCOUNT = ATTENTIVE.prepare(validate_settings(ATTENTIVE, {"api_key": "not-a-real-key"}))


def test_names_of_properties_lose_what_attentive_refuses() -> None:
    assert cleaned({"a'b\"c,d{e}f[g]\\|": 1}) == {"abcdefg": 1}
    assert cleaned({"a": {"b|": [{"c[]": 1}]}}) == {"a": {"b": [{"c": 1}]}}


def test_the_name_of_an_event_loses_brackets_too() -> None:
    (request,) = ATTENTIVE.action("track_event").build(
        [{"phone": "+15005550006", "name": "Order (shipped), now"}], ACCOUNT, context_for([{}])
    )
    assert request.body["type"] == "Order shipped now"  # type: ignore[union-attr, index]


@pytest.mark.parametrize("locale", [None, "en"])
def test_nobody_is_subscribed_without_a_sign_up_unit_or_a_whole_locale(locale: str | None) -> None:
    payload = {"phone": "+15005550006", **({"locale": locale} if locale else {})}
    (refused,) = ATTENTIVE.action("subscribe").build([payload], ACCOUNT, context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "sign_up_source_missing")  # type: ignore[union-attr]


def test_a_locale_and_the_kind_of_subscription_name_the_sign_up_unit() -> None:
    payload = {"phone": "+15005550006", "locale": "en_us", "subscription_type": "TRANSACTIONAL"}
    (request,) = ATTENTIVE.action("subscribe").build([payload], ACCOUNT, context_for([{}]))
    assert request.body == {  # type: ignore[union-attr]
        "user": {"phone": "+15005550006"},
        "subscriptionType": "TRANSACTIONAL",
        "locale": {"language": "en", "country": "US"},
    }


def test_unsubscribing_and_tying_need_what_attentive_can_do_it_by() -> None:
    only_id = {"client_user_id": "ada"}
    (unsubscribed,) = ATTENTIVE.action("unsubscribe").build([only_id], ACCOUNT, context_for([{}]))
    (tied,) = ATTENTIVE.action("identify").build([only_id], ACCOUNT, context_for([{}]))
    (long,) = ATTENTIVE.action("identify").build(
        [{"client_user_id": "a" * 101, "email": "a@x.test"}], ACCOUNT, context_for([{}])
    )
    reasons = [one.reason for one in (unsubscribed, tied, long)]  # type: ignore[union-attr]
    assert reasons == ["no_identifier", "one_identifier", "identifier_too_long"]


def test_a_person_is_deleted_by_phone_or_address() -> None:
    assert ATTENTIVE.delete is not None
    people = [
        Identifiers(phones=("+15005550006",), emails=("B@x.test",)),
        Identifiers(emails=("a@x.test",)),
        Identifiers(user_id="x"),
    ]
    people.append(Identifiers(anonymous_ids=("anon",)))
    *requests, nobody = ATTENTIVE.delete.build(people, ACCOUNT, context_for([{}] * 4))
    assert [(one.covers, one.body) for one in requests if isinstance(one, RequestSpec)] == [
        ((0,), {"subjectPhone": "+15005550006"}),
        ((0,), {"subjectEmail": "b@x.test"}),
        ((1,), {"subjectEmail": "a@x.test"}),
        ((2,), {"clientUserId": "x"}),
    ]
    assert nobody.outcome is Outcome.FILTERED  # type: ignore[union-attr]
