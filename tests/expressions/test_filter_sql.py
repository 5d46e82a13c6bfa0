"""Counting by SQL says of every event what the compiled filter says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.events.spec import row_of
from hub.expressions import fql
from hub.expressions.errors import UncountableFilterError
from hub.expressions.filter_code import compile_node
from hub.expressions.filter_sql import to_sql
from hub.expressions.filters import node_of, read_node
from hub.expressions.nodes import Node
from tests.expressions.strategies import FILTERS, events
from tests.expressions.trigger_strategies import TREES

pytestmark = pytest.mark.django_db
many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

COLUMNS = ("type", "event_name", "user_id", "anonymous_id", "message_id", "body")
ARRAYS = ", ".join(f"%({name})s::text[]" for name in COLUMNS)
LOG = f"unnest({ARRAYS}) WITH ORDINALITY AS e({', '.join(COLUMNS)}, place)"


def matching(nodes: Sequence[Node], log: Sequence[dict[str, Any]]) -> list[list[bool]]:
    """What PostgreSQL says of each filter and event, laid out as the log lays it out."""
    rows = [row_of(event, orjson.dumps(event), 0) for event in log]
    values: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    values["body"] = [body.decode() for body in values["body"]]
    conditions = []
    for place, node in enumerate(nodes):
        sql = to_sql(node, "e")
        conditions.append(sql.condition.replace("%(filter_", f"%(filter_{place}_"))
        values |= {f"filter_{place}_{name.removeprefix('filter_')}": value for name, value in sql.parameters.items()}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(conditions)} FROM {LOG} ORDER BY e.place", values)
        return [list(column) for column in zip(*cursor.fetchall(), strict=True)]


def both(log: Sequence[dict[str, Any]], *nodes: Node) -> None:
    stored = [orjson.loads(orjson.dumps(event)) for event in log]
    tests = [compile_node(node) for node in nodes]
    assert matching(nodes, log) == [[test(event) for event in stored] for test in tests]


VALUES = [
    None, True, False, 0, 1, -1, -0.0, 0.5, 1.0, 5, 5e-324, 1e300, 2**53, 2**53 + 1, -(2**63), "", "a", "ab",
    "A b", "é a",
    "ア", "5", "-1.50", "+5", " 5", "5.", "0", "false", "true", "2025-12-31", "2026-01-31",
    "2026-02-01T00:00:00Z", "%", "_",
    "\\", "*", "\n", "a\nb", "null", [], [1], [1.0, "a"], ["a", None, True, [1]], {}, {"length": 3},
    {"0": "x", "a": {"b": 1}},
]  # fmt: skip
LOG_OF_ALL = [
    event
    for value in VALUES
    for event in (
        {"type": "track", "messageId": "m", "event": value, "userId": value, "properties": {"a": value}, "a": value},
        {
            "type": "page",
            "messageId": "m",
            "event": value,
            "name": value,
            "properties": value,
            "traits": {"a": [value]},
        },
    )
]
FIELDS = [
    "properties.a",
    "properties.a.b",
    "properties",
    "event",
    "name",
    "userId",
    "messageId",
    "a",
    "traits.a",
    "type",
]
FQL = [
    "{}", "!{}", "{} = null", "{} != null", "{} = true", "{} = 1", "1 != {}", '{} = "a"', '{} = ""', '{} != "5"',
    "{} = []", '{} = [1, "a"]', '{} = ["a", null, true]', '{} in ["a", 1, null, false]', "1 in {}", '"a" in {}',
    "null in {}", "true in {}", "{} > 0", "0 <= {}", "{} < 0.5", '{} >= "2026-01-31"', '"2026-01" < {}',
    'contains({}, "a")', 'contains({}, "")', 'contains("cab", {})', 'match({}, "*a*")', 'match({}, "?")',
    'match({}, "")',
    'match({}, "[a-é]*")', 'match({}, "[^%_]")', "match({}, '\\\\')", 'match({}, "*\n*")', "length({}) = 1",
    "length({}) >= 3",
    "length({}) = 0", 'typeof({}) = "map"', 'typeof({}) = "null"', 'typeof({}) in ["list", "bool", "number"]',
    "bool({})",
    "bool({}) = false", "number({}) = 5", "number({}) < 0", "number({}) = null", 'snakecase({}) = "A_b"',
    "kebabcase({}) = null", "kebabcase({}) = snakecase({})", "bool(number({}))", "bool(snakecase({}))",
    'length(kebabcase({})) = 3', "string(snakecase({})) = null",
]  # fmt: skip
TRIGGER_FIELDS = [
    "properties.a", "properties.a.b", "properties.a.length", "properties.a[0]", "properties.length", "properties.0.a",
    "traits.a.length", "traits.a[0].length", "traits.a[1]", "event", "name", "userId", "type",
]  # fmt: skip
TRIGGER = [
    '{} = "a"', '{} != "a"', '{} = ""', "{} != null", "{} = null", "{} = true", "{} = false", '!contains({}, "a")',
    'contains({}, "")', 'match({}, "a*")', '!match({}, "a*")', 'match({}, "*b")', '!match({}, "*b")', 'match({}, "*")',
]  # fmt: skip
NUMERIC_TRIGGER = ["{} = 1", "{} != 1", "{} = 0", "{} > 0", "{} >= 1", "{} < 1", "{} <= 0.5"]


@pytest.mark.parametrize("field", FIELDS)
def test_every_claim_of_the_full_language_about_every_kind_of_value(field):
    both(LOG_OF_ALL, *(fql.parse(claim.replace("{}", field)) for claim in FQL))


@pytest.mark.parametrize("field", TRIGGER_FIELDS)
def test_every_claim_of_the_trigger_language_about_every_kind_of_value(field):
    claims = [*TRIGGER, *(NUMERIC_TRIGGER if "." in field else [])]
    both(LOG_OF_ALL, *(read_node(claim.replace("{}", field)) for claim in claims))


def test_nothing_matches_an_event_that_was_blanked_except_what_matches_nothing_at_all():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE e (type text, event_name text, user_id text, body text) ON COMMIT DROP")
        cursor.execute("INSERT INTO e VALUES ('track', NULL, NULL, '')")
        for text, count in (("properties.a = 1", 0), ("properties.a = null", 1)):
            sql = to_sql(fql.parse(text), "e")
            cursor.execute(f"SELECT count(*) FROM e WHERE {sql.condition}", sql.parameters)
            assert cursor.fetchone() == (count,)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ('lowercase(event) = "x"', 0),
        ("properties.a = properties.b", 0),
        ("properties.a > properties.b", 0),
        ("userId in properties.ids", 0),
        ("match(event, properties.pattern)", 0),
        ('type = "a" and string(properties.a) = "x"', 15),
        ("properties.a > 9007199254740992", 15),
        ("properties.a = '\x00'", 15),
    ],
)
def test_what_sql_reads_in_another_way_is_refused_with_its_place(text, at):
    with pytest.raises(UncountableFilterError) as caught:
        to_sql(fql.parse(text))
    assert (caught.value.code, caught.value.path) == ("not_countable", f"/{at}")


def test_nothing_that_was_written_in_a_filter_becomes_part_of_the_statement():
    evil = "'); DROP TABLE event_log; -- %s %(x)s {0}"
    key = "".join(f"\\{character}" for character in evil)
    sql = to_sql(fql.parse(f'properties.{key} = 1 or event = "{evil}" or match(event, "{evil}*[a]")'))
    assert "DROP" not in sql.condition
    assert evil in sql.parameters.values()


def test_an_alias_that_is_no_name_is_refused():
    with pytest.raises(ValueError, match="plain name"):
        to_sql(fql.parse("a = 1"), "e; --")


logs = st.lists(events(), min_size=1, max_size=6)


@many
@given(FILTERS, logs)
def test_the_full_language_counts_what_it_matches(node, log):
    try:
        to_sql(node)
    except UncountableFilterError:
        return
    both(log, node)


@many
@given(TREES, logs)
def test_the_trigger_language_counts_what_it_matches(tree, log):
    try:
        to_sql(node_of(tree))
    except UncountableFilterError:
        return
    both(log, node_of(tree))
