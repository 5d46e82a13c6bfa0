"""HubSpot: names of properties and events as it has them, deletion by e-mail."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations._hubspot import event_name, properties, property_name
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

HUBSPOT = registry.get("hubspot")
PORTAL = HUBSPOT.prepare(validate_settings(HUBSPOT, {"access_token": "pat-not-a-real-token", "portal_id": "123456"}))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("favouritePlan", "favourite_plan"), ("Order ID", "order_id"), ("já", "j"), ("  ", ""), ("a-b.c", "a_b_c")],
)
def test_a_property_is_named_as_hubspot_names_them(name: str, wanted: str) -> None:
    assert property_name(name) == wanted


def test_what_is_no_property_is_left_out() -> None:
    assert properties({"a": None, "b": {"c": 1}, "d": ["x", 1], "": 1, "E": True}) == {"d": "x;1", "e": True}


@pytest.mark.parametrize(("name", "wanted"), [("Order Completed", "pe123456_order_completed"), ("pe9_x", "pe9_x")])
def test_an_event_has_the_accounts_number_in_its_name(name: str, wanted: str) -> None:
    assert event_name(name, PORTAL) == wanted


def test_an_event_of_nobody_is_refused() -> None:
    (refused,) = HUBSPOT.action("send_event").build([{"name": "x"}], PORTAL, context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "no_identifier")  # type: ignore[union-attr]


def test_a_person_is_deleted_for_good_by_address() -> None:
    assert HUBSPOT.delete is not None
    people = [Identifiers(emails=("ada@acme.test",)), Identifiers(user_id="bob")]
    request, nobody = HUBSPOT.delete.build(people, PORTAL, context_for([{}] * 2))
    assert isinstance(request, RequestSpec)
    assert request.body == {"objectId": "ada@acme.test", "idProperty": "email"}
    assert nobody.outcome is Outcome.FILTERED  # type: ignore[union-attr]


@pytest.mark.parametrize("label", ["contacts/batch/upsert", "associations"])
def test_an_error_that_names_no_input_is_searched_for_by_halving(label: str) -> None:
    assert HUBSPOT.interpret is not None
    body = b'{"results": [{"id": "1"}], "errors": [{"message": "no", "context": {}}]}'
    both, one = (RequestSpec("POST", "x", covers=covers, endpoint_label=label) for covers in ((0, 1), (0,)))
    outcomes = [[found.outcome for found in HUBSPOT.interpret(each, Response(207, body=body))] for each in (both, one)]
    assert outcomes == [[Outcome.TOO_LARGE] * 2, [Outcome.REJECTED]]
