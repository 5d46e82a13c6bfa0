"""BigQuery: how many rows go together, what the test call proves, and how people are deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from connectors import registry
from connectors.base import Built, Identifiers
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

BIGQUERY = registry.get("bigquery")
KEY = json.dumps(
    {
        "type": "service_account",
        "client_email": "headwater@acme-prod.iam.gserviceaccount.com",
        "private_key": "-----BEGIN PRIVATE KEY-----\nZmFrZQ==\n-----END PRIVATE KEY-----\n",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
)
BASE = "https://bigquery.googleapis.com/bigquery/v2/projects/acme-prod"


def prepared(**settings: object) -> object:
    known = {"project_id": "acme-prod", "dataset": "site", "service_account": KEY}
    return BIGQUERY.prepare(validate_settings(BIGQUERY, {**known, **settings}))


def build(payloads: list[Mapping[str, object]]) -> Sequence[Built]:
    return BIGQUERY.action("insert").build(payloads, prepared(), context_for([{} for _ in payloads]))


def told(request: object, status: int, body: object = "") -> ItemOutcome:
    assert BIGQUERY.interpret is not None
    return BIGQUERY.interpret(request, Response(status, body=json.dumps(body).encode()))[-1]  # type: ignore[arg-type]


def test_a_call_has_five_hundred_rows_and_ten_megabytes_at_most() -> None:
    assert [len(one.covers) for one in build([{"type": "track"}] * 501)] == [500, 1]  # type: ignore[union-attr]
    large = {"type": "track", "properties": {"text": "x" * 4_500_000}}
    refused, *built = build([large, large, {"type": "track", "properties": {"text": "x" * 10_000_000}}, large])
    assert isinstance(refused, ItemOutcome)
    assert (refused.index, refused.reason) == (2, "row_too_large")
    assert [one.covers for one in built] == [(0, 1), (3,)]  # type: ignore[union-attr]


@pytest.mark.parametrize(("is_made", "path"), [(True, "/datasets/site"), (False, "/datasets/site/tables/events")])
def test_the_test_looks_at_what_must_be_there(is_made: bool, path: str) -> None:
    assert BIGQUERY.test is not None
    request = BIGQUERY.test(prepared(create_table=is_made), context_for([{}]))
    assert (request.method, request.url) == ("GET", f"{BASE}{path}?fields=id")  # type: ignore[union-attr]
    assert told(request, 200, {"id": "acme-prod:site"}).outcome is Outcome.DELIVERED
    assert told(request, 404).outcome is Outcome.DISABLED


@pytest.mark.parametrize(
    "settings",
    [{"dataset": "a.b"}, {"dataset": "a`b"}, {"table": "a/b"}, {"table": "x-y"}, {"project_id": "a`; DROP"}],
)
def test_a_name_that_would_change_the_statement_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(**settings)
    assert set(raised.value.codes) == set(settings)


def test_people_are_deleted_by_a_statement_that_holds_none_of_their_ids() -> None:
    request = deletion()
    assert (request.covers, request.url) == ((1,), f"{BASE}/queries")
    body: Mapping[str, object] = request.body  # type: ignore[assignment]
    assert body["query"] == (
        "DELETE FROM `acme-prod.site.events` WHERE user_id IN UNNEST(@ids) OR anonymous_id IN UNNEST(@ids)"
    )
    assert body["useLegacySql"] is False
    assert body["queryParameters"] == [
        {
            "name": "ids",
            "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}},
            "parameterValue": {"arrayValues": [{"value": "ada'; --"}, {"value": "anon"}]},
        }
    ]


def deletion() -> RequestSpec:
    assert BIGQUERY.delete is not None
    people = [Identifiers(emails=("ada@acme.test",)), Identifiers(user_id="ada'; --", anonymous_ids=("anon",))]
    stranger, request = BIGQUERY.delete.build(people, prepared(), context_for([{}, {}]))
    assert (stranger.index, stranger.reason) == (0, "no_identifier")  # type: ignore[union-attr]
    assert isinstance(request, RequestSpec)
    return request


def test_a_deletion_waits_for_rows_that_are_too_young() -> None:
    said = "UPDATE or DELETE statement over table acme-prod.site.events would affect rows in the streaming buffer"
    waits = told(deletion(), 400, {"error": {"code": 400, "message": said, "errors": [{"reason": "invalidQuery"}]}})
    assert (waits.outcome, waits.reason, waits.retry_after_s) == (Outcome.RETRY, "streaming_buffer", 1_800.0)


def test_a_deletion_that_goes_on_or_has_nothing_to_delete_is_done() -> None:
    done = told(deletion(), 200, {"jobComplete": False, "jobReference": {"jobId": "job_7"}})
    assert (done.outcome, done.remote_id) == (Outcome.DELIVERED, "job_7")
    assert told(deletion(), 404).outcome is Outcome.DELIVERED
    assert told(deletion(), 403).outcome is Outcome.DISABLED
