"""A filter as a condition of SQL over the log, to count matches without reading events out of the database.

It says of every event exactly what the compiled filter says, and is never NULL. What SQL would read in another way is
refused: letters in lower and upper case (two servers disagree about them), numbers as text, two fields compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .filter_code import compile_node
from .fql_types import is_date, kind
from .functions import ANY, BOOL, NUMBER, TEXT
from .nodes import Call, Comparison, Constant, Field, Items, Join, Negation, Never, Node, TriggerTest, walk
from .sql_values import (
    Parameters,
    equals,
    is_bool,
    length_of,
    matches_pattern,
    number_of,
    refuse,
    text_of,
    truth_of,
    type_name_of,
)
from .trigger_sql import test_sql

_ALIAS: Final = re.compile(r"[a-z_]{1,30}", re.ASCII)
_SWAPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Of number("…"): `functions.NUMERAL`, which float8 takes whole.
_NUMERAL: Final = "^[+-]?[0-9]{1,200}([.][0-9]{1,100})?$"


@dataclass(frozen=True, slots=True)
class CountingSql:
    """A condition for a WHERE clause, and its named parameters, all of which begin with `filter_`."""

    condition: str
    parameters: Mapping[str, object]


def to_sql(node: Node, row: str = "event_log") -> CountingSql:
    """Write a filter as a condition on the rows of the log, whose table goes by the name `row` in the statement.

    Raises UncountableFilterError.
    """
    if not _ALIAS.fullmatch(row):
        raise ValueError("the alias of the table must be a plain name")
    writer = _Writer(Parameters(row))
    condition = writer.condition(node)
    return CountingSql(condition, writer.parameters.values)


class _Writer:
    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def condition(self, node: Node) -> str:
        """A text of SQL that is true or false, never NULL."""
        if not any(isinstance(inner, Field | TriggerTest | Never) for inner in walk(node)):
            return "true" if compile_node(node)({}) else "false"
        match node:
            case Join(operator=operator, parts=parts):
                return f"({f' {operator.upper()} '.join(map(self.condition, parts))})"
            case Negation(of=inner):
                return f"(NOT {self.condition(inner)})"
            case TriggerTest():
                return test_sql(self.parameters, node)
            case Comparison(operator="in"):
                return self.membership(node)
            case Comparison(operator="=" | "!=" as operator):
                equal = self.equality(node)
                return equal if operator == "=" else f"(NOT {equal})"
            case Comparison():
                return self.ordering(node)
            case Field():
                return is_bool(self.json(node), True)
            case Call() if kind(node) == BOOL:
                return self.claim(node)
            case _:
                return "false"

    def json(self, field: Field) -> str:
        """The JSON value of a field; it leads through objects only, which is what `->` with a text does."""
        return f"({' -> '.join([self.parameters.body(), *self.parameters.keys(field.keys, field)])})"

    def text(self, node: Node) -> str:
        """The text that a node is, else NULL."""
        match node:
            case Constant(value=str() as value):
                return self.parameters.text(value, node)
            case Field(keys=keys):
                column, value = self.parameters.column(keys), text_of(self.json(node))
                return value if column is None else f"coalesce({column}, {value})"
            case Call(name="typeof", arguments=(Field() as argument,)):
                return type_name_of(self.json(argument))
            case Call(name="snakecase" | "kebabcase" as name, arguments=(argument,)):
                return f"replace({self.text(argument)}, ' ', '{'_' if name == 'snakecase' else '-'}')"
            case Call(name="string", arguments=(argument,)) if kind(argument) == TEXT:
                return self.text(argument)
            case Call(name=name):
                refuse(f"{name}() is not the same in the database", node)
            case _:
                return "NULL::text"

    def number(self, node: Node) -> str:
        """The number that a node is, else NULL."""
        match node:
            case Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self.parameters.number(value, node)
            case Field():
                return number_of(self.json(node))
            case Call(name="length", arguments=(Field() as field,)) if self.parameters.column(field.keys) is None:
                return length_of(self.json(field))
            case Call(name="length", arguments=(argument,)):
                return f"coalesce(octet_length({self.text(argument)}), {self.rest_of_length(argument)})"
            case Call(name="number", arguments=(argument,)) if kind(argument) in (TEXT, ANY):
                text = self.text(argument)
                numeral = f"CASE WHEN {text} ~ '{_NUMERAL}' THEN ({text})::float8 END"
                own = number_of(self.json(argument)) if isinstance(argument, Field) else "NULL"
                return f"coalesce({own}, {numeral})"
            case _:
                return "NULL::float8"

    def rest_of_length(self, argument: Node) -> str:
        """The length of what is no text."""
        return length_of(self.json(argument)) if isinstance(argument, Field) else "0"

    def claim(self, node: Call) -> str:
        """A function that says yes or no."""
        first, last = node.arguments[0], node.arguments[-1]
        if node.name == "contains":
            return f"coalesce(strpos({self.text(first)}, {self.text(last)}) > 0, false)"
        if node.name == "match":
            if not isinstance(last, Constant):
                refuse("the pattern of match() is not written in it", node)
            if not isinstance(last.value, str):
                return "false"
            return matches_pattern(self.parameters, self.text(first), last.value, node)
        if isinstance(first, Field):
            return truth_of(self.json(first))
        if kind(first) == TEXT:
            return f"coalesce({self.text(first)} NOT IN ('', '0', 'false'), false)"
        return f"coalesce({self.number(first)} <> 0, false)" if kind(first) == NUMBER else self.condition(first)

    def equality(self, node: Comparison) -> str:
        left, right = node.left, node.right
        if isinstance(left, Constant | Items):
            left, right = right, left
        if isinstance(left, Field) and isinstance(right, Constant | Items):
            column = self.parameters.column(left.keys)
            is_text = isinstance(right, Constant) and isinstance(right.value, str)
            if column is not None and is_text:
                return f"coalesce({self.text(left)} = {self.text(right)}, false)"
            return equals(self.parameters, self.json(left), right)
        return self.typed_equality(left, right, node)

    def typed_equality(self, left: Node, right: Node, node: Comparison) -> str:
        """Whether two values are equal of which the type of one is sure, or the other is written in the filter."""
        types = {kind(left), kind(right)}
        if isinstance(right, Constant) and right.value is None:
            return self.absence(left)
        if types == {TEXT}:
            return f"({self.text(left)} IS NOT DISTINCT FROM {self.text(right)})"
        if types == {NUMBER} and (_is_small(left) or _is_small(right)):
            return f"({self.number(left)} IS NOT DISTINCT FROM {self.number(right)})"
        if types == {BOOL} and not isinstance(left, Field):
            return f"({self.condition(left)} = {self.condition(right)})"
        if len(types) == 2 and not types & {ANY} and isinstance(right, Constant):
            return "false"
        refuse("it compares two values of the event", node)

    def absence(self, node: Node) -> str:
        if kind(node) == TEXT:
            return f"({self.text(node)} IS NULL)"
        return f"({self.number(node)} IS NULL)" if kind(node) == NUMBER else "false"

    def ordering(self, node: Comparison) -> str:
        left, right, operator = node.left, node.right, node.operator
        if is_date(left) or is_date(right):
            return f'coalesce({self.text(left)} {operator} {self.text(right)} COLLATE "C", false)'
        if not (_is_small(left) or _is_small(right)):
            refuse("it compares two values of the event", node)
        return f"coalesce({self.number(left)} {operator} {self.number(right)}, false)"

    def membership(self, node: Comparison) -> str:
        left, right = node.left, node.right
        if isinstance(right, Items):
            equal = [self.equality(Comparison("=", left, item, node.at, node.end)) for item in right.values]
            return f"({' OR '.join(equal) or 'false'})"
        if not isinstance(left, Constant) or not isinstance(right, Field):
            refuse("it looks for one value of the event in another", node)
        v = self.json(right)
        found = equals(self.parameters, "item.v", left)
        items = f"json_array_elements(CASE WHEN json_typeof({v}) = 'array' THEN {v} ELSE '[]'::json END)"
        return f"EXISTS (SELECT FROM {items} AS item(v) WHERE {found})"


def _is_small(node: Node) -> bool:
    """Whether a node is a number that is the same on both sides, which makes any comparison with it exact; of those
    that are written in the filter no other ones become parameters.
    """
    if isinstance(node, Constant):
        return True
    return isinstance(node, Call) and node.name == "length"
