"""A destination that exists only in a command line or a test: a connector, settings and mappings, and no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from connectors import registry
from connectors.settings import validate_settings
from hub.delivery import config as configs
from hub.delivery.config import Config
from hub.delivery.stored import Stored
from hub.routing.decide import Link
from tenants.services.destinations import preset_mappings

NOWHERE = UUID(int=0)
SOURCE = UUID(int=1)


def declare(slug: str, settings: Mapping[str, object], mappings: Sequence[Mapping[str, Any]] | None = None) -> Config:
    """Compile it; without mappings, with those of the presets.

    Raises UnknownConnector, SettingsError, UnusableDestination.
    """
    connector = registry.get(slug)
    cleaned = validate_settings(connector, settings)
    rows = [
        {"id": str(UUID(int=number)), "version": 1, "trigger": "", "batch": None, **mapping}
        for number, mapping in enumerate(mappings or preset_mappings(connector), start=1)
    ]
    stored = Stored(
        connector.name, slug, cleaned, {}, True, False, connector.ordering, 24.0, None, "active", 1, "", rows, [], []
    )
    config = configs.compile_stored(NOWHERE, NOWHERE, stored)
    plan = configs.plan_of([], NOWHERE, frozenset({connector.name}), config.routes, is_deleted=False)
    config.plan = replace(plan, is_on=True, links={SOURCE: Link(True, ())})
    return config
