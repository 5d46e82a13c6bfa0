"""A condition of the trigger language as SQL over the log, quirks and all: below 0, "", false and null lies that same
value, lists and texts have members by number, and both have a `length` (see `paths.step`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .nodes import TriggerTest
from .paths import is_index
from .sql_values import Parameters, is_bool, is_null, number_of, text_of

_NUMBER_OPERATORS: Final[Mapping[str, str]] = {
    "<": "<", "<=": "<=", ">": ">", ">=": ">=", "number_equals": "=", "number_not_equals": "<>",
}  # fmt: skip
_TEXT_PHRASES: Final[Mapping[str, str]] = {
    "=": "coalesce({text} = {x}, false)",
    "!=": "(NOT coalesce({text} = {x}, false))",
    "contains": "coalesce(strpos({text}, {x}) > 0, false)",
    "not_contains": "coalesce(strpos({text}, {x}) = 0, false)",
    "starts_with": "coalesce(left({text}, length({x})) = {x}, false)",
    "not_starts_with": "coalesce(left({text}, length({x})) <> {x}, false)",
    "ends_with": "coalesce(right({text}, length({x})) = {x}, false)",
    "not_ends_with": "coalesce(right({text}, length({x})) <> {x}, false)",
}
# One step down from `s.v`; the inner query is fenced off, else the planner would write it out once for each mention.
_STEP: Final = (
    "(SELECT CASE json_typeof(s.v) WHEN 'object' THEN s.v -> {key} WHEN 'array' THEN {of_list} "
    "WHEN 'string' THEN CASE WHEN s.v #>> '{{}}' = '' THEN s.v ELSE {of_text} END "
    "WHEN 'boolean' THEN CASE WHEN s.v #>> '{{}}' = 'false' THEN s.v END "
    "WHEN 'number' THEN CASE WHEN (s.v #>> '{{}}')::float8 = 0 THEN s.v END "
    "ELSE s.v END FROM (SELECT {inner} AS v OFFSET 0) AS s)"
)


def test_sql(parameters: Parameters, node: TriggerTest) -> str:
    """Whether an event meets the condition; never NULL."""
    operator, value, v = node.operator, node.value, _value(parameters, node)
    if operator in ("exists", "not_exists"):
        return is_null(v) if operator == "not_exists" else f"(NOT {is_null(v)})"
    if operator in ("is_true", "is_false"):
        return is_bool(v, operator == "is_true")
    if isinstance(value, str):
        column, text = parameters.column(node.keys), text_of(v)
        text = text if column is None else f"coalesce({column}, {text})"
        return _TEXT_PHRASES[operator].format(text=text, x=parameters.text(value, node))
    number = parameters.number(float(value or 0), node)
    return f"coalesce({number_of(v)} {_NUMBER_OPERATORS[operator]} {number}, false)"


def _value(parameters: Parameters, node: TriggerTest) -> str:
    """The JSON value at the end of the path."""
    if not node.keys:
        return "NULL::json"
    names = parameters.keys(node.keys, node)
    v = f"({parameters.body()} -> {names[0]})"
    for key, name in zip(node.keys[1:], names[1:], strict=True):
        v = _STEP.format(inner=v, key=name, **_members(key))
    return v


def _members(key: str) -> dict[str, str]:
    """What a key means below a list and below a text."""
    if key == "length":
        return {"of_list": "to_json(json_array_length(s.v))", "of_text": "to_json(char_length(s.v #>> '{}'))"}
    if not is_index(key):
        return {"of_list": "NULL", "of_text": "NULL"}
    character = f"nullif(substr(s.v #>> '{{}}', {int(key) + 1}, 1), '')"
    return {"of_list": f"s.v -> {int(key)}", "of_text": f"to_json({character})"}
