"""The functions of the full filter language, and what its values are: text, number, list, bool, null and map.

Types are strict: a value of the wrong type is never converted unasked. What has no sensible answer is null, or false
where the answer is yes or no, so that a filter never fails on an event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from .coercion import number_text
from .globs import matches_glob

ANY, TEXT, NUMBER, BOOL, LIST, NULL = "any", "text", "number", "bool", "list", "null"
NUMBERS: Final = frozenset((int, float))
SCALARS: Final = frozenset((str, int, float, bool, type(None)))
# The longest numeral that number() reads; it has no exponent, so that every value is an ordinary number.
NUMERAL: Final = re.compile(r"[+-]?[0-9]{1,200}(?:\.[0-9]{1,100})?", re.ASCII)
FALSE_TEXTS: Final = frozenset(("", "0", "false"))
_TYPE_NAMES: Final = {str: "string", int: "number", float: "number", bool: "bool", list: "list", dict: "map"}


def type_name(value: object) -> str:
    """What typeof() says."""
    return _TYPE_NAMES.get(type(value), "null")


def same(left: object, right: object) -> bool:
    """Strict equality: of the same type and equal; 1 and 1.0 are both numbers, but 1 is not true."""
    stack = [(left, right)]
    while stack:
        one, other = stack.pop()
        if type_name(one) != type_name(other):
            return False
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            stack.extend(zip(one, other, strict=True))
        elif isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            stack.extend((item, other[key]) for key, item in one.items())
        elif one != other:
            return False
    return True


def is_in(value: object, items: object) -> bool:
    """Tell whether a list holds a text, number, bool or null."""
    if type(items) is not list or type(value) not in SCALARS:
        return False
    return any(type(item) in SCALARS and same(value, item) for item in items)


def contains(text: object, part: object) -> bool:
    """Tell whether a text holds another."""
    return type(text) is str and type(part) is str and part in text


def matches(text: object, pattern: object) -> bool:
    """Tell whether a whole text matches a glob pattern."""
    return type(text) is str and type(pattern) is str and matches_glob(text, pattern)


def length(value: object) -> int:
    """Count the members of a list or the bytes of a text; 0 for everything else."""
    if type(value) is str:
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return len(value) if type(value) is list else 0


def _on_text(change: Callable[[str], str]) -> Callable[[object], str | None]:
    return lambda value: change(value) if type(value) is str else None


def _title(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.split(" "))


def to_bool(value: object) -> bool:
    """Take a value for true or false; the texts "false" and "0" and whatever is empty are false."""
    return value not in FALSE_TEXTS if type(value) is str else bool(value)


def to_string(value: object) -> str | None:
    """Write a text, number or bool, and a list of them with commas; null stays null."""
    if type(value) is list:
        return ",".join(to_string(item) or "" if type(item) in SCALARS else "" for item in value)
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int or type(value) is float:
        return number_text(value)
    return value if type(value) is str else None


def to_number(value: object) -> int | float | None:
    """Read a numeral such as "-12.50"; any other text is null."""
    if type(value) is int or type(value) is float:
        return value
    if type(value) is not str or not NUMERAL.fullmatch(value):
        return None
    return float(value) if "." in value else int(value)


@dataclass(frozen=True, slots=True)
class Function:
    """A function with the types it takes (each a set of kinds) and the one it gives."""

    apply: Callable[..., object]
    takes: tuple[frozenset[str], ...]
    gives: str


_TEXTS: Final = frozenset((TEXT, ANY, NULL))
_ALL: Final = frozenset((TEXT, NUMBER, BOOL, LIST, ANY, NULL))

FUNCTIONS: Final[Mapping[str, Function]] = {
    "contains": Function(contains, (_TEXTS, _TEXTS), BOOL),
    "match": Function(matches, (_TEXTS, _TEXTS), BOOL),
    "length": Function(length, (_TEXTS | {LIST},), NUMBER),
    "lowercase": Function(_on_text(str.lower), (_TEXTS,), TEXT),
    "uppercase": Function(_on_text(str.upper), (_TEXTS,), TEXT),
    "snakecase": Function(_on_text(lambda text: text.replace(" ", "_")), (_TEXTS,), TEXT),
    "kebabcase": Function(_on_text(lambda text: text.replace(" ", "-")), (_TEXTS,), TEXT),
    "titlecase": Function(_on_text(_title), (_TEXTS,), TEXT),
    "typeof": Function(type_name, (_ALL,), TEXT),
    "bool": Function(to_bool, (_ALL,), BOOL),
    "string": Function(to_string, (_ALL,), TEXT),
    "number": Function(to_number, (_TEXTS | {NUMBER},), NUMBER),
}
