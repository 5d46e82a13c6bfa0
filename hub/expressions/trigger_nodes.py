"""Tree of the trigger language to the tree that both languages share. Here the quirks of the trigger language become
explicit: which conditions make no sense and so never hold, and what each operator compares with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Final, cast

from .coercion import to_number, to_text
from .filter_code import TRIGGER_PHRASES
from .filter_tree import MAX_CONDITIONS, MAX_DEPTH, OBJECT_FIELDS, TOP_FIELDS, AnyTree
from .nodes import Join, Never, Node, TriggerTest
from .paths import split_field

Place = tuple[int, int]
NOWHERE: Final[Place] = (0, 0)
WITHOUT_VALUE: Final = frozenset(("exists", "not_exists", "is_true", "is_false"))
OF_NUMBERS: Final = frozenset(("<", "<=", ">", ">=", "number_equals", "number_not_equals"))


def node_of(tree: AnyTree, places: Iterator[Place] | None = None) -> Node:
    """Translate a tree; `places` are those of its conditions in the text, in order."""
    if tree.get("error") or is_too_big(tree):
        return Never()
    return _group(tree, places or repeat(NOWHERE))


def is_too_big(tree: AnyTree) -> bool:
    """Tell whether a tree is larger than any text could be."""
    stack: list[tuple[object, int]] = [(tree, 0)]
    nodes = 0
    while stack:
        node, depth = stack.pop()
        nodes += 1
        if depth > MAX_DEPTH + 1 or nodes > 2 * MAX_CONDITIONS:
            return True
        below = node.get("children") if isinstance(node, dict) else None
        stack.extend((child, depth + 1) for child in (below if isinstance(below, list) else ()))
    return False


def _group(group: AnyTree, places: Iterator[Place]) -> Node:
    children, operator = group.get("children"), group.get("operator")
    if not isinstance(children, list) or (operator != "and" and operator != "or"):
        return Never()
    parts = tuple(_child(child, places) for child in children)
    if len(parts) == 1:
        return parts[0]
    return Join(operator, parts, parts[0].at if parts else 0, parts[-1].end if parts else 0)


def _child(child: object, places: Iterator[Place]) -> Node:
    if not isinstance(child, dict):
        return Never(*next(places))
    return _group(child, places) if child.get("type") == "group" else _condition(child, next(places))


def _condition(condition: Mapping[str, object], place: Place) -> Node:
    operator, value = str(condition.get("operator")), condition.get("value")
    keys = _keys(condition)
    if keys is None or operator not in TRIGGER_PHRASES:
        return Never(*place)
    if operator in WITHOUT_VALUE:
        return TriggerTest(operator, keys, None, *place)
    if not isinstance(value, str | int | float):
        return Never(*place)
    if operator not in OF_NUMBERS:
        # Compared as text to text: the number 5 is not "5".
        return TriggerTest(operator, keys, to_text(value), *place)
    number = to_number(value)
    return Never(*place) if number is None else TriggerTest(operator, keys, number, *place)


def _keys(condition: Mapping[str, object]) -> tuple[str, ...] | None:
    """Where the condition looks; no keys at all for a field that no event has."""
    kind, name = str(condition.get("type")), condition.get("name")
    if kind in TOP_FIELDS:
        return (TOP_FIELDS[kind],)
    if kind not in OBJECT_FIELDS or not isinstance(name, str):
        return None
    below = split_field(name)
    return cast("tuple[str, ...]", (OBJECT_FIELDS[kind], *below) if below else ())
