"""Which connectors there are: every module `<package>/<slug>.py` of the packages given. There is no list to edit.

A module whose name begins with an underscore is a vendor's shared code, not a connector. A connector is imported when
it is first asked for, and its declaration is checked then.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from connectors.base import Connector, Field
from connectors.checks import FORMATS, BadValue, check
from connectors.errors import DeclarationError, UnknownConnector

SLUG = re.compile(r"[a-z][a-z0-9_]*")
BUILT_IN = ("connectors.destinations",)

_packages: tuple[str, ...] = BUILT_IN


def use_packages(packages: Sequence[str]) -> None:
    """Say where to look, the project's own package included. Called once at start-up."""
    global _packages
    _packages = tuple(dict.fromkeys(packages))
    _modules.cache_clear()
    get.cache_clear()


@cache
def get(slug: str) -> Connector:
    """Give the connector of this name."""
    try:
        name = _modules()[slug]
    except KeyError:
        raise UnknownConnector(f"There is no connector {slug!r}.") from None
    connector = getattr(importlib.import_module(name), "connector", None)
    if not isinstance(connector, Connector):
        raise DeclarationError(f"{name} declares no `connector`.")
    problems = list(declaration_problems(connector, slug))
    if problems:
        raise DeclarationError(f"{name}: {'; '.join(problems)}")
    return connector


def all() -> tuple[Connector, ...]:
    """Give every connector, by name."""
    return tuple(sorted((get(slug) for slug in _modules()), key=lambda connector: connector.name.lower()))


def icon(slug: str) -> Path | None:
    """Find `icons/<slug>.svg` in the connector's package or beside it."""
    get(slug)
    folder = Path(str(importlib.import_module(_modules()[slug]).__file__)).parent
    places = (folder / "icons" / f"{slug}.svg", folder.parent / "icons" / f"{slug}.svg")
    return next((place for place in places if place.is_file()), None)


@cache
def _modules() -> dict[str, str]:
    """Map each slug to its module. Two of one name are refused: a workspace's settings must not change hands."""
    found: dict[str, str] = {}
    for package in _packages:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if module.name.startswith("_") or module.ispkg:
                continue
            if module.name in found:
                raise DeclarationError(f"Both {found[module.name]} and {package}.{module.name} are found.")
            found[module.name] = f"{package}.{module.name}"
    return found


def declaration_problems(connector: Connector, slug: str) -> Iterator[str]:
    """Tell everything in a declaration that contradicts itself."""
    if connector.slug != slug or not SLUG.fullmatch(slug):
        yield f"the slug must be the file's name in lower case, not {connector.slug!r}"
    yield from _field_problems(connector.settings, "setting")
    for field in connector.settings:
        yield from _default_problems(field)
    keys = [action.key for action in connector.actions]
    if len(set(keys)) < len(keys) or not keys:
        yield "there must be actions, each with a key of its own"
    for action in connector.actions:
        yield from _field_problems(action.fields, f"field of {action.key}")
        if action.batch and action.batch.size_setting not in {"", *(field.key for field in connector.settings)}:
            yield f"the batch size of {action.key} is a setting that does not exist"
    for preset in connector.presets:
        if preset.action not in keys:
            yield f"the preset {preset.name} names an unknown action"
    yield from _auth_problems(connector)


def _field_problems(fields: tuple[Field, ...], kind: str) -> Iterator[str]:
    keys = [field.key for field in fields]
    for field in fields:
        if keys.count(field.key) > 1 or not SLUG.fullmatch(field.key):
            yield f"the {kind} {field.key!r} needs a name of its own, in lower case"
        if field.format and field.format not in FORMATS:
            yield f"the {kind} {field.key} has an unknown format"
        if field.type == "password" and not field.secret:
            yield f"the {kind} {field.key} is a password but no secret"


def _default_problems(field: Field) -> Iterator[str]:
    if field.default is None:
        return
    if field.secret:
        yield f"the setting {field.key} is a secret with a default"
    try:
        check(field, field.default)
    except BadValue as bad:
        yield f"the default of {field.key} does not fit: {bad}"


def _auth_problems(connector: Connector) -> Iterator[str]:
    fields = {field.key: field for field in connector.settings}
    for scheme in connector.auth:
        for key in scheme.credentials:
            if key not in fields:
                yield f"the credential {key} of {scheme.scheme} is no setting"
    if len(connector.auth) > 1:
        offered = {choice for choice, _ in fields["auth"].choices} if "auth" in fields else set()
        if offered != {scheme.scheme for scheme in connector.auth}:
            yield "the setting auth must offer exactly the schemes"
