"""What the control plane refuses, and why.

TenantsError
├── UnscopedQuery          a query on tenant data that names no workspace
├── Invalid                a value that cannot be meant; `field` says which
│   └── InvalidSettings    several of them, one per setting of a connector
├── Taken                  a name or key that is in use
├── WrongWorkspace         an object of another workspace was handed in
├── TooManyKeys            a source or an app has its two live keys already
├── InUse                  something else stands on it
├── Changed                it is no longer what it was when the form was opened
└── Gone                   the object was deleted or revoked
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.errors import FieldProblem


class TenantsError(Exception):
    """Base of all; `code` is for machines and stable, the message is for the person who can act."""

    code = "tenants_error"


class UnscopedQuery(TenantsError):
    """Tenant data was asked for without saying whose."""

    code = "unscoped_query"


class Invalid(TenantsError):
    """A value that cannot be meant. When several are wrong at once, `messages` has them all by field."""

    code = "invalid"

    def __init__(
        self, field: str, message: str, code: str = "invalid", messages: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.messages = dict(messages or {field: message})


class InvalidSettings(Invalid):
    """Settings that the connector does not take; `problems` has a code and a message for each."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        text = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        messages = {f"settings.{problem.field}": problem.message for problem in problems}
        super().__init__("settings", text, "invalid_settings", messages)
        self.problems = tuple(problems)


class Taken(TenantsError):
    """The name or key is in use."""

    code = "taken"


class WrongWorkspace(TenantsError):
    """The object does not belong to this workspace."""

    code = "not_found"


class TooManyKeys(TenantsError):
    """A source has at most two live write keys, an app two live public keys: the old and the new one of a rotation."""

    code = "too_many_keys"


class InUse(TenantsError):
    """The object cannot go while something else stands on it."""

    code = "in_use"


class Changed(TenantsError):
    """Somebody else has changed the object since it was looked at."""

    code = "changed"


class Gone(TenantsError):
    """The object was deleted or revoked and cannot be changed any more."""

    code = "gone"
