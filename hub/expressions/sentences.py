"""A filter as an English sentence: `The event is "Order Completed" and the property revenue is greater than 50`. It
says what the filter does, with the quirks of its language, not what its author may have meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .fql_types import is_date
from .fql_writer import constant
from .nodes import Call, Comparison, Constant, Field, Items, Join, Negation, Never, Node, Scalar, TriggerTest

TOP: Final[Mapping[str, str]] = {
    "type": "the type",
    "event": "the event",
    "name": "the name",
    "userId": "the user ID",
    "anonymousId": "the anonymous ID",
    "messageId": "the message ID",
}
INSIDE: Final[Mapping[str, str]] = {
    "properties": "the property",
    "traits": "the trait",
    "context": "the context field",
    "integrations": "the integration",
}
ORDERINGS: Final[Mapping[str, str]] = {
    "<": "less than",
    "<=": "at most",
    ">": "greater than",
    ">=": "at least",
}
DATE_ORDERINGS: Final[Mapping[str, str]] = {"<": "before", "<=": "at or before", ">": "after", ">=": "at or after"}
SWAPPED: Final[Mapping[str, str]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
NOUNS: Final[Mapping[str, str]] = {
    "length": "the length of {}",
    "lowercase": "{} in lower case",
    "uppercase": "{} in upper case",
    "titlecase": "{} in title case",
    "snakecase": "{} with underscores for spaces",
    "kebabcase": "{} with dashes for spaces",
    "typeof": "the kind of value of {}",
    "bool": "{} taken as true or false",
    "string": "{} taken as text",
    "number": "{} taken as a number",
}
VERBS: Final[Mapping[str, tuple[str, str]]] = {
    "contains": ("contains {}", "does not contain {}"),
    "match": ("matches the pattern {}", "does not match the pattern {}"),
}
TRIGGER_VERBS: Final[Mapping[str, str]] = {
    "=": "is {}",
    "!=": "is not {}",
    "number_equals": "is {}",
    "number_not_equals": "is a number other than {}",
    "contains": "contains {}",
    "not_contains": "is a text without {}",
    "starts_with": "starts with {}",
    "not_starts_with": "is a text that does not start with {}",
    "ends_with": "ends with {}",
    "not_ends_with": "is a text that does not end with {}",
    "exists": "is present",
    "not_exists": "is missing",
    "is_true": "is true",
    "is_false": "is false",
    **{operator: f"is {words} {{}}" for operator, words in ORDERINGS.items()},
}


def describe(node: Node) -> str:
    """Say in a sentence which events a filter takes."""
    text = "all events" if node == Constant(True) else _clause(node)
    return text[:1].upper() + text[1:]


def _clause(node: Node) -> str:
    match node:
        case Join(operator=operator, parts=parts):
            if not parts:
                return "all events" if operator == "and" else "no event"
            clauses = [f"({_clause(part)})" if isinstance(part, Join) else _clause(part) for part in parts]
            return f" {operator} ".join(clauses)
        case Negation(of=inner):
            return _negated(inner)
        case TriggerTest(operator=operator, keys=keys, value=value):
            return f"{_field(keys)} {TRIGGER_VERBS[operator].format(_quoted(value))}"
        case Comparison():
            return _comparison(node, negated=False)
        case Never():
            return "no event, because a condition makes no sense"
        case Call(name=name, arguments=(first, second)) if name in VERBS:
            return f"{_noun(first)} {VERBS[name][0].format(_noun(second))}"
        case _:
            return f"{_noun(node)} is true"


def _negated(node: Node) -> str:
    match node:
        case Call(name=name, arguments=(first, second)) if name in VERBS:
            return f"{_noun(first)} {VERBS[name][1].format(_noun(second))}"
        case Comparison(operator=operator) if operator in ("=", "!=", "in"):
            return _comparison(node, negated=True)
        case Field() | Call():
            return f"{_noun(node)} is not true"
        case _:
            return f"it is not so that ({_clause(node)})"


def _comparison(node: Comparison, *, negated: bool) -> str:
    left, right, operator = node.left, node.right, node.operator
    if operator == "in":
        return _membership(left, right, negated)
    if isinstance(left, Constant) and not isinstance(right, Constant):
        left, right, operator = right, left, SWAPPED.get(operator, operator)
    if operator in ORDERINGS:
        words = DATE_ORDERINGS if is_date(left) or is_date(right) else ORDERINGS
        return f"{_noun(left)} is {words[operator]} {_noun(right)}"
    is_equal = (operator == "=") is not negated
    if right == Constant(None):
        return f"{_noun(left)} is {'missing' if is_equal else 'present'}"
    return f"{_noun(left)} is {'' if is_equal else 'not '}{_noun(right)}"


def _membership(left: Node, right: Node, negated: bool) -> str:
    if isinstance(right, Items):
        listed = ", ".join(_noun(item) for item in right.values) or "nothing"
        return f"{_noun(left)} is {'not ' if negated else ''}one of {listed}"
    return f"{_noun(right)} {'does not have' if negated else 'has'} {_noun(left)} in its list"


def _noun(node: Node) -> str:
    match node:
        case Field(keys=keys):
            return _field(keys)
        case Constant(value=value):
            return _quoted(value)
        case Items(values=values):
            return f"the list [{', '.join(map(_noun, values))}]"
        case Call(name=name, arguments=arguments) if name in NOUNS:
            return NOUNS[name].format(_noun(arguments[0]))
        case _:
            return f"whether ({_clause(node)})"


def _field(keys: tuple[str, ...]) -> str:
    if len(keys) == 1:
        return TOP.get(keys[0], f"the field {keys[0]}")
    if not keys:
        return "a field without a name"
    kind = INSIDE.get(keys[0])
    return f"{kind} {'.'.join(keys[1:])}" if kind else f"the field {'.'.join(keys)}"


def _quoted(value: Scalar) -> str:
    return f'"{value}"' if isinstance(value, str) else constant(value)
