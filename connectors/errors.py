"""What can go wrong before anything is sent: a mistake in a declaration, in settings, in a payload, in a signature.

What a receiver answers is never an exception; that is an outcome (`connectors.http`).

    ConnectorError
    ├── DeclarationError     a connector's module contradicts itself; found when it is loaded
    ├── UnknownConnector     no package has a module of this name
    ├── InvalidValues        one problem for each field, with a code
    │   ├── SettingsError    a destination's settings
    │   └── PayloadError     the values that a mapping produced for one event
    └── SignatureError       a signed request that is not what it claims to be
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class ConnectorError(Exception):
    """Base of everything this package raises."""

    code = "connector_error"


class DeclarationError(ConnectorError):
    """A connector's declaration contradicts itself."""

    code = "bad_declaration"


class UnknownConnector(ConnectorError):
    """No connector has this slug."""

    code = "unknown_connector"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field: `code` for machines, `message` for the person who filled it in."""

    field: str
    code: str
    message: str


class InvalidValues(ConnectorError):
    """Some values do not fit their fields."""

    code = "invalid_values"

    def __init__(self, problems: Iterable[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in self.problems))

    @property
    def codes(self) -> dict[str, str]:
        """The code of each field that has a problem, for API errors."""
        return {problem.field: problem.code for problem in self.problems}


class SettingsError(InvalidValues):
    """A destination cannot be set up like this."""

    code = "invalid_settings"


class PayloadError(InvalidValues):
    """The mapping produced values that the action cannot take; the event is rejected, trying again would not help."""

    code = "invalid_payload"


class SignatureError(ConnectorError):
    """The request is unsigned, stale, or signed by somebody else. `code` says which."""

    code = "bad_signature"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
