"""HubSpot: names of properties and events as it has them, deletion by e-mail."""

from __future__ import annotations

import json

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


def test_a_person_is_deleted_for_good_by_every_address() -> None:
    assert HUBSPOT.delete is not None
    people = [Identifiers(emails=("Ada@acme.test", "ada@home.test")), Identifiers(user_id="bob")]
    *requests, nobody = HUBSPOT.delete.build(people, PORTAL, context_for([{}] * 2))
    assert [(one.covers, one.body) for one in requests if isinstance(one, RequestSpec)] == [
        ((0,), {"objectId": "ada@acme.test", "idProperty": "email"}),
        ((0,), {"objectId": "ada@home.test", "idProperty": "email"}),
    ]
    assert nobody.outcome is Outcome.FILTERED  # type: ignore[union-attr]


@pytest.mark.parametrize("label", ["contacts/batch/upsert", "associations"])
def test_an_error_that_names_no_input_is_searched_for_by_halving(label: str) -> None:
    assert HUBSPOT.interpret is not None
    body = b'{"results": [{"id": "1"}], "errors": [{"message": "no", "context": {}}]}'
    both, one = (RequestSpec("POST", "x", covers=covers, endpoint_label=label) for covers in ((0, 1), (0,)))
    outcomes = [[found.outcome for found in HUBSPOT.interpret(each, Response(207, body=body))] for each in (both, one)]
    assert outcomes == [[Outcome.TOO_LARGE] * 2, [Outcome.REJECTED]]


def outcomes_of(request: RequestSpec, body: object, status: int = 207) -> list[tuple[Outcome, str]]:
    assert HUBSPOT.interpret is not None
    found = HUBSPOT.interpret(request, Response(status, body=json.dumps(body).encode()))
    return [(one.outcome, one.reason) for one in found]


def test_an_input_that_hubspot_does_not_answer_for_is_tried_again() -> None:
    request = RequestSpec("POST", "x", covers=(0, 1, 2, 3), endpoint_label="contacts/batch/upsert")
    results = [{"id": "1", "objectWriteTraceId": "0,3"}]
    errors = [{"message": "no", "context": {"objectWriteTraceId": ["1"]}}]
    assert outcomes_of(request, {"results": results, "errors": errors}) == [
        (Outcome.DELIVERED, ""),
        (Outcome.REJECTED, "input_refused"),
        (Outcome.RETRY, "missing_item"),
        (Outcome.DELIVERED, ""),
    ]


def test_an_association_that_failed_is_found_by_its_ends() -> None:
    inputs = [{"from": {"id": "9"}, "to": {"id": who}} for who in ("51", "52")]
    request = RequestSpec("POST", "x", (), {"inputs": inputs}, "json", (0, 1), endpoint_label="associations")
    error = {"message": "no", "context": {"fromObjectId": ["9"], "toObjectId": ["52"]}}
    assert outcomes_of(request, {"results": [{}], "errors": [error]}) == [
        (Outcome.DELIVERED, ""),
        (Outcome.REJECTED, "input_refused"),
    ]


def test_a_contact_that_a_list_cannot_find_fails_alone() -> None:
    payloads = [{"email": "a@x.test", "list_id": "7"}, {"email": "b@x.test", "list_id": "7"}]
    context = context_for([{}] * 2, [{"contact": "51"}, {"contact": "52"}])
    (request,) = HUBSPOT.action("set_list_membership").build(payloads, PORTAL, context)
    assert isinstance(request, RequestSpec)
    assert outcomes_of(request, {"recordsIdsAdded": ["51"], "recordIdsMissing": ["52"]}, 200) == [
        (Outcome.DELIVERED, ""),
        (Outcome.REJECTED, "record_missing"),
    ]
