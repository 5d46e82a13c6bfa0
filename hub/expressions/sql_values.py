"""Values of an event as SQL over the log: what `filter_sql` and `trigger_sql` are made of.

Nothing that a customer wrote becomes part of the statement: keys, texts and numbers are parameters. A row's body is
JSON text, empty once the person was erased; where a column holds a member of it, the column is read, which costs less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

from .errors import UncountableFilterError
from .globs import Glob, parse_glob
from .nodes import Constant, Items, Node

# Within these, a number is the same as float8 and in Python; beyond, neighbouring whole numbers fall together.
MAX_EXACT: Final = 2**53
# Each key is a step into the JSON again. No event is half as deep.
MAX_KEYS: Final = 50
# Columns that hold a member of the body, if it is a text (see `hub.events.spec`).
COLUMNS: Final[Mapping[tuple[str, ...], str]] = {
    ("type",): "{row}.type",
    ("event",): "CASE WHEN {row}.type = 'track' THEN {row}.event_name END",
    ("name",): "CASE WHEN {row}.type IN ('page', 'screen') THEN {row}.event_name END",
    ("userId",): "{row}.user_id",
    ("anonymousId",): "{row}.anonymous_id",
    ("messageId",): "{row}.message_id",
}
_TYPE_NAMES: Final = (
    "CASE json_typeof({v}) WHEN 'boolean' THEN 'bool' WHEN 'array' THEN 'list' WHEN 'object' THEN 'map' "
    "ELSE coalesce(json_typeof({v}), 'null') END"
)


def refuse(what: str, node: Node) -> NoReturn:
    """Refuse to count by a filter that SQL would read differently."""
    message = f"matches of this filter cannot be counted: {what} (character {node.at + 1})"
    raise UncountableFilterError.of("not_countable", message, f"/{node.at}")


class Parameters:
    """The values of a statement, by the names that its text uses; `row` is the alias of the log's table."""

    def __init__(self, row: str) -> None:
        self.row = row
        self.values: dict[str, object] = {}
        self._texts: dict[str, str] = {}

    def text(self, text: str, node: Node) -> str:
        """A text or key."""
        self.check(text, node)
        if text not in self._texts:
            self._texts[text] = f"{self._add(text)}::text"
        return self._texts[text]

    def check(self, text: str, node: Node) -> None:
        """Refuse what PostgreSQL cannot store: no event of the log holds it, and it would spoil the statement."""
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            refuse("it holds a character that no event can have", node)

    def number(self, number: float, node: Node) -> str:
        """A number that compares the same here and there."""
        if abs(number) >= MAX_EXACT:
            refuse("it holds a number beyond nine quadrillions", node)
        return f"{self._add(float(number))}::float8"

    def _add(self, value: object) -> str:
        name = f"filter_{len(self.values)}"
        self.values[name] = value
        return f"%({name})s"

    def keys(self, keys: tuple[str, ...], node: Node) -> list[str]:
        """The keys of a path."""
        if len(keys) > MAX_KEYS:
            refuse(f"it looks more than {MAX_KEYS} levels deep", node)
        return [self.text(key, node) for key in keys]

    def body(self) -> str:
        """The whole event."""
        return f"nullif({self.row}.body, '')::json"

    def column(self, keys: tuple[str, ...]) -> str | None:
        """The column that holds a member as text, if there is one."""
        column = COLUMNS.get(keys)
        return None if column is None else column.format(row=self.row)


def text_of(v: str) -> str:
    """The text that a JSON value is, else NULL."""
    return f"CASE WHEN json_typeof({v}) = 'string' THEN {v} #>> '{{}}' END"


def number_of(v: str) -> str:
    """The number that a JSON value is, else NULL."""
    return f"CASE WHEN json_typeof({v}) = 'number' THEN ({v} #>> '{{}}')::float8 END"


def is_bool(v: str, value: bool) -> str:
    """Whether a JSON value is this bool."""
    return f"coalesce(json_typeof({v}) = 'boolean' AND {v} #>> '{{}}' = '{'true' if value else 'false'}', false)"


def is_null(v: str) -> str:
    """Whether a JSON value is null or missing."""
    return f"coalesce(json_typeof({v}), 'null') = 'null'"


def type_name_of(v: str) -> str:
    """What typeof() says of a JSON value."""
    return _TYPE_NAMES.format(v=v)


def equals(parameters: Parameters, v: str, node: Constant | Items) -> str:
    """Whether a JSON value equals one that is written in the filter."""
    if isinstance(node, Items):
        members = [equals(parameters, f"({v} -> {place})", item) for place, item in enumerate(node.values)]
        is_list, is_long = f"coalesce(json_typeof({v}), '') = 'array'", f"json_array_length({v}) = {len(members)}"
        each = " AND ".join(members) or "true"
        return f"(CASE WHEN {is_list} THEN CASE WHEN {is_long} THEN {each} ELSE false END ELSE false END)"
    value = node.value
    if value is None:
        return is_null(v)
    if isinstance(value, bool):
        return is_bool(v, value)
    if isinstance(value, str):
        return f"coalesce({text_of(v)} = {parameters.text(value, node)}, false)"
    return f"coalesce({number_of(v)} = {parameters.number(value, node)}, false)"


def length_of(v: str) -> str:
    """What length() says of a JSON value."""
    members = f"WHEN 'array' THEN json_array_length({v})"
    return f"CASE json_typeof({v}) WHEN 'string' THEN octet_length({v} #>> '{{}}') {members} ELSE 0 END"


def truth_of(v: str) -> str:
    """What bool() says of a JSON value."""
    return (
        f"CASE json_typeof({v}) WHEN 'boolean' THEN {v} #>> '{{}}' = 'true' "
        f"WHEN 'number' THEN ({v} #>> '{{}}')::float8 <> 0 "
        f"WHEN 'string' THEN {v} #>> '{{}}' NOT IN ('', '0', 'false') "
        f"WHEN 'array' THEN json_array_length({v}) > 0 "
        f"WHEN 'object' THEN EXISTS (SELECT FROM json_object_keys({v})) ELSE false END"
    )


def matches_pattern(parameters: Parameters, text: str, pattern: str, node: Node) -> str:
    """Whether a text matches a glob pattern: by LIKE, or by a regular expression where characters are listed."""
    parameters.check(pattern, node)
    glob = parse_glob(pattern)
    like = _like(glob)
    if like is None:
        return f"coalesce({text} ~ {parameters.text(_regular_expression(glob), node)}, false)"
    return f"coalesce({text} LIKE {parameters.text(like, node)}, false)"


def _like(glob: Glob) -> str | None:
    parts = []
    for place, ranges in enumerate(glob.characters):
        if place in glob.stars:
            parts.append("%")
        if glob.takes_any(place):
            parts.append("_")
        elif glob.takes_one(place):
            character = chr(ranges[0][0])
            parts.append(f"\\{character}" if character in "%_\\" else character)
        else:
            return None
    return "".join(parts) + ("%" if len(glob.characters) in glob.stars else "")


def _regular_expression(glob: Glob) -> str:
    """Every character by its number, so that none has a meaning; `***:` tells the flavour whatever the settings."""
    parts = ["***:^(?:"]
    for place, ranges in enumerate(glob.characters):
        parts.append(".*" if place in glob.stars else "")
        listed = "".join(_code(first) if first == last else f"{_code(first)}-{_code(last)}" for first, last in ranges)
        parts.append("." if glob.takes_any(place) else f"[{listed}]")
    return "".join([*parts, ".*" if len(glob.characters) in glob.stars else "", ")$"])


def _code(number: int) -> str:
    return f"\\U{number:08X}"
