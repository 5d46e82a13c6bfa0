"""A destination of the file: settings with references resolved, mappings by name, connections by the list of sources.

A list that the file gives is the whole list: sources and mappings it leaves out are switched off. An absent list, or
an empty list of mappings, says nothing about them; a new destination then starts with its connector's presets. Filters
and toggles are read by a module of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.base import Connector
from tenants import services
from tenants.credentials import open_all
from tenants.errors import Invalid, TenantsError
from tenants.manifest import rules
from tenants.manifest.existing import Existing
from tenants.manifest.schema import DestinationSpec, MappingSpec
from tenants.models import Destination, Source
from tenants.services.destinations import (
    connector_of,
    proposed_settings,
    require_settings,
    secret_names,
)
from tenants.services.mappings import require_meaningful

if TYPE_CHECKING:
    from tenants.manifest.applying import Run

Values = dict[str, Any]
VOID = " The stored one counts no more, because the settings lead elsewhere now."


def apply_destination(run: Run, spec: DestinationSpec, found: Existing, in_file: frozenset[str]) -> None:
    """Check all of the destination first, so that every problem is told, then create it or change what differs."""
    destination = found.destinations.get(spec.slug)
    if destination is not None and destination.connector != spec.connector:
        raise Invalid("connector", f"The connector cannot be changed; it is {destination.connector}.")
    before = len(run.references.problems)
    wanted = _sources(run, spec, found, in_file)
    connector = connector_of(spec.connector)
    settings = _settings(run, spec, connector)
    _check_settings(spec, connector, settings, destination)
    _check_mappings(spec, connector)
    rules.check(run, spec, found, in_file)
    if len(run.references.problems) > before:
        return
    path = f"{found.workspace.slug}/destinations/{spec.slug}"
    if destination is None:
        _create(run, spec, found, settings, wanted or [], path)
    else:
        run.report.note(path, is_changed=_update(run, spec, destination, found, settings, wanted, path))


def _create(
    run: Run, spec: DestinationSpec, found: Existing, settings: Values, wanted: list[Source], path: str
) -> None:
    values = {"name": spec.slug, **spec.values}
    made = services.create_destination(
        found.workspace,
        spec.slug,
        connector=spec.connector,
        settings=settings,
        sources=wanted,
        mappings=[_mapping_values(mapping) for mapping in spec.mappings] if spec.mappings else None,
        is_enabled=spec.enabled is not False,
        actor=run.actor,
        **values,
    )
    rules.apply(run, spec, made.destination, found)
    run.report.created.append(path)
    if made.generated:
        run.report.secrets[path] = made.generated


def _update(
    run: Run,
    spec: DestinationSpec,
    destination: Destination,
    found: Existing,
    settings: Values,
    wanted: list[Source] | None,
    path: str,
) -> bool:
    is_changed = False
    if _differs(destination, spec.values, settings):
        change = services.update_destination(destination, settings=settings, actor=run.actor, **spec.values)
        is_changed = change.is_changed
        if change.generated:
            run.report.secrets[path] = change.generated
    if spec.enabled is not None and spec.enabled != destination.is_enabled:
        services.set_destination_enabled(destination, spec.enabled, actor=run.actor)
        is_changed = True
    is_changed |= _apply_mappings(run, spec, destination, found)
    is_changed |= rules.apply(run, spec, destination, found)
    return is_changed | (wanted is not None and _apply_sources(run, destination, found, wanted))


def _differs(destination: Destination, values: Values, settings: Values) -> bool:
    """Whether there is anything to do, by comparing in clear; a blank secret means keep."""
    if any(getattr(destination, name) != value for name, value in values.items()):
        return True
    hidden = secret_names(connector_of(destination.connector))
    named = {key for key in settings if key in hidden and settings[key]}
    shown = {key: value for key, value in settings.items() if key not in hidden}
    if any(destination.settings.get(key) != value for key, value in shown.items()):
        return True
    sealed = {key: text for key, text in destination.secrets.items() if key in named}
    stored = open_all(destination.workspace_id, destination.pk, sealed)
    return any(stored.get(key) != settings[key] for key in named)


def _sources(run: Run, spec: DestinationSpec, found: Existing, in_file: frozenset[str]) -> list[Source] | None:
    """The listed sources. One that the file itself could not make is no second problem."""
    if spec.sources is None:
        return None
    for slug, at in spec.sources:
        if slug not in found.sources and slug not in in_file:
            known = ", ".join(sorted({*found.sources, *in_file})) or "none"
            run.references.problems.append(at.problem(f"there is no source {slug}; there are: {known}"))
    return [found.sources[slug] for slug, _ in spec.sources if slug in found.sources]


def _settings(run: Run, spec: DestinationSpec, connector: Connector) -> Values:
    """The settings in clear, with what secrets refer to."""
    fields = {field.key: field for field in connector.settings}
    return {
        key: run.references.resolve(at, is_object=fields[key].type == "object")
        if key in fields and fields[key].secret
        else at.plain()
        for key, at in spec.settings.items()
    }


def _check_settings(
    spec: DestinationSpec, connector: Connector, settings: Values, destination: Destination | None
) -> None:
    void: tuple[str, ...] = ()
    try:
        if destination is None:
            require_settings(connector, settings)
        else:
            stored = open_all(destination.workspace_id, destination.pk, destination.secrets)
            after, void = proposed_settings(connector, destination.settings, settings, stored)
            require_settings(connector, after)
    except Invalid as error:
        told = {
            f"settings.{key}" for key, at in spec.settings.items() if settings[key] is None and at.value is not None
        }
        for field, message in error.messages.items():
            if field not in told:
                spec.section.complain(field, message + (VOID if field.removeprefix("settings.") in void else ""))


def _check_mappings(spec: DestinationSpec, connector: Connector) -> None:
    for mapping in spec.mappings:
        try:
            require_meaningful(connector, {"fields": {}, "batch": None, **mapping.values})
        except Invalid as error:
            for field, message in error.messages.items():
                mapping.section.complain(field, message)
        except TenantsError as error:
            mapping.section.complain("", str(error))


def _mapping_values(spec: MappingSpec) -> Values:
    return {"fields": {}, "is_enabled": spec.enabled is not False, **spec.values}


def _apply_mappings(run: Run, spec: DestinationSpec, destination: Destination, found: Existing) -> bool:
    """Create, change and put in order what is listed; switch off what is not."""
    if not spec.mappings:
        return False
    known = found.mappings[destination.pk]
    is_changed = False
    for position, wanted in enumerate(spec.mappings):
        mapping = known.get(wanted.name)
        if mapping is None:
            mapping = services.create_mapping(destination, **_mapping_values(wanted), actor=run.actor)
            is_changed = True
        values = {**wanted.values, "position": position}
        if any(getattr(mapping, name) != value for name, value in values.items()):
            services.update_mapping(mapping, actor=run.actor, **values)
            is_changed = True
        if wanted.enabled is not None and wanted.enabled != mapping.is_enabled:
            services.set_mapping_enabled(mapping, wanted.enabled, actor=run.actor)
            is_changed = True
    listed = {wanted.name for wanted in spec.mappings}
    for mapping in [one for name, one in known.items() if name not in listed and one.is_enabled]:
        services.set_mapping_enabled(mapping, False, actor=run.actor)
        is_changed = True
    return is_changed


def _apply_sources(run: Run, destination: Destination, found: Existing, wanted: list[Source]) -> bool:
    """Connect what is listed, switch off what is not."""
    links = {source: link for (source, of), link in found.connections.items() if of == destination.pk}
    is_changed = False
    for source in wanted:
        if source.pk not in links or not links[source.pk].is_enabled:
            services.connect(source, destination, actor=run.actor)
            is_changed = True
    listed = {source.pk for source in wanted}
    for link in [one for source, one in links.items() if source not in listed and one.is_enabled]:
        services.set_connection_enabled(link, False, actor=run.actor)
        is_changed = True
    return is_changed
