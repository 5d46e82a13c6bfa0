"""A destination's or source's settings against the fields that its connector declares.

They are entered by people: everything wrong with them is told at once, unknown keys are refused as typing mistakes, and
secrets that may be generated are.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping

from connectors import auth
from connectors.base import Connector, Field, Settings, When
from connectors.checks import BadValue, check
from connectors.errors import FieldProblem, SettingsError
from connectors.inbound import InboundSource
from connectors.signing import generate_secret

# What has settings that people enter.
Declared = Connector | InboundSource
GENERATORS: Mapping[str, Callable[[], str]] = {
    "webhook-secret": generate_secret,
    "token": lambda: secrets.token_urlsafe(24),
}
# Shorter values are found in innocent text, and masking them would make answers unreadable.
SHORTEST_SECRET = 4


def validate_settings(connector: Declared, settings: Settings) -> dict[str, object]:
    """Give the settings cleaned and complete, or raise SettingsError with one problem for each field.

    An empty field gets its default; one that is generated gets a fresh value. So an update passes the stored secrets
    along with the changes, else new ones are made.
    """
    problems = list(_unknown(connector, settings))
    cleaned: dict[str, object] = {}
    for field in connector.settings:
        try:
            value = _value(field, settings)
        except BadValue as bad:
            problems.append(FieldProblem(field.key, bad.code, str(bad)))
        else:
            if value is not None:
                cleaned[field.key] = value
    problems += _missing(connector, cleaned, {problem.field for problem in problems})
    if problems:
        raise SettingsError(problems)
    return cleaned


def secrets_to_forget(connector: Connector, before: Settings, after: Settings) -> tuple[str, ...]:
    """Name the stored secrets that a change of address makes void.

    Else whoever may edit a destination could point its credentials at a server of his own. A secret entered anew with
    the same change is kept by the caller.
    """
    if any(field.clears_secrets and before.get(field.key) != after.get(field.key) for field in connector.settings):
        return tuple(field.key for field in connector.settings if field.secret)
    return ()


def secret_values(connector: Connector, settings: Settings) -> tuple[str, ...]:
    """Give every text that must not be stored in clear, longest first: secrets, and the form they are sent in."""
    texts: set[str] = set()
    for field in connector.settings:
        if field.secret:
            texts.update(_texts(settings.get(field.key)))
    for _, value in auth.headers(auth.choose(connector.auth, settings), settings):
        texts.update((value, value.rpartition(" ")[2]))
    return tuple(sorted((text for text in texts if len(text) >= SHORTEST_SECRET), key=len, reverse=True))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)


def _value(field: Field, settings: Settings) -> object:
    value = settings.get(field.key)
    if value is not None and value != "":
        return check(field, value)
    return GENERATORS[field.generate]() if field.generate else field.default


def _unknown(connector: Declared, settings: Settings) -> Iterator[FieldProblem]:
    known = {field.key for field in connector.settings}
    for key in settings:
        if key not in known:
            yield FieldProblem(str(key), "unknown_field", f"{connector.name} has no setting of this name.")


def _missing(connector: Declared, cleaned: Settings, faulty: set[str]) -> list[FieldProblem]:
    """Tell what is required and absent, leaving out fields that already have a problem."""
    return [
        FieldProblem(field.key, "required", f"{field.label} is needed.")
        for field in connector.settings
        if field.key not in cleaned and field.key not in faulty and _is_required(field, cleaned)
    ]


def _is_required(field: Field, values: Settings) -> bool:
    return _holds(field.required, values) if isinstance(field.required, When) else field.required


def _holds(condition: When, values: Settings) -> bool:
    return values.get(condition.field) in condition.values
