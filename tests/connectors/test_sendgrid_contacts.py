"""SendGrid's contacts: imports are followed to their end, people are found before they are deleted."""

from __future__ import annotations

import json

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

CONTACTS = registry.get("sendgrid_contacts")
ACCOUNT = CONTACTS.prepare(validate_settings(CONTACTS, {"api_key": "SG.not-a-real-key"}))
JOB = CONTACTS.action("upsert_contact").job
DELETE = CONTACTS.delete
ASK = RequestSpec("GET", "https://api.sendgrid.com/v3/marketing/contacts/imports/1", endpoint_label="imports")


@pytest.mark.parametrize(
    ("status", "errored", "outcomes"),
    [
        ("pending", 0, None),
        ("completed", 0, [(Outcome.DELIVERED, ()), (Outcome.DELIVERED, ())]),
        ("errored", 1, [(Outcome.DELIVERED, ("count_mismatch", "1_of_2_refused"))] * 2),
        ("errored", 0, [(Outcome.DELIVERED, ("count_mismatch", "some_of_2_refused"))] * 2),
        ("", 0, None),
        ("completed", 2, [(Outcome.REJECTED, ()), (Outcome.REJECTED, ())]),
        ("failed", 0, [(Outcome.REJECTED, ()), (Outcome.REJECTED, ())]),
    ],
)
def test_an_import_is_followed_to_its_end(status: str, errored: int, outcomes: object) -> None:
    assert JOB is not None
    body = json.dumps({"id": "1", "status": status, "results": {"errored_count": errored}}).encode()
    found = JOB.read(ASK, Response(200, body=body), 2)
    assert (found and [(one.outcome, one.warnings) for one in found]) == outcomes


def test_a_person_is_found_and_deleted_by_sendgrids_own_id() -> None:
    assert DELETE is not None
    (step,) = DELETE.resolve
    request = step.build([{"emails": ["ada@acme.test"]}], {}, ACCOUNT, context_for([{}]))
    assert request is not None
    assert (request.url, request.body) == (
        "https://api.sendgrid.com/v3/marketing/contacts/search/emails",
        {"emails": ["ada@acme.test"]},
    )
    body = b'{"result": {"ada@acme.test": {"contact": {"id": "c-1"}}}}'
    found = step.read(request, Response(200, body=body))
    assert found == ["c-1"]
    (deletion,) = DELETE.build([Identifiers(user_id="ada")], ACCOUNT, context_for([{}], [{"contacts": found}]))
    assert isinstance(deletion, RequestSpec)
    assert (deletion.method, deletion.url) == ("DELETE", "https://api.sendgrid.com/v3/marketing/contacts?ids=c-1")


def test_an_id_cannot_break_out_of_the_query() -> None:
    assert DELETE is not None
    request = DELETE.resolve[0].build([{"user_id": "a' OR 1=1 \\"}], {}, ACCOUNT, context_for([{}]))
    assert request is not None
    assert request.body == {"query": "external_id IN ('a\\' OR 1=1 \\\\')"}


def test_who_is_not_there_is_deleted_already() -> None:
    assert DELETE is not None
    (decided,) = DELETE.build([Identifiers(user_id="ada")], ACCOUNT, context_for([{}], [{"contacts": []}]))
    assert (decided.outcome, decided.reason) == (Outcome.DELIVERED, "not_found")  # type: ignore[union-attr]
