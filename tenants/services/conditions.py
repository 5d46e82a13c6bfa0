"""The parts of filters and toggles that people write by hand: conditions, paths, and lists of properties."""

from __future__ import annotations

import re

from hub.expressions.errors import ExpressionError
from hub.expressions.fql import parse
from tenants.errors import Invalid

ALL = "all"
MOST_KEYS = 500
DEEPEST = 10
LONGEST_PATH = 500
ROOTS = ("context", "properties", "traits")
ENVELOPE = ("type", "messageId")
PATH = re.compile(r"(?:[^.\\]|\\.)+(?:\.(?:[^.\\]|\\.)+)*\Z", re.DOTALL)


def require_condition(text: object) -> None:
    """Refuse a condition that is neither the word `all` nor a filter; the message names the character."""
    if not isinstance(text, str) or not text.strip():
        raise Invalid("condition", "Give a condition, or the word all.", "invalid_condition")
    if text.strip() == ALL:
        return
    try:
        parse(text)
    except ExpressionError as error:
        sentences = "; ".join(problem.message for problem in error.problems)
        raise Invalid("condition", sentences, "invalid_condition") from error


def require_path(field: str, path: object) -> None:
    """Refuse what is no dotted path into an event."""
    if not isinstance(path, str) or not PATH.match(path) or len(path) > LONGEST_PATH or path.count(".") >= DEEPEST:
        message = f"A path is keys with dots between them, such as properties.plan; at most {DEEPEST} keys."
        raise Invalid(field, message, "invalid_path")


def require_fields(fields: object, *, is_dropped: bool) -> None:
    """Require {"properties": ["email", …]}: keys by the object they stand in, "" for the event itself."""
    if not isinstance(fields, dict) or not fields:
        raise Invalid("fields", 'Fields are keys by the object they stand in: {"properties": ["email"]}.', "no_fields")
    for root, keys in fields.items():
        if root:
            require_path("fields", root)
        if root and root.partition(".")[0] not in ROOTS:
            message = f'Properties are in {", ".join(ROOTS)}, or in the event itself, which is "".'
            raise Invalid("fields", message, "unknown_root")
        _require_keys(root, keys)
        if is_dropped and not root and not set(ENVELOPE).isdisjoint(keys):
            raise Invalid("fields", f"An event keeps its {' and '.join(ENVELOPE)}.", "envelope")
    if sum(map(len, fields.values())) > MOST_KEYS:
        raise Invalid("fields", f"A filter names at most {MOST_KEYS} keys.", "too_many_keys")


def _require_keys(root: str, keys: object) -> None:
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) and key for key in keys):
        raise Invalid("fields", f"List at least one key of {root or 'the event'}, each of them a text.", "invalid_keys")


def require_property_paths(paths: object) -> None:
    """Require a list of paths such as properties.email."""
    if not isinstance(paths, list) or not paths or len(paths) > MOST_KEYS:
        raise Invalid("paths", f"List 1 to {MOST_KEYS} paths such as properties.email.", "invalid_paths")
    for path in paths:
        require_path("paths", path)
        if path.partition(".")[0] not in ROOTS or "." not in path:
            raise Invalid("paths", f"A property is in {', '.join(ROOTS)}, such as properties.email.", "unknown_root")
