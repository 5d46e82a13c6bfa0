"""What a filter says, in whichever language: one tree that is compiled, described, explained and counted.

A field of the full language leads through objects only; a `TriggerTest` is a condition of the trigger language, whose
paths and comparisons have ways of their own. Each node knows which characters of the text it came from (`at`, `end`);
two nodes that say the same are equal wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None

EQUALITIES: Final = ("=", "!=")
ORDERINGS: Final = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Field:
    """The value at a path from the event's root; null where there is none."""

    keys: tuple[str, ...]
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is written in the filter."""

    value: Scalar
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Items:
    """A list of values that are written in the filter."""

    values: tuple[Constant, ...]
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the full language, applied."""

    name: str
    arguments: tuple[Node, ...]
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values compared: `=`, `!=`, an ordering or `in`."""

    operator: str
    left: Node
    right: Node
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Negation:
    """True unless what it holds is."""

    of: Node
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Join:
    """Several conditions, of which all (`and`) or one (`or`) must hold."""

    operator: Literal["and", "or"]
    parts: tuple[Node, ...]
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class TriggerTest:
    """A condition of the trigger language, with the operator of its tree; `value` is ready to compare with."""

    operator: str
    keys: tuple[str, ...]
    value: str | int | float | None = None
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Never:
    """A condition that makes no sense, and so holds for no event."""

    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


Node: TypeAlias = Field | Constant | Items | Call | Comparison | Negation | Join | TriggerTest | Never


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below one."""
    match node:
        case Call(arguments=below) | Join(parts=below):
            return below
        case Comparison(left=left, right=right):
            return left, right
        case Negation(of=inner):
            return (inner,)
        case Items(values=values):
            return values
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Every node of a tree, each before those below it."""
    stack: list[Node] = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(children(current)))
