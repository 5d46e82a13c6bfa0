"""Elasticsearch: what proves the credentials, how people are deleted, and what a strange answer comes to."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

ELASTIC = registry.get("elasticsearch")
OPEN = {"url": "https://search.example:9200", "auth": "none"}


def prepared(**settings: object) -> object:
    return ELASTIC.prepare(validate_settings(ELASTIC, {**OPEN, **settings}))


def told(request: object, status: int, body: bytes = b"") -> ItemOutcome:
    assert ELASTIC.interpret is not None
    return ELASTIC.interpret(request, Response(status, body=body))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("index", ["Events", "_events", "-events", "a/b", "a,b", "a*", "", ".."])
def test_a_name_that_no_index_can_have_is_refused(index: str) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(event_index=index or " ")
    assert set(raised.value.codes) == {"event_index"}


@pytest.mark.parametrize(
    ("scheme", "missing"),
    [
        ("basic", {"username", "password"}),
        ("header", {"api_key"}),
        ("aws_sigv4", {"access_key_id", "secret_access_key", "region"}),
    ],
)
def test_each_way_to_sign_in_wants_its_credentials(scheme: str, missing: set[str]) -> None:
    with pytest.raises(SettingsError) as raised:
        prepared(auth=scheme)
    assert set(raised.value.codes) == missing


def test_whoever_may_only_write_passes_the_test() -> None:
    assert ELASTIC.test is not None
    request = ELASTIC.test(prepared(), context_for([{}]))
    assert (request.method, request.url) == ("GET", "https://search.example:9200/")  # type: ignore[union-attr]
    reason = b"action [cluster:monitor/main] is unauthorized for API key id [x]"
    let_in = told(request, 403, b'{"error": {"type": "security_exception", "reason": "' + reason + b'"}}')
    assert (let_in.outcome, let_in.warnings) == (Outcome.DELIVERED, ("only_writes",))
    assert told(request, 401).outcome is Outcome.UNAUTHORIZED
    assert told(request, 403).outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("rotation", "indexes"), [("never", "clicks,headwater-profiles"), ("daily", "clicks-*,headwater-profiles")]
)
def test_people_are_deleted_from_all_indexes_and_the_task_is_kept(rotation: str, indexes: str) -> None:
    assert ELASTIC.delete is not None
    people = [Identifiers(), Identifiers(user_id="ada", anonymous_ids=("a",))]
    cluster = prepared(event_index="clicks", rotation=rotation)
    stranger, request = ELASTIC.delete.build(people, cluster, context_for([{}, {}]))
    assert (stranger.index, stranger.reason) == (0, "no_identifier")  # type: ignore[union-attr]
    assert isinstance(request, RequestSpec)
    assert request.url.startswith(f"https://search.example:9200/{indexes}/_delete_by_query?wait_for_completion=false")
    matches = request.body["query"]["bool"]["should"]  # type: ignore[index]
    assert {"terms": {"userId.keyword": ["ada", "a"]}} in matches
    assert told(request, 200, b'{"task": "node:7"}') == ItemOutcome(1, Outcome.DELIVERED, 200, remote_id="node:7")
    assert told(request, 404).outcome is Outcome.DELIVERED
