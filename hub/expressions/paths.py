"""Dotted paths into events. A path is split once, when an expression is compiled; the reader made from it is
specialised by length, because nearly every path in use has one or two keys and this is the hottest code of the room.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .coercion import MISSING, Resolver

MAX_PATH_LENGTH = 1_000
MAX_INDEX_DIGITS = 9

# Bracket, dot or bracket: `a['b'][0].c` is a, b, 0, c; but `a[b]` is one key, as saved mappings expect. No repetition
# is nested, so the time is linear.
_MAPPING_BREAK = re.compile(r"""\[(?=["'0-9])|\.|(?<=["'0-9])\]+""")
_FILTER_BREAK = re.compile(r"[\[.\]]")


def split_path(path: str) -> tuple[str, ...]:
    """Split a mapping's path into keys. The whole event is no keys at all."""
    keys = _MAPPING_BREAK.split(path.replace("$.", "", 1))
    return tuple(key.replace("'", "").replace('"', "") for key in keys if key)


def split_placeholder(path: str) -> tuple[str, ...]:
    """Split the path inside a template's braces, where `$.` has no meaning."""
    keys = _MAPPING_BREAK.split(path)
    return tuple(key.replace("'", "").replace('"', "") for key in keys if key)


def split_field(path: str) -> tuple[str, ...]:
    """Split a filter's field name into keys."""
    return tuple(key for key in _FILTER_BREAK.split(path) if key)


def step(value: object, key: str) -> object:
    """Go one key down. Below 0, "", false and null lies that same value: saved mappings count on it."""
    if type(value) is dict:
        return value.get(key, MISSING)
    if type(value) is list:
        return _member(value, key)
    if not value or value is MISSING:
        return value
    return _member(value, key) if type(value) is str else MISSING


def _member(sequence: Sequence[object], key: str) -> object:
    if is_index(key):
        index = int(key)
        return sequence[index] if index < len(sequence) else MISSING
    return len(sequence) if key == "length" else MISSING


def is_index(key: str) -> bool:
    """Tell whether a key is a number of JavaScript's, as the members of lists and texts have."""
    return key.isascii() and key.isdigit() and len(key) <= MAX_INDEX_DIGITS and (key == "0" or key[0] != "0")


def reader(keys: tuple[str, ...]) -> Resolver:
    """Make the fastest function that follows these keys."""
    if len(keys) == 1:
        return _read_one(keys[0])
    if len(keys) == 2:
        return _read_two(*keys)
    if keys:
        return _read_many(keys)
    return lambda scope: scope


def _read_one(key: str) -> Resolver:
    def read(scope: object) -> object:
        if type(scope) is dict:
            return scope.get(key, MISSING)
        return step(scope, key)

    return read


def _read_two(first: str, second: str) -> Resolver:
    def read(scope: object) -> object:
        value = scope.get(first, MISSING) if type(scope) is dict else step(scope, first)
        if type(value) is dict:
            return value.get(second, MISSING)
        return step(value, second)

    return read


def _read_many(keys: tuple[str, ...]) -> Resolver:
    def read(scope: object) -> object:
        value = scope
        for key in keys:
            value = value.get(key, MISSING) if type(value) is dict else step(value, key)
        return value

    return read


def object_reader(keys: tuple[str, ...]) -> Resolver:
    """Make a function that follows keys through objects only, to null where there is none."""

    def read(scope: object) -> object:
        value = scope
        for key in keys:
            if type(value) is not dict:
                return None
            value = value.get(key)
        return value

    return read
