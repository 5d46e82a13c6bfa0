"""The trigger language: which events a mapping wants.

`compile_filter` turns a tree into a closure once; the closure is what routing asks for every event. A filter fails
closed: a broken text, an unknown operator, a value that makes no sense match nothing.
"""

from __future__ import annotations

import operator as comparisons
from collections.abc import Callable, Mapping
from typing import Final

from .coercion import MISSING, JsonObject, Resolver, to_number, to_text
from .filter_parser import parse_fql, read_fql
from .filter_tree import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    OBJECT_FIELDS,
    TOP_FIELDS,
    AnyTree,
    BrokenFilter,
    Condition,
    Group,
    Tree,
)
from .filter_writer import generate_fql
from .paths import reader, split_field

__all__ = [
    "BrokenFilter",
    "Condition",
    "Group",
    "Test",
    "Tree",
    "compile_filter",
    "generate_fql",
    "parse_fql",
    "read_fql",
    "validate",
]

Test = Callable[[JsonObject], bool]
Build = Callable[[Resolver, object], Test]

_NUMBERS: Final = frozenset((int, float))


def validate(tree: AnyTree, event: object) -> bool:
    """Tell whether an event matches a tree that is used only once; without an event nothing does."""
    return isinstance(event, dict) and compile_filter(tree)(event)


def compile_filter(tree: AnyTree) -> Test:
    """Turn a tree into a function from an event to whether it matches, which may run in any thread."""
    if tree.get("error") or _is_too_big(tree):
        return _never
    return _group(tree)


def _never(event: JsonObject) -> bool:
    return False


def _is_too_big(tree: AnyTree) -> bool:
    stack: list[tuple[object, int]] = [(tree, 0)]
    nodes = 0
    while stack:
        node, depth = stack.pop()
        nodes += 1
        if depth > MAX_DEPTH + 1 or nodes > 2 * MAX_CONDITIONS:
            return True
        children = node.get("children") if isinstance(node, dict) else None
        stack.extend((child, depth + 1) for child in (children if isinstance(children, list) else ()))
    return False


def _node(node: object) -> Test:
    if not isinstance(node, dict):
        return _never
    return _group(node) if node.get("type") == "group" else _condition(node)


def _group(group: AnyTree) -> Test:
    children, operator = group.get("children"), group.get("operator")
    if not isinstance(children, list) or operator not in ("and", "or"):
        return _never
    tests = [_node(child) for child in children]
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        return _both(*tests) if operator == "and" else _either(*tests)
    return _all(tuple(tests)) if operator == "and" else _any(tuple(tests))


def _both(first: Test, second: Test) -> Test:
    return lambda event: first(event) and second(event)


def _either(first: Test, second: Test) -> Test:
    return lambda event: first(event) or second(event)


def _all(tests: tuple[Test, ...]) -> Test:
    def test_all(event: JsonObject) -> bool:
        for test in tests:  # noqa: SIM110 -- all() over a generator takes twice the time
            if not test(event):
                return False
        return True

    return test_all


def _any(tests: tuple[Test, ...]) -> Test:
    def test_any(event: JsonObject) -> bool:
        for test in tests:  # noqa: SIM110
            if test(event):
                return True
        return False

    return test_any


def _condition(condition: AnyTree) -> Test:
    kind, name = condition.get("type"), condition.get("name")
    operator, value = condition.get("operator"), condition.get("value", MISSING)
    build = _OPERATORS.get(str(operator))
    if build is None or (operator not in _WITHOUT_VALUE and not isinstance(value, str | int | float)):
        return _never
    if kind in TOP_FIELDS:
        key = TOP_FIELDS[str(kind)]
        return _top_equals(key, to_text(value)) if operator == "=" else build(reader((key,)), value)
    if kind not in OBJECT_FIELDS or not isinstance(name, str):
        return _never
    # A name without any key is a field that no event has.
    keys = split_field(name)
    read: Resolver = reader((OBJECT_FIELDS[str(kind)], *keys)) if keys else lambda event: MISSING
    return build(read, value)


def _top_equals(key: str, expected: str) -> Test:
    """By far the most frequent condition (the type, the event's name), so it is spared a call."""
    return lambda event: event.get(key) == expected


def _equals(read: Resolver, value: object) -> Test:
    # Compared as text to text: the number 5 is not "5".
    expected = to_text(value)
    return lambda event: read(event) == expected


def _not_equals(read: Resolver, value: object) -> Test:
    expected = to_text(value)
    return lambda event: read(event) != expected


def _number_test(compare: Callable[[float, float], bool]) -> Build:
    """Compare with real numbers only; a numeric text is none, and neither is true."""

    def build(read: Resolver, value: object) -> Test:
        expected = to_number(value)
        if expected is None:
            return _never

        def test(event: JsonObject) -> bool:
            actual = read(event)
            return type(actual) in _NUMBERS and compare(actual, expected)  # type: ignore[arg-type]

        return test

    return build


def _text_test(matches: Callable[[str, str], bool], wanted: bool) -> Build:
    """Test texts only: a missing value neither contains nor does not contain."""

    def build(read: Resolver, value: object) -> Test:
        expected = to_text(value)

        def test(event: JsonObject) -> bool:
            actual = read(event)
            return type(actual) is str and matches(actual, expected) is wanted

        return test

    return build


def _exists(read: Resolver, value: object) -> Test:
    return lambda event: (actual := read(event)) is not None and actual is not MISSING


def _not_exists(read: Resolver, value: object) -> Test:
    return lambda event: (actual := read(event)) is None or actual is MISSING


def _is_true(read: Resolver, value: object) -> Test:
    return lambda event: read(event) is True


def _is_false(read: Resolver, value: object) -> Test:
    return lambda event: read(event) is False


_WITHOUT_VALUE: Final = frozenset(("exists", "not_exists", "is_true", "is_false"))

_OPERATORS: Final[Mapping[str, Build]] = {
    "=": _equals,
    "!=": _not_equals,
    "<": _number_test(comparisons.lt),
    "<=": _number_test(comparisons.le),
    ">": _number_test(comparisons.gt),
    ">=": _number_test(comparisons.ge),
    "number_equals": _number_test(comparisons.eq),
    "number_not_equals": _number_test(comparisons.ne),
    "contains": _text_test(comparisons.contains, True),
    "not_contains": _text_test(comparisons.contains, False),
    "starts_with": _text_test(str.startswith, True),
    "not_starts_with": _text_test(str.startswith, False),
    "ends_with": _text_test(str.endswith, True),
    "not_ends_with": _text_test(str.endswith, False),
    "exists": _exists,
    "not_exists": _not_exists,
    "is_true": _is_true,
    "is_false": _is_false,
}
