"""Arrays for PostgreSQL as literal texts, for statements that write many rows at once.

psycopg's own dumper of lists is Python code with a regular expression for each element: at a destination that fails,
where each failed call leaves a row with two long texts, more than half of a worker's time went there.
"""

from __future__ import annotations

from collections.abc import Sequence


def literal(values: Sequence[object]) -> str:
    """A one-dimensional array as a text that a cast such as `::text[]` reads; None is NULL, others are their str().

    Texts must hold no NUL. Source: PostgreSQL manual, "Array Input and Output Syntax".
    """
    return "{" + ",".join([_quoted(value) if isinstance(value, str) else _plain(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(value: object) -> str:
    return "NULL" if value is None else str(value)
