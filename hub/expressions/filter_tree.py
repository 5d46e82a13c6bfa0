"""The shape of a filter as JSON: groups of conditions. Forms edit this tree, text is what is stored.

A condition looks at one field of the event. Its type says where the field lies; the types with a `name` look inside an
object, by a dotted path, the others at the top of the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NotRequired, TypeAlias, TypedDict

MAX_LENGTH: Final = 20_000
MAX_DEPTH: Final = 20
MAX_CONDITIONS: Final = 500
# The language has no exponents, so the smallest fractions are long.
MAX_NUMBER_LENGTH: Final = 400


class Condition(TypedDict):
    type: str
    operator: str
    name: NotRequired[str]
    value: NotRequired[str | bool | int | float]


class Group(TypedDict):
    type: Literal["group"]
    operator: Literal["and", "or"]
    children: list[Group | Condition]


class FilterProblem(TypedDict):
    code: str
    message: str
    path: str


class BrokenFilter(TypedDict):
    """What a text that is no filter parses to. It matches no event."""

    error: FilterProblem


Tree: TypeAlias = Group | BrokenFilter
AnyTree: TypeAlias = Mapping[str, object]

TOP_FIELDS: Final[Mapping[str, str]] = {"event-type": "type", "event": "event", "name": "name", "userId": "userId"}
OBJECT_FIELDS: Final[Mapping[str, str]] = {
    "event-property": "properties",
    "event-trait": "traits",
    "event-context": "context",
}
TYPES_BY_ROOT: Final[Mapping[str, str]] = {root: kind for kind, root in (TOP_FIELDS | OBJECT_FIELDS).items()}  # type: ignore[operator]

COMPARISONS: Final = ("=", "!=", "<", "<=", ">", ">=")
ORDERINGS: Final = ("<", "<=", ">", ">=")
NUMBER_COMPARISONS: Final[Mapping[str, str]] = {"number_equals": "=", "number_not_equals": "!="}
CONSTANT_COMPARISONS: Final[Mapping[str, tuple[str, str]]] = {
    "exists": ("!=", "null"),
    "not_exists": ("=", "null"),
    "is_true": ("=", "true"),
    "is_false": ("=", "false"),
}
