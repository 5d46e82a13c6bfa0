"""Why an event does not pass a filter: which conditions failed, where they stand, and what the event had instead."""

from __future__ import annotations

from dataclasses import dataclass

from .coercion import JsonObject
from .filter_code import compile_node, evaluate
from .nodes import Call, Comparison, Constant, Field, Items, Join, Negation, Node, TriggerTest, walk
from .sentences import describe

MAX_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Failure:
    """A condition that did not hold. `at` and `end` are its characters in the text of the filter; `actual` is the value
    that it looked at, null when there is none, and may be personal.
    """

    sentence: str
    at: int
    end: int
    actual: object

    @property
    def found(self) -> str:
        """The value for people: shortened, and in a word when there is none."""
        if self.actual is None:
            return "nothing there"
        text = f'"{self.actual}"' if isinstance(self.actual, str) else _shown(self.actual)
        return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        kind, count = ("a list", "items") if isinstance(value, list) else ("an object", "members")
        return f"{kind} of {len(value)} {count}"
    return str(value)


def explain(node: Node, event: JsonObject) -> tuple[Failure, ...]:
    """List the conditions that keep an event from passing, in the order of the text; none when it passes.

    Of an `and` these are all that failed; of an `or` all of its conditions failed, or the event would have passed.
    """
    if isinstance(node, Join) and node.parts:
        failures = [explain(part, event) for part in node.parts]
        passes = node.operator == "or" and not all(failures)
        return () if passes else tuple(failure for each in failures for failure in each)
    if compile_node(node)(event):
        return ()
    return (Failure(describe(node), node.at, node.end, _actual(node, event)),)


def _actual(node: Node, event: JsonObject) -> object:
    """The value that a condition is about."""
    match node:
        case Field() | TriggerTest():
            return evaluate(node, event)
        case Negation(of=inner):
            return _actual(inner, event)
        case Comparison(left=left, right=right):
            subject = right if isinstance(left, Constant | Items) else left
            return evaluate(subject, event)
        case Call(arguments=(first, *_)):
            return evaluate(first, event)
        case _:
            fields = (inner for inner in walk(node) if isinstance(inner, Field | TriggerTest))
            first_field = next(fields, None)
            return None if first_field is None else evaluate(first_field, event)
