"""Braze: requests of at most 75 entries in which an order stays together, and deletion by external id and e-mail."""

from __future__ import annotations

from connectors import registry
from connectors.base import Identifiers
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

BRAZE = registry.get("braze")
ACCOUNT = BRAZE.prepare(validate_settings(BRAZE, {"api_key": "not-a-real-braze-key"}))
TIME = "2026-03-01T11:59:58.123Z"


def order(products: int) -> dict[str, object]:
    listed = [{"product_id": str(number), "price": 1} for number in range(products)]
    return {"external_id": "ada", "time": TIME, "currency": "EUR", "products": listed}


def test_a_request_has_at_most_75_entries_and_an_order_stays_together() -> None:
    payloads = [order(50), order(20), order(10), order(76), order(75)]
    built = BRAZE.action("track_purchase").build(payloads, ACCOUNT, context_for([{}] * 5))
    sent = [one for one in built if isinstance(one, RequestSpec)]
    assert [(one.covers, len(one.body["purchases"])) for one in sent] == [((0, 1), 70), ((2,), 10), ((4,), 75)]  # type: ignore[index]
    (refused,) = (one for one in built if not isinstance(one, RequestSpec))
    assert (refused.index, refused.reason) == (3, "products_out_of_range")  # type: ignore[union-attr]


def test_a_person_is_deleted_by_external_id_and_by_every_email() -> None:
    assert BRAZE.delete is not None
    people = [
        Identifiers(user_id="ada", emails=("ada@acme.test", "ada@home.test", "ada@acme.test")),
        Identifiers(anonymous_ids=("anon",)),
        Identifiers(user_id="eve"),
        Identifiers(emails=("bob@acme.test",)),
    ]
    refused, by_id, by_email = BRAZE.delete.build(people, ACCOUNT, context_for([{}] * 4))
    assert isinstance(by_id, RequestSpec)
    assert isinstance(by_email, RequestSpec)
    assert by_id.url == by_email.url == "https://rest.iad-01.braze.com/users/delete"
    assert (by_id.body, by_id.covers) == ({"external_ids": ["ada", "eve"]}, (0, 2))
    order = ["unidentified", "most_recently_updated"]
    emails = ["ada@acme.test", "ada@home.test", "bob@acme.test"]
    assert by_email.body == {"email_addresses": [{"email": email, "prioritization": order} for email in emails]}
    assert by_email.covers == (0, 3)
    assert (refused.outcome, refused.reason) == (Outcome.FILTERED, "no_identifier")  # type: ignore[union-attr]


def test_no_deletion_names_more_than_fifty() -> None:
    assert BRAZE.delete is not None
    many = tuple(f"{number}@acme.test" for number in range(60))
    people = [Identifiers(emails=many), Identifiers(emails=("x@y.test",))]
    first, second = BRAZE.delete.build(people, ACCOUNT, context_for([{}] * 2))
    assert isinstance(first, RequestSpec)
    assert isinstance(second, RequestSpec)
    assert [len(one.body["email_addresses"]) for one in (first, second)] == [50, 11]  # type: ignore[index]
    assert [one.covers for one in (first, second)] == [(0,), (0, 1)]


def test_a_key_is_proved_by_a_request_that_holds_nothing() -> None:
    assert BRAZE.test is not None
    assert BRAZE.interpret is not None
    request = BRAZE.test(ACCOUNT, context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert BRAZE.interpret(request, Response(400))[0].outcome is Outcome.DELIVERED
    assert BRAZE.interpret(request, Response(401))[0].outcome is Outcome.UNAUTHORIZED
