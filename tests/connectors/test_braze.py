"""Braze: requests of at most 75 entries in which an order stays together, and deletion by external id."""

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


def test_a_person_is_deleted_by_external_id() -> None:
    assert BRAZE.delete is not None
    people = [Identifiers(user_id="ada"), Identifiers(emails=("bob@acme.test",)), Identifiers(user_id="eve")]
    refused, request = BRAZE.delete.build(people, ACCOUNT, context_for([{}] * 3))
    assert isinstance(request, RequestSpec)
    assert (request.url, request.body, request.covers) == (
        "https://rest.iad-01.braze.com/users/delete",
        {"external_ids": ["ada", "eve"]},
        (0, 2),
    )
    assert (refused.outcome, refused.reason) == (Outcome.FILTERED, "no_user_id")  # type: ignore[union-attr]


def test_a_key_is_proved_by_a_request_that_holds_nothing() -> None:
    assert BRAZE.test is not None
    assert BRAZE.interpret is not None
    request = BRAZE.test(ACCOUNT, context_for([{}]))
    assert isinstance(request, RequestSpec)
    assert BRAZE.interpret(request, Response(400))[0].outcome is Outcome.DELIVERED
    assert BRAZE.interpret(request, Response(401))[0].outcome is Outcome.UNAUTHORIZED
