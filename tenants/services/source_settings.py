"""What a source's connector is told: settings checked by its fields, credentials sealed and never given back.

A credential that is replaced is kept sealed for a while: vendors go on signing with the old one for minutes or hours,
and calls in flight must not be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as ReadOnly
from datetime import timedelta

from connectors import registry
from connectors.errors import FieldProblem, SettingsError, UnknownConnector
from connectors.inbound import InboundSource
from connectors.settings import validate_settings
from hub.expressions import mappings
from hub.expressions.errors import MappingError
from hub.lib.clock import now
from tenants import credentials
from tenants.errors import Invalid, InvalidSettings
from tenants.models import Source

Values = dict[str, object]
LONGEST_OVERLAP = timedelta(days=7)


def source_connector(slug: str) -> InboundSource:
    """The source connector of this name, or the refusal of it."""
    try:
        return registry.get_source(slug)
    except UnknownConnector as error:
        raise Invalid("connector", f"There is no source connector {slug}.", "unknown_connector") from error


def checked(connector: InboundSource, settings: ReadOnly[str, object]) -> Values:
    """The settings cleaned and complete, or the refusal with a problem for each of them."""
    try:
        cleaned = validate_settings(connector, settings)
    except SettingsError as error:
        raise InvalidSettings(error.problems) from error
    if problems := list(_further_problems(connector, cleaned)):
        raise InvalidSettings(problems)
    return cleaned


def _further_problems(connector: InboundSource, settings: Values) -> Iterator[FieldProblem]:
    """What fields alone cannot say: of the connector's own rules, and of a mapping."""
    if connector.problems is not None:
        yield from connector.problems(settings)
    if connector.mapping and settings.get(connector.mapping) is not None:
        try:
            mappings.validate(settings[connector.mapping])
        except MappingError as error:
            for problem in error.problems:
                yield FieldProblem(connector.mapping, problem.code, str(problem))


def secret_names(connector: InboundSource) -> frozenset[str]:
    return frozenset(one.key for one in connector.settings if one.secret)


def proposed(connector: InboundSource, source: Source, patch: ReadOnly[str, object]) -> tuple[Values, Values]:
    """All settings after a change, checked, and the stored secrets in clear. A blank secret means: as it is."""
    stored = credentials.open_all(source.workspace_id, source.pk, source.secrets)
    hidden = secret_names(connector)
    given = {key: value for key, value in patch.items() if key not in hidden or value not in (None, "")}
    merged = {
        key: value for key, value in {**source.connector_settings, **stored, **given}.items() if value is not None
    }
    return checked(connector, merged), stored


def new_columns(source: Source, connector: InboundSource, settings: ReadOnly[str, object]) -> Values:
    """The columns of a new source."""
    return _columns(source, connector, checked(connector, settings), {})


def changed_columns(
    source: Source, connector: InboundSource, patch: ReadOnly[str, object], overlap: timedelta | None
) -> tuple[Values, list[str]]:
    """The columns after a change, and which secrets are new."""
    cleaned, stored = proposed(connector, source, patch)
    columns = _columns(source, connector, cleaned, stored)
    replaced = sorted(key for key in secret_names(connector) & cleaned.keys() if stored.get(key) != cleaned[key])
    lasting = timedelta(hours=connector.overlap_hours) if overlap is None else min(overlap, LONGEST_OVERLAP)
    columns["former_secrets"] = _former(source, [key for key in replaced if key in stored], lasting)
    return columns, replaced


def _columns(source: Source, connector: InboundSource, cleaned: Values, stored: Values) -> Values:
    """A secret that stays the same keeps its ciphertext, so that nothing seems changed."""
    hidden = secret_names(connector)
    secrets = {key: value for key, value in cleaned.items() if key in hidden}
    sealed = {
        key: source.secrets[key]
        if key in stored and stored[key] == value
        else credentials.seal(source.workspace_id, source.pk, key, value)
        for key, value in secrets.items()
    }
    return {
        "connector_settings": {key: value for key, value in cleaned.items() if key not in hidden},
        "secrets": sealed,
        "secret_hints": {key: credentials.hint(value) for key, value in secrets.items()},
    }


def _former(source: Source, replaced: list[str], lasting: timedelta) -> dict[str, dict[str, str]]:
    """The replaced secrets that still count: what is sealed is moved as it is, and what has run out is dropped."""
    at = now()
    kept = {key: one for key, one in source.former_secrets.items() if one["until"] > at.isoformat()}
    if lasting > timedelta(0):
        kept |= {key: {"sealed": source.secrets[key], "until": (at + lasting).isoformat()} for key in replaced}
    else:
        kept = {key: one for key, one in kept.items() if key not in replaced}
    return kept
