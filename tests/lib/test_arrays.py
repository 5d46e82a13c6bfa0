"""Array literals come out of PostgreSQL as what went in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.lib import postgres
from hub.lib.arrays import literal

pytestmark = pytest.mark.django_db


def returned(values: list[object], kind: str) -> object:
    with postgres.connect() as connection:
        row = connection.execute(f"SELECT %s::{kind}[]", [literal(values)]).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", []),
        ("bigint", [1, -(2**63), None]),
        ("float8", [0.1, 1e300, None]),
        ("text", ["", "NULL", "null", None, "{a,b}", ' " \\ ', "a\nb\tc\r", "\u2028é😀"]),
        ("uuid", [UUID(int=1), None]),
        ("date", [date(2026, 2, 28)]),
        ("timestamptz", [datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)]),
    ],
)
def test_values_come_back(kind: str, values: list[object]) -> None:
    assert returned(values, kind) == values


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.none() | st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]))))
def test_any_text_comes_back(values: list[str | None]) -> None:
    assert returned(list(values), "text") == values
