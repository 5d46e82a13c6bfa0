"""PostgreSQL: rows that any database can read, and people deleted by their user id."""

from __future__ import annotations

import json

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome
from connectors.records import PostgresDelete, PostgresRow, SinkRequest
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

POSTGRES = registry.get("postgres")
SETTINGS = {"host": "db.acme.test", "database": "shop", "username": "hub", "password": "not-a-real-password"}


def prepare(**changes: object) -> object:
    return POSTGRES.prepare(validate_settings(POSTGRES, {**SETTINGS, **changes}))


@pytest.mark.parametrize("host", ["/var/run/postgresql", "@socket", "a b", "db.acme.test:5432", "host=x"])
def test_a_host_is_a_host(host: str) -> None:
    with pytest.raises(SettingsError):
        prepare(host=host)


def test_no_json_text_holds_what_json_columns_refuse() -> None:
    payload = {"body": {"a": "x\0y", "b": "\\u0000", "c": "\ud800"}}
    (request,) = POSTGRES.action("insert").build([payload], prepare(), context_for([{}]))
    assert isinstance(request, SinkRequest)
    (row,) = request.records
    assert isinstance(row, PostgresRow)
    assert json.loads(str(row.values["body"])) == {"a": "x\ufffdy", "b": "\\u0000", "c": "?"}
    assert row.values["message_id"] == "0"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"user_id": "", "a": 1}, "no_key"),
        ({"a": 1}, "no_key"),
        ({"user_id": "ada", "x" * 64: 1}, "bad_column"),
        ({"user_id": "ada", "": 1}, "bad_column"),
        ({"user_id": "ada", **{f"c{n}": n for n in range(200)}}, "too_many_columns"),
    ],
)
def test_a_row_that_cannot_be_is_rejected(columns: dict[str, object], reason: str) -> None:
    payload = {"columns": columns, "key": ["user_id"]}
    (outcome,) = POSTGRES.action("upsert").build([payload], prepare(), context_for([{}]))
    assert isinstance(outcome, ItemOutcome)
    assert outcome.reason == reason


def test_people_are_deleted_by_their_user_id() -> None:
    assert POSTGRES.delete is not None
    people = [Identifiers(user_id="ada"), Identifiers(anonymous_ids=("anon-1",)), Identifiers(user_id="bob")]
    nobody, request = POSTGRES.delete.build(people, prepare(), context_for([{}] * 3))
    assert isinstance(nobody, ItemOutcome)
    assert (nobody.index, nobody.outcome) == (1, Outcome.FILTERED)
    assert isinstance(request, SinkRequest)
    assert request.covers == (0, 2)
    assert request.records == tuple(PostgresDelete(("public", "events"), "user_id", (who,)) for who in ("ada", "bob"))
