"""Whether a declaration contradicts itself. Asked once, when a connector is first used, and by the tests for each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from connectors.auth import AuthScheme, AwsSignature, OAuth2
from connectors.base import Action, Connector, Field, When
from connectors.checks import FORMATS, BadValue, check
from connectors.inbound import InboundSource

SLUG = re.compile(r"[a-z][a-z0-9_]*")
# Objects of a vendor's have its own names inside.
INNER_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def declaration_problems(connector: Connector, slug: str) -> Iterator[str]:
    """Tell everything in a destination's declaration that contradicts itself."""
    if connector.slug != slug or not SLUG.fullmatch(slug):
        yield f"the slug must be the file's name in lower case, not {connector.slug!r}"
    yield from _settings_problems(connector.settings)
    keys = [action.key for action in connector.actions]
    if len(set(keys)) < len(keys) or not keys:
        yield "there must be actions, each with a key of its own"
    for action in connector.actions:
        yield from _action_problems(connector, action)
    yield from _preset_problems(connector)
    yield from _auth_problems(connector)


def source_problems(source: InboundSource, slug: str) -> Iterator[str]:
    """Tell everything in a source's declaration that contradicts itself."""
    if source.slug != slug or not SLUG.fullmatch(slug):
        yield f"the slug must be the file's name in lower case, not {source.slug!r}"
    yield from _settings_problems(source.settings)
    keys = {field.key for field in source.settings}
    for role in ("secret", "shared_key", "public_key", "username", "password"):
        named = getattr(source.signature, role, None)
        if named is not None and named not in keys:
            yield f"the setting {named} of the signature does not exist"


def _settings_problems(settings: Sequence[Field]) -> Iterator[str]:
    yield from _field_problems(settings, "setting", SLUG)
    for field in settings:
        yield from _default_problems(field)


def _field_problems(fields: Sequence[Field], kind: str, form: re.Pattern[str]) -> Iterator[str]:
    keys = [field.key for field in fields]
    for field in fields:
        if keys.count(field.key) > 1 or not form.fullmatch(field.key):
            yield f"the {kind} {field.key!r} needs a name of its own, in lower case"
        if field.format and field.format not in FORMATS:
            yield f"the {kind} {field.key} has an unknown format"
        if field.type == "password" and not field.secret:
            yield f"the {kind} {field.key} is a password but no secret"
        if isinstance(field.required, When) and field.required.field not in keys:
            yield f"the {kind} {field.key} depends on {field.required.field}, which does not exist"
        if field.properties and field.type != "object":
            yield f"the {kind} {field.key} has properties but is no object"
        yield from _field_problems(field.properties, f"{kind} {field.key}/", INNER_KEY)


def _default_problems(field: Field) -> Iterator[str]:
    if field.default is None:
        return
    if field.secret:
        yield f"the setting {field.key} is a secret with a default"
    try:
        check(field, field.default)
    except BadValue as bad:
        yield f"the default of {field.key} does not fit: {bad}"


def _action_problems(connector: Connector, action: Action) -> Iterator[str]:
    yield from _field_problems(action.fields, f"field of {action.key}", SLUG)
    keys = {field.key for field in action.fields}
    if action.batch and action.batch.size_setting not in {"", *(field.key for field in connector.settings)}:
        yield f"the batch size of {action.key} is a setting that does not exist"
    for key in action.batch.keys if action.batch else ():
        if key not in keys:
            yield f"{action.key} makes batches by {key}, which is no field of it"
    for field in action.fields:
        if field.dynamic and field.dynamic not in connector.choices:
            yield f"the field {field.key} of {action.key} asks for choices that do not exist"
    steps = [step.key for step in action.resolve]
    if len(set(steps)) < len(steps):
        yield f"two look-ups of {action.key} have the same key"
    if connector.kind == "sink" and (action.resolve or action.job):
        yield f"{action.key} cannot look anything up at a sink"


def _preset_problems(connector: Connector) -> Iterator[str]:
    actions = {action.key: action for action in connector.actions}
    for preset in connector.presets:
        if preset.action not in actions:
            yield f"the preset {preset.name} names an unknown action"
        elif unknown := preset.fields.keys() - {field.key for field in actions[preset.action].fields}:
            yield f"the preset {preset.name} fills {sorted(unknown)[0]}, which is no field of its action"


def _auth_problems(connector: Connector) -> Iterator[str]:
    fields = {field.key: field for field in connector.settings}
    for scheme in connector.auth:
        for key in (*scheme.credentials, *_settings_of(scheme)):
            if key not in fields:
                yield f"the credential {key} of {scheme.scheme} is no setting"
    if len(connector.auth) > 1:
        offered = {choice for choice, _ in fields["auth"].choices} if "auth" in fields else set()
        if offered != {scheme.scheme for scheme in connector.auth}:
            yield "the setting auth must offer exactly the schemes"


def _settings_of(scheme: AuthScheme) -> Iterator[str]:
    """The settings that a grant reads beside the credentials."""
    grant = scheme.grant
    if isinstance(grant, OAuth2):
        yield from grant.keeps
        for url in (grant.token_url, grant.authorize_url, grant.revoke_url):
            yield from PLACEHOLDER.findall(url)
    elif isinstance(grant, AwsSignature):
        yield grant.region
