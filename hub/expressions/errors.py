"""What can be wrong with a filter or a mapping, said to the person who can mend it.

    ExpressionError
    ├── FilterError
    │   ├── FilterSyntaxError      this text is not a filter
    │   ├── FilterTreeError        this tree cannot be written as a filter
    │   └── UncountableFilterError the filter is sound, but SQL cannot say it the same way
    └── MappingError
        ├── InvalidMappingError    the mapping is wrong, whatever the event
        └── UnmappableEventError   the mapping is sound, but not for this event

An error carries one problem or many. A problem has a sentence for people, a stable code for machines, and a JSON
pointer into the mapping or tree (for filter text: the offset of the character, as in `/17`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_REPORTED = 50


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    message: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ExpressionError(Exception):
    """A filter or a mapping cannot be used."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems[:MAX_REPORTED])
        super().__init__("; ".join(map(str, self.problems)))

    @classmethod
    def of(cls, code: str, message: str, path: str = "") -> ExpressionError:
        """Make an error of a single problem."""
        return cls([Problem(code, message, path)])

    @property
    def code(self) -> str:
        return self.problems[0].code

    @property
    def path(self) -> str:
        return self.problems[0].path

    def __reduce__(self) -> tuple[type[ExpressionError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class FilterError(ExpressionError):
    """A filter cannot be used."""


class FilterSyntaxError(FilterError):
    """The text is not a filter."""


class FilterTreeError(FilterError):
    """The tree cannot be written as a filter."""


class UncountableFilterError(FilterError):
    """The filter is sound, but SQL cannot say it the same way."""


class MappingError(ExpressionError):
    """A mapping cannot be used."""


class InvalidMappingError(MappingError):
    """The mapping is wrong, whatever the event."""


class UnmappableEventError(MappingError):
    """The mapping is sound, but cannot be applied to this event."""


def pointer(path: str, key: str | int) -> str:
    """Append a member to a JSON pointer (RFC 6901)."""
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
