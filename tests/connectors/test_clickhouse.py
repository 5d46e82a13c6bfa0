"""ClickHouse: what proves the user, how people are deleted, and that no name or id can change a statement."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Identifiers
from connectors.destinations._clickhouse import quoted
from connectors.errors import SettingsError
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

CLICKHOUSE = registry.get("clickhouse")
INSERT = CLICKHOUSE.action("insert")


def prepared(**settings: object) -> object:
    return CLICKHOUSE.prepare(validate_settings(CLICKHOUSE, {"url": "https://ch.example:8443", **settings}))


def told(request: object, status: int, body: bytes = b"") -> ItemOutcome:
    assert CLICKHOUSE.interpret is not None
    return CLICKHOUSE.interpret(request, Response(status, body=body))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a`b", "a.b", "a b", "1a", "ä"])
@pytest.mark.parametrize("setting", ["database", "table"])
def test_a_name_that_would_have_to_be_escaped_is_refused(setting: str, name: str) -> None:
    with pytest.raises(SettingsError):
        prepared(**{setting: name})


@pytest.mark.parametrize(
    ("text", "literal"), [("ada", "'ada'"), ("o'hara", r"'o\'hara'"), ("a\\' OR 1 --", r"'a\\\' OR 1 --'")]
)
def test_an_id_stays_inside_its_quotes(text: str, literal: str) -> None:
    assert quoted(text) == literal


def test_the_same_rows_have_the_same_token_and_others_another() -> None:
    rows = [{"type": "track"}, {"type": "track"}]
    keys = [INSERT.build(rows[:count], prepared(), context_for([{}] * count))[0].idempotency_key for count in (1, 2, 2)]  # type: ignore[union-attr]
    assert keys[0] != keys[1] == keys[2]


def test_a_table_of_the_owners_is_not_made() -> None:
    step, columns = INSERT.resolve
    payload = {"type": "track", "columns": {"total": 1}}
    assert columns.build([payload], {}, prepared(), context_for([{}])) is None
    assert columns.cache_key is not None
    assert columns.cache_key(payload, prepared()) is None
    assert step.build([{}], {}, prepared(create_table=False), context_for([{}])) is None
    assert step.cache_key is not None
    assert step.cache_key({}, prepared(database="crm")) == "`crm`.`events`"


def test_a_select_proves_the_user() -> None:
    assert CLICKHOUSE.test is not None
    request = CLICKHOUSE.test(prepared(), context_for([{}]))
    assert (request.method, request.url) == ("GET", "https://ch.example:8443/?query=SELECT+1")  # type: ignore[union-attr]
    assert told(request, 200, b"1\n").outcome is Outcome.DELIVERED
    assert told(request, 403, b"Code: 516. DB::Exception: Authentication failed").outcome is Outcome.UNAUTHORIZED


def test_people_are_deleted_by_all_of_their_ids() -> None:
    assert CLICKHOUSE.delete is not None
    people = [
        Identifiers(user_id="o'hara", anonymous_ids=("a",)),
        Identifiers(phones=("+1",)),
        Identifiers(user_id="bob"),
    ]
    stranger, request = CLICKHOUSE.delete.build(people, prepared(), context_for([{}] * 3))
    assert (stranger.index, stranger.reason) == (1, "no_identifier")  # type: ignore[union-attr]
    assert isinstance(request, RequestSpec)
    ids = r"('o\'hara', 'a', 'bob')"
    assert request.body == f"DELETE FROM `default`.`events` WHERE user_id IN {ids} OR anonymous_id IN {ids}".encode()
    assert request.covers == (0, 2)
    assert (
        told(request, 404, b"Code: 60. DB::Exception: Table default.events does not exist.").outcome
        is Outcome.DELIVERED
    )


def test_a_null_fills_no_column_and_chooses_no_type() -> None:
    _, columns = INSERT.resolve
    payload = {"type": "track", "columns": {"score": None, "total": 1}}
    growing = prepared(add_columns=True)
    request = columns.build([payload], {}, growing, context_for([{}]))
    assert request is not None
    assert request.body == "ALTER TABLE `default`.`events` ADD COLUMN IF NOT EXISTS `total` Nullable(Int64)"
    (insert,) = INSERT.build([payload], growing, context_for([{}]))
    assert "score" not in insert.body[0]  # type: ignore[union-attr, index]
