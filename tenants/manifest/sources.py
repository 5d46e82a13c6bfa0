"""A source of the file: its settings, the write keys that it names, and what its connector is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings as project

from connectors.inbound import InboundSource
from tenants import keys, services
from tenants.errors import Invalid, TenantsError
from tenants.inbound import address_of
from tenants.manifest.existing import Existing
from tenants.manifest.schema import KeySpec, SourceSpec
from tenants.models import Source, WriteKey
from tenants.services import GivenKey, IssuedKey
from tenants.services.source_settings import checked, proposed, secret_names, source_connector

if TYPE_CHECKING:
    from tenants.manifest.applying import Run

Values = dict[str, Any]


def apply_source(run: Run, spec: SourceSpec, found: Existing) -> None:
    """Create the source or change what differs, and add keys that it does not have."""
    path = f"{found.workspace.slug}/sources/{spec.slug}"
    given = [(key, one) for key in spec.keys if (one := _given(run, key)) is not None]
    source = found.sources.get(spec.slug)
    before = len(run.references.problems)
    told = _connector_settings(run, spec, source)
    if len(run.references.problems) > before:
        return
    if source is None:
        found.sources[spec.slug] = made = _create(run, spec, found, given, told, path)
        _set_oauth(run, spec, made, found)
        run.report.created.append(path)
        return
    if source.kind != spec.kind:
        raise Invalid("kind", f"The kind of a source cannot be changed; it is {source.kind}.")
    is_changed = _update(run, spec, source, told) | _set_oauth(run, spec, source, found)
    known = found.keys[source.pk]
    for key, one in given:
        is_changed |= _add_missing(run, source, known, key, one)
    run.report.note(path, is_changed=is_changed)


def _create(
    run: Run, spec: SourceSpec, found: Existing, given: list[tuple[KeySpec, GivenKey]], told: Values, path: str
) -> Source:
    values = {"name": spec.slug, **spec.values}
    made = services.create_source(
        found.workspace,
        spec.slug,
        kind=spec.kind,
        write_keys=() if spec.keys else None,
        connector=spec.connector or "",
        connector_settings=told,
        actor=run.actor,
        **values,
    )
    for key, one in given:
        _add(run, made.source, key, one)
    if spec.enabled is False:
        services.set_source_enabled(made.source, False, actor=run.actor)
    _tell_generated(run, path, made.keys)
    return made.source


def _connector_settings(run: Run, spec: SourceSpec, source: Source | None) -> Values:
    """What the connector is told, in clear, with everything that is wrong with it noted."""
    if spec.connector is None:
        return {}
    if source is not None and source.connector != spec.connector:
        raise Invalid("connector", f"The connector of a source cannot be changed; it is {source.connector or 'none'}.")
    connector = source_connector(spec.connector)
    hidden = secret_names(connector)
    told = {
        key: run.references.resolve(at, is_object=False) if key in hidden else at.plain()
        for key, at in spec.connector_settings.items()
    }
    try:
        _check(connector, source, told)
    except Invalid as error:
        missing = {f"settings.{key}" for key in hidden & told.keys() if told[key] is None}
        for field, message in error.messages.items():
            if field not in missing:
                spec.section.complain(field, message)
    return told


def _check(connector: InboundSource, source: Source | None, told: Values) -> None:
    if source is None:
        checked(connector, told)
    else:
        proposed(connector, source, told)


def _update(run: Run, spec: SourceSpec, source: Source, told: Values) -> bool:
    values = dict(spec.values)
    if isinstance(settings := values.get("settings"), dict):
        values["settings"] = {**source.settings, **settings}
    is_changed = any(getattr(source, name) != value for name, value in values.items())
    if is_changed:
        services.update_source(source, actor=run.actor, **values)
    if told and _differs(source, told):
        services.update_source(source, actor=run.actor, connector_settings=told)
        is_changed = True
    if spec.enabled is not None and spec.enabled != source.is_enabled:
        services.set_source_enabled(source, spec.enabled, actor=run.actor)
        is_changed = True
    return is_changed


def _differs(source: Source, told: Values) -> bool:
    """Whether there is anything to do, by comparing in clear; a blank secret means keep."""
    connector = source_connector(source.connector)
    after, stored = proposed(connector, source, told)
    return after != {**source.connector_settings, **stored}


def _set_oauth(run: Run, spec: SourceSpec, source: Source, found: Existing) -> bool:
    """Connect the source to the app that the file names, and say whether its tokens are required."""
    app = source.oauth_app
    if spec.oauth_app is not None:
        app = found.oauth_apps.get(spec.oauth_app)
        if app is None:
            raise Invalid("oauth_app", f"There is no OAuth app {spec.oauth_app} in this workspace.")
    is_required = source.oauth_required if spec.oauth_required is None else spec.oauth_required
    if (app, is_required) == (source.oauth_app, source.oauth_required):
        return False
    services.set_source_oauth(source, app, is_required=is_required, actor=run.actor)
    return True


def _add_missing(run: Run, source: Source, known: list[WriteKey], spec: KeySpec, given: GivenKey) -> bool:
    """Add a key unless the source has it; tell whether it was added."""
    row = next((row for row in known if row.digest == given.digest), None)
    if row is None:
        _add(run, source, spec, given)
        return True
    if row.revoked_at is not None:
        run.references.problems.append(spec.at.problem("this write key was revoked"))
    return False


def _add(run: Run, source: Source, spec: KeySpec, given: GivenKey) -> None:
    try:
        services.add_write_key(source, given, actor=run.actor)
    except TenantsError as error:
        run.references.problems.append(spec.at.problem(str(error)))


def _given(run: Run, spec: KeySpec) -> GivenKey | None:
    if spec.sha256:
        return GivenKey(sha256=spec.sha256, last4=spec.last4)
    value = run.references.look_up(spec.env, spec.at) if spec.env else spec.value
    try:
        keys.require_usable(value or "")
    except Invalid as error:
        if value is not None:
            run.references.problems.append(spec.at.problem(str(error)))
        return None
    return GivenKey(value=value or "")


def _tell_generated(run: Run, path: str, issued: tuple[IssuedKey, ...]) -> None:
    generated = [key.plain for key in issued if key.is_generated and key.plain]
    if generated:
        run.report.write_keys[path] = generated
        if issued[0].row.source.connector:
            run.report.addresses[path] = [address_of(project.PUBLIC_URL, key) for key in generated]
