"""Salesforce: values that cannot break out of a query, bulk jobs followed to their end."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest

from connectors import registry
from connectors.base import Named
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
        ("JobComplete", 1, [(Outcome.PENDING, ())] * 2),
        ("JobComplete", 2, [(Outcome.PENDING, ())] * 2),
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
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "no_external_id")


def test_a_record_that_the_user_may_not_change_does_not_stop_the_others() -> None:
    assert SALESFORCE.interpret is not None
    request = RequestSpec("PATCH", ORG.url, covers=(0, 1), endpoint_label="composite/sobjects")
    error = {"statusCode": "INSUFFICIENT_ACCESS_OR_READONLY", "message": "no access", "fields": []}
    body = json.dumps([{"id": "1", "success": True}, {"success": False, "errors": [error]}]).encode()
    outcomes = [one.outcome for one in SALESFORCE.interpret(request, Response(200, body=body))]
    assert outcomes == [Outcome.DELIVERED, Outcome.REJECTED]


def upserted(key: str, **values: object) -> dict[str, object]:
    return {"object": "Contact", "external_id_field": "User_Id__c", "external_id": key, "fields": values}


def results_of(job_id: str, body: bytes) -> Named:
    job = SALESFORCE.action("bulk_records").job
    assert job is not None
    assert job.naming is not None
    told = job.naming.read(job.build(job_id, ORG, context_for([{}])), Response(200, body=body))
    assert told is not None
    return told


def told_of(told: Named, payload: dict[str, object]) -> ItemOutcome:
    job = SALESFORCE.action("bulk_records").job
    assert job is not None
    assert job.naming is not None
    return told.outcomes.get(job.naming.mark(payload)) or told.rest


def test_the_records_of_a_job_that_failed_fail_with_salesforces_words_and_the_others_do_not() -> None:
    body = (
        b'"sf__Id","sf__Error","LastName","User_Id__c"\n'
        b'"","REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --","A, ""x""","ada"\n'
        b'"","UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--","C","eve"\n'
    )
    told = results_of("750x|failedResults", body)
    refused, locked = told_of(told, upserted("ada", LastName="A")), told_of(told, upserted("eve", LastName="C"))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "record_refused")
    assert "Required fields are missing: [Company]" in refused.message
    assert (locked.outcome, locked.reason) == (Outcome.RETRY, "locked")
    fine = told_of(told, upserted("bob", LastName="B"))
    assert (fine.outcome, fine.warnings) == (Outcome.DELIVERED, ())


def test_a_record_without_an_external_id_is_known_again_by_all_of_it() -> None:
    body = b'"sf__Id","sf__Error","Active__c","Email","LastName"\n"","INVALID_FIELD:no:--","true","","A"\n'
    told = results_of("750x|failedResults", body)
    same = {"object": "Contact", "operation": "create", "fields": {"LastName": "A", "Active__c": True}}
    other = {"object": "Contact", "operation": "create", "fields": {"LastName": "A", "Active__c": False}}
    assert [told_of(told, one).outcome for one in (same, other)] == [Outcome.REJECTED, Outcome.DELIVERED]


@pytest.mark.parametrize("body", [b"", b'"sf__Id","sf__Error","User_Id__c"\n', b"\xff\x00,\n" + b"x" * 70_000])
def test_results_that_name_nobody_or_are_cut_off_leave_a_warning_on_the_others(body: bytes) -> None:
    told = results_of("750x|failedResults", body)
    assert (told.rest.outcome, told.rest.warnings) == (Outcome.DELIVERED, ("count_mismatch",))


def test_the_last_record_of_results_that_were_cut_off_is_not_trusted() -> None:
    row = b'"","X:no:--","adam"\n'
    body = b'"sf__Id","sf__Error","User_Id__c"\n' + row * 4_000 + b'"","X:no:--","ada'
    told = results_of("750x|failedResults", body)
    assert told_of(told, upserted("ada")).outcome is Outcome.DELIVERED
    assert told_of(told, upserted("adam")).outcome is Outcome.REJECTED


def test_of_a_job_that_broke_off_first_the_unprocessed_and_then_the_failed_records_are_asked_for() -> None:
    job = SALESFORCE.action("bulk_records").job
    assert job is not None
    body = json.dumps({"id": "750x", "state": "Failed", "numberRecordsProcessed": 1}).encode()
    (ended,) = job.read(job.build("750x", ORG, context_for([{}])), Response(200, body=body), 1) or []
    assert (ended.outcome, ended.remote_id) == (Outcome.PENDING, "750x|unprocessedrecords")
    request = job.build("750x|unprocessedrecords", ORG, context_for([{}]))
    assert request.url == f"{ORG.url}/jobs/ingest/750x/unprocessedrecords/"
    told = results_of("750x|unprocessedrecords", b'"User_Id__c"\n"ada"\n')
    assert told_of(told, upserted("ada")).reason == "not_processed"
    assert (told.rest.outcome, told.rest.remote_id) == (Outcome.PENDING, "750x|failedResults")


def test_results_that_are_gone_have_nothing_sent_a_second_time() -> None:
    job = SALESFORCE.action("bulk_records").job
    assert job is not None
    request = job.build("750x|failedResults", ORG, context_for([{}]))
    (found,) = job.read(request, Response(404), 1) or []
    assert (found.outcome, found.warnings) == (Outcome.DELIVERED, ("count_mismatch",))


def test_a_record_that_comes_twice_is_uploaded_once_as_it_is_last_and_one_without_an_id_not_at_all() -> None:
    action = SALESFORCE.action("bulk_records")
    payloads = [
        upserted("ada", LastName="A", Phone="1"),
        upserted("ada", LastName="B"),
        {**upserted("x"), "external_id": None},
    ]
    request = action.resolve[1].build(payloads, {"job": "750x"}, ORG, context_for([{}] * 3))
    assert request is not None
    assert request.body == "LastName,Phone,User_Id__c\nB,1,ada\n"
    refused, closing = action.build(payloads, ORG, context_for([{}] * 3, [{"job": "750x"}] * 3))
    assert (refused.index, refused.reason) == (2, "no_external_id")  # type: ignore[union-attr]
    assert isinstance(closing, RequestSpec)
    assert closing.covers == (0, 1)
