"""Which connectors there are: every module `<package>/<slug>.py` of the packages given. There is no list to edit.

A module whose name begins with an underscore is a vendor's shared code, not a connector. A connector is imported when
it is first asked for, and its declaration is checked then.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from connectors.base import Connector
from connectors.declarations import declaration_problems, source_problems
from connectors.errors import DeclarationError, UnknownConnector
from connectors.inbound import InboundSource

BUILT_IN = ("connectors.destinations",)
BUILT_IN_SOURCES = ("connectors.sources",)

_packages: tuple[str, ...] = BUILT_IN
_source_packages: tuple[str, ...] = BUILT_IN_SOURCES


def use_packages(packages: Sequence[str]) -> None:
    """Say where to look, the project's own package included. Called once at start-up."""
    global _packages
    _packages = tuple(dict.fromkeys(packages))
    _modules.cache_clear()
    get.cache_clear()


def use_source_packages(packages: Sequence[str]) -> None:
    """Say where to look for source connectors, the project's own package included. Called once at start-up."""
    global _source_packages
    _source_packages = tuple(dict.fromkeys(packages))
    _source_modules.cache_clear()
    get_source.cache_clear()


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


def find(slug: str) -> Connector | None:
    """Give the connector of this name; None when this installation has lost it."""
    try:
        return get(slug)
    except UnknownConnector:
        return None


def all() -> tuple[Connector, ...]:
    """Give every connector, by name."""
    return tuple(sorted((get(slug) for slug in _modules()), key=lambda connector: connector.name.lower()))


@cache
def get_source(slug: str) -> InboundSource:
    """Give the source connector of this name."""
    try:
        name = _source_modules()[slug]
    except KeyError:
        raise UnknownConnector(f"There is no source connector {slug!r}.") from None
    source = getattr(importlib.import_module(name), "source", None)
    if not isinstance(source, InboundSource):
        raise DeclarationError(f"{name} declares no `source`.")
    problems = list(source_problems(source, slug))
    if problems:
        raise DeclarationError(f"{name}: {'; '.join(problems)}")
    return source


def all_sources() -> tuple[InboundSource, ...]:
    """Give every source connector, by name."""
    return tuple(sorted((get_source(slug) for slug in _source_modules()), key=lambda source: source.name.lower()))


def icon(slug: str) -> Path | None:
    """Find `icons/<slug>.svg` in the connector's package or beside it."""
    get(slug)
    return _icon_beside(_modules()[slug], slug)


def source_icon(slug: str) -> Path | None:
    """Find the icon of a source connector, in the same places."""
    get_source(slug)
    return _icon_beside(_source_modules()[slug], slug)


def documentation(slug: str) -> str:
    """Give the connector's page: the text that its module begins with."""
    get(slug)
    return inspect.cleandoc(importlib.import_module(_modules()[slug]).__doc__ or "")


def source_documentation(slug: str) -> str:
    """Give the page of a source connector."""
    get_source(slug)
    return inspect.cleandoc(importlib.import_module(_source_modules()[slug]).__doc__ or "")


def _icon_beside(module: str, slug: str) -> Path | None:
    folder = Path(str(importlib.import_module(module).__file__)).parent
    places = (folder / "icons" / f"{slug}.svg", folder.parent / "icons" / f"{slug}.svg")
    return next((place for place in places if place.is_file()), None)


@cache
def _modules() -> dict[str, str]:
    return _found_in(_packages)


@cache
def _source_modules() -> dict[str, str]:
    return _found_in(_source_packages)


def _found_in(packages: Sequence[str]) -> dict[str, str]:
    """Map each slug to its module. Two of one name are refused: a workspace's settings must not change hands."""
    found: dict[str, str] = {}
    for package in packages:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if module.name.startswith("_") or module.ispkg:
                continue
            if module.name in found:
                raise DeclarationError(f"Both {found[module.name]} and {package}.{module.name} are found.")
            found[module.name] = f"{package}.{module.name}"
    return found
