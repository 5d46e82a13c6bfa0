"""Which types stand where in a filter of the full language. What can be known without an event is refused when the
filter is written: one that asks whether a text is greater would match nothing, for ever, and nobody would know why.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from .errors import FilterSyntaxError
from .functions import ANY, BOOL, FUNCTIONS, LIST, NULL, NUMBER, TEXT
from .globs import GlobError, parse_glob
from .nodes import EQUALITIES, Call, Comparison, Constant, Field, Items, Node

ISO_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:T[0-9:.]{2,15}(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?)?", re.ASCII
)
_A_KIND: Final = {
    TEXT: "a text", NUMBER: "a number", BOOL: "true or false", LIST: "a list", NULL: "null", ANY: "a field",
}  # fmt: skip
_TYPE_OF_CONSTANT: Final = {str: TEXT, int: NUMBER, float: NUMBER, bool: BOOL, type(None): NULL}


def kind(node: Node) -> str:
    """The type that a node is sure to have (or null); `any` for a field of the event."""
    match node:
        case Field():
            return ANY
        case Constant(value=value):
            return _TYPE_OF_CONSTANT[type(value)]
        case Items():
            return LIST
        case Call(name=name):
            return FUNCTIONS[name].gives
        case _:
            return BOOL


def is_date(node: Node) -> bool:
    """Whether a node is a written date, which is compared with others as a text."""
    return isinstance(node, Constant) and isinstance(node.value, str) and ISO_DATE.fullmatch(node.value) is not None


def _refuse(code: str, message: str, node: Node) -> NoReturn:
    raise FilterSyntaxError.of(code, f"{message} (character {node.at + 1})", f"/{node.at}")


def check_condition(node: Node) -> None:
    """Refuse what can be neither true nor false."""
    if kind(node) not in (BOOL, ANY, NULL):
        _refuse("not_a_condition", f"{_A_KIND[kind(node)]} alone is no condition; compare it with something", node)


def check_comparison(node: Comparison) -> None:
    """Refuse a comparison that no event could meet. Of different types two values are unequal, which is no mistake."""
    left, right = kind(node.left), kind(node.right)
    if node.operator in EQUALITIES:
        return
    if node.operator == "in":
        if right not in (LIST, ANY):
            _refuse("expected_list", f"expected a list after 'in', not {_A_KIND[right]}", node.right)
        if left == LIST:
            _refuse("unexpected_list", "a list is never in a list", node.left)
    elif not (is_date(node.left) or is_date(node.right)):
        for side in (node.left, node.right):
            if kind(side) not in (NUMBER, ANY, NULL):
                what = f"'{node.operator}' compares numbers or dates such as \"2026-01-31\""
                _refuse("expected_number", f"{what}, and {_A_KIND[kind(side)]} is neither", side)
    elif {left, right} - {TEXT, ANY}:
        _refuse("expected_number", f"a date is not comparable with {_A_KIND[right if left == TEXT else left]}", node)


def check_call(node: Call) -> None:
    """Refuse a function with the wrong number or types of arguments, or with a pattern that is none."""
    function = FUNCTIONS[node.name]
    if len(node.arguments) != len(function.takes):
        wanted = f"{len(function.takes)} value{'s' if len(function.takes) > 1 else ''}"
        _refuse("wrong_arguments", f"{node.name}() takes {wanted}, not {len(node.arguments)}", node)
    for argument, takes in zip(node.arguments, function.takes, strict=True):
        if kind(argument) not in takes:
            wanted = " or ".join(_A_KIND[each] for each in (TEXT, NUMBER, LIST) if each in takes)
            _refuse("wrong_type", f"{node.name}() takes {wanted}, not {_A_KIND[kind(argument)]}", argument)
    pattern = node.arguments[-1]
    if node.name == "match" and isinstance(pattern, Constant) and isinstance(pattern.value, str):
        try:
            parse_glob(pattern.value)
        except GlobError as error:
            _refuse("bad_pattern", f"the pattern {error}", pattern)
