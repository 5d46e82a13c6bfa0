"""The trigger language: which events a mapping wants.

`compile_filter` turns a tree into a function once; the function is what routing asks for every event. A filter fails
closed: a broken text, an unknown operator, a value that makes no sense match nothing. The full language, for the
filters of destinations, is `fql`.
"""

from __future__ import annotations

from .filter_code import Test, compile_node
from .filter_parser import parse_fql, read_fql, read_with_places
from .filter_tree import AnyTree, BrokenFilter, Condition, Group, Tree
from .filter_writer import generate_fql
from .nodes import Node
from .trigger_nodes import node_of

__all__ = [
    "BrokenFilter",
    "Condition",
    "Group",
    "Test",
    "Tree",
    "compile_filter",
    "generate_fql",
    "node_of",
    "parse_fql",
    "read_fql",
    "read_node",
    "validate",
]


def validate(tree: AnyTree, event: object) -> bool:
    """Tell whether an event matches a tree that is used only once; without an event nothing does."""
    return isinstance(event, dict) and compile_filter(tree)(event)


def compile_filter(tree: AnyTree) -> Test:
    """Turn a tree into a function from an event to whether it matches, which may run in any thread."""
    return compile_node(node_of(tree))


def read_node(text: str) -> Node:
    """Parse a filter for describing, explaining and counting, or raise what is wrong with it."""
    tree, places = read_with_places(text)
    return node_of(tree, iter(places))
