"""Salesforce: values that cannot break out of a query, bulk jobs followed to their end."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest

from connectors import registry
from connectors.destinations._salesforce import quoted
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

SALESFORCE = registry.get("salesforce")
SETTINGS = {"client_id": "consumer-key", "client_secret": "not-a-real-secret"}
ORG = SALESFORCE.prepare(validate_settings(SALESFORCE, SETTINGS))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("o'hara", "'o\\'hara'"),
        ("\\' OR Id != '", "'\\\\\\' OR Id != \\''"),
        (True, "true"),
        (5, "5"),
        ("a\nb", "'a\\nb'"),
    ],
)
def test_a_value_cannot_break_out_of_a_query(value: object, wanted: str) -> None:
    assert quoted(value) == wanted


def test_a_name_of_a_field_cannot_be_a_query_either() -> None:
    step = SALESFORCE.action("save_record").resolve[0]
    payload = {"object": "Lead", "match": {"Id != null OR Email": "x"}}
    assert step.build([payload], {}, ORG, context_for([{}])) is None


@pytest.mark.parametrize(
    ("state", "failed", "outcomes"),
    [
        ("InProgress", 0, None),
        ("JobComplete", 0, [(Outcome.DELIVERED, ())] * 2),
        ("JobComplete", 1, [(Outcome.DELIVERED, ("count_mismatch",))] * 2),
        ("JobComplete", 2, [(Outcome.REJECTED, ())] * 2),
        ("Failed", 0, [(Outcome.REJECTED, ())] * 2),
    ],
)
def test_a_bulk_job_is_followed_to_its_end(state: str, failed: int, outcomes: object) -> None:
    job = SALESFORCE.action("bulk_records").job
    assert job is not None
    request = job.build("750x", ORG, context_for([{}]))
    body = json.dumps({"id": "750x", "state": state, "numberRecordsFailed": failed}).encode()
    found = job.read(request, Response(200, body=body), 2)
    assert (found and [(one.outcome, one.warnings) for one in found]) == outcomes


def test_before_anybody_has_signed_in_the_sign_in_host_stands_for_the_organisation() -> None:
    assert ORG.url == "https://login.salesforce.com/services/data/v60.0"


def test_a_record_to_be_updated_by_an_external_id_is_looked_up_so_that_none_is_made() -> None:
    step = SALESFORCE.action("save_record").resolve[0]
    payload = {"object": "Contact", "operation": "update", "external_id_field": "User_Id__c", "external_id": "ada"}
    request = step.build([payload], {}, ORG, context_for([{}]))
    assert request is not None
    assert unquote(request.url).endswith("SELECT Id FROM Contact WHERE User_Id__c = 'ada' LIMIT 2")
    assert step.build([{**payload, "operation": "upsert"}], {}, ORG, context_for([{}])) is None


def test_a_bulk_upsert_without_an_external_id_field_is_refused_and_opens_no_job() -> None:
    action = SALESFORCE.action("bulk_records")
    payload = {"object": "Contact", "operation": "upsert", "fields": {"LastName": "Lovelace"}}
    assert action.resolve[0].build([payload], {}, ORG, context_for([{}])) is None
    (refused,) = action.build([payload], ORG, context_for([{}]))
    assert isinstance(refused, ItemOutcome)
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "job_missing")


def test_a_record_that_the_user_may_not_change_does_not_stop_the_others() -> None:
    assert SALESFORCE.interpret is not None
    request = RequestSpec("PATCH", ORG.url, covers=(0, 1), endpoint_label="composite/sobjects")
    error = {"statusCode": "INSUFFICIENT_ACCESS_OR_READONLY", "message": "no access", "fields": []}
    body = json.dumps([{"id": "1", "success": True}, {"success": False, "errors": [error]}]).encode()
    outcomes = [one.outcome for one in SALESFORCE.interpret(request, Response(200, body=body))]
    assert outcomes == [Outcome.DELIVERED, Outcome.REJECTED]
