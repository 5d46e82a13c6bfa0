"""Filters and toggles of a destination of the file: by name, and by source, call and event.

A list that the file gives is the whole list: what it leaves out is switched off. An absent or empty list says nothing
about them, so that an old file does not let events out that a filter holds back since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenants import services
from tenants.errors import Invalid
from tenants.manifest.existing import Existing, ToggleKey
from tenants.manifest.reading import Located
from tenants.manifest.schema import DestinationSpec, FilterSpec, ToggleSpec
from tenants.models import Destination, DestinationFilter, Source, SourceToggle
from tenants.services.filters import require_meaningful_filter
from tenants.services.toggles import require_meaningful_toggle

if TYPE_CHECKING:
    from tenants.manifest.applying import Run


def check(run: Run, spec: DestinationSpec, found: Existing, in_file: frozenset[str]) -> None:
    """Note everything that is wrong with the filters and toggles, each at its line."""
    for filter in spec.filters:
        _check_source(run, filter.source, found, in_file)
        try:
            require_meaningful_filter(filter.values)
        except Invalid as error:
            filter.complain(error.field, str(error))
    for toggle in spec.toggles:
        _check_source(run, toggle.source, found, in_file)
        try:
            require_meaningful_toggle(toggle.call, toggle.event_name, toggle.paths)
        except Invalid as error:
            toggle.complain(error.field, str(error))


def _check_source(run: Run, named: tuple[str, Located] | None, found: Existing, in_file: frozenset[str]) -> None:
    if named is not None and named[0] not in found.sources and named[0] not in in_file:
        known = ", ".join(sorted({*found.sources, *in_file})) or "none"
        run.references.problems.append(named[1].problem(f"there is no source {named[0]}; there are: {known}"))


def apply(run: Run, spec: DestinationSpec, destination: Destination, found: Existing) -> bool:
    """Make filters and toggles what the file says; tell whether anything changed."""
    is_changed = _apply_filters(run, spec, destination, found)
    return _apply_toggles(run, spec, destination, found) or is_changed


def _apply_filters(run: Run, spec: DestinationSpec, destination: Destination, found: Existing) -> bool:
    if not spec.filters:
        return False
    known = found.filters[destination.pk]
    is_changed = False
    for position, wanted in enumerate(spec.filters):
        is_changed |= _apply_filter(run, wanted, position, destination, found)
    listed = {wanted.name for wanted in spec.filters}
    for filter in [one for name, one in known.items() if name not in listed and one.is_enabled]:
        services.set_filter_enabled(filter, False, actor=run.actor)
        is_changed = True
    return is_changed


def _apply_filter(run: Run, wanted: FilterSpec, position: int, destination: Destination, found: Existing) -> bool:
    source = _source(wanted.source, found)
    if wanted.source is not None and source is None:
        return False  # the file could not make the source, which has been told
    filter, is_new = found.filters[destination.pk].get(wanted.name), False
    if filter is None:
        enabled = wanted.enabled is not False
        filter = services.create_filter(
            destination, source=source, is_enabled=enabled, **wanted.values, actor=run.actor
        )
        is_new = True
    is_changed = _update_filter(run, filter, {**wanted.values, "source": source, "position": position})
    if wanted.enabled is not None and wanted.enabled != filter.is_enabled:
        services.set_filter_enabled(filter, wanted.enabled, actor=run.actor)
        is_changed = True
    return is_new or is_changed


def _update_filter(run: Run, filter: DestinationFilter, values: dict[str, Any]) -> bool:
    if all(getattr(filter, name) == value for name, value in values.items()):
        return False
    services.update_filter(filter, actor=run.actor, **values)
    return True


def _apply_toggles(run: Run, spec: DestinationSpec, destination: Destination, found: Existing) -> bool:
    if not spec.toggles:
        return False
    known = found.toggles[destination.pk]
    listed: set[ToggleKey] = set()
    is_changed = False
    for wanted in spec.toggles:
        source = _source(wanted.source, found)
        if source is not None:
            key = (source.pk, wanted.call, wanted.event_name)
            listed.add(key)
            is_changed |= _apply_toggle(run, wanted, source, destination, known.get(key))
    for toggle in [one for key, one in known.items() if key not in listed and one.is_enabled]:
        services.set_toggle_enabled(toggle, False, actor=run.actor)
        is_changed = True
    return is_changed


def _apply_toggle(
    run: Run, wanted: ToggleSpec, source: Source, destination: Destination, toggle: SourceToggle | None
) -> bool:
    if toggle is None:
        services.create_toggle(
            source,
            destination,
            call=wanted.call,
            event_name=wanted.event_name,
            paths=wanted.paths,
            is_enabled=wanted.enabled is not False,
            actor=run.actor,
        )
        return True
    is_changed = toggle.paths != wanted.paths
    if is_changed:
        services.update_toggle(toggle, paths=wanted.paths, actor=run.actor)
    if wanted.enabled is not None and wanted.enabled != toggle.is_enabled:
        services.set_toggle_enabled(toggle, wanted.enabled, actor=run.actor)
        is_changed = True
    return is_changed


def _source(named: tuple[str, Located] | None, found: Existing) -> Source | None:
    return found.sources.get(named[0]) if named is not None else None
