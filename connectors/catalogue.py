"""What there is to choose from, told from the declarations alone: as data, and as a page for people.

The page is the module's own text, which its author writes for those who set the connector up, and tables of what the
declaration holds. Nothing here is stored, so it can never be out of date.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from connectors import registry
from connectors.auth import AuthScheme
from connectors.base import Action, Connector, Field, When
from connectors.inbound import InboundSource

CALLS = ("track", "identify", "page", "screen", "group", "alias")
CALL = re.compile(r"""type\s*=\s*["'](\w+)["']""")
Entry = dict[str, object]


def destinations() -> list[Connector]:
    """Give every connector that may be chosen, by category and name."""
    return sorted((one for one in registry.all() if one.status != "hidden"), key=_place)


def sources() -> list[InboundSource]:
    """Give every source connector that may be chosen, by category and name."""
    return sorted((one for one in registry.all_sources() if one.status != "hidden"), key=_place)


def _place(one: Connector | InboundSource) -> tuple[str, str]:
    return one.category, one.name.lower()


def calls_of(triggers: Iterable[str]) -> list[str]:
    """Name the call types that some of these triggers ask for; one that asks for none takes them all."""
    found: set[str] = set()
    for trigger in triggers:
        found.update(CALL.findall(trigger) or CALLS)
    return [call for call in CALLS if call in found]


def calls(connector: Connector) -> list[str]:
    """Name the call types that a connector takes: those of its presets and of its actions' own triggers."""
    presets = [preset.trigger for preset in connector.presets]
    return calls_of([*presets, *(action.default_trigger for action in connector.actions)])


def summary(connector: Connector) -> Entry:
    """Give what a list shows of a destination."""
    return {
        "slug": connector.slug,
        "name": connector.name,
        "version": connector.version,
        "category": connector.category,
        "status": connector.status,
        "description": connector.description,
        "calls": calls(connector),
        "required_settings": [field.key for field in connector.settings if field.required is True],
        "auth": [scheme.scheme for scheme in connector.auth],
        "kind": connector.kind,
        "docs_url": connector.docs_url,
    }


def entry(connector: Connector) -> Entry:
    """Give everything that a declaration says of a destination."""
    return {
        **summary(connector),
        "documentation": registry.documentation(connector.slug),
        "settings": [_field(field) for field in connector.settings if not field.is_hidden],
        "auth_schemes": [_scheme(scheme) for scheme in connector.auth],
        "actions": [_action(action) for action in connector.actions],
        "presets": [
            {"name": one.name, "action": one.action, "trigger": one.trigger, "fields": dict(one.fields)}
            for one in connector.presets
        ],
        "addresses": dict(connector.base_urls),
        "allows_custom_host": connector.allows_custom_host,
        "rate_limits": [
            {"scope": one.scope, "unit": one.unit, "amount": one.amount, "per_seconds": one.per_seconds}
            for one in connector.rate_limits
        ],
        "idempotency": connector.idempotency,
        "ordering": connector.ordering,
        "can_test": connector.test is not None,
        "can_delete": connector.delete is not None,
        "extra": connector.extra,
    }


def source_summary(source: InboundSource) -> Entry:
    """Give what a list shows of a source."""
    return {
        "slug": source.slug,
        "name": source.name,
        "version": source.version,
        "category": source.category,
        "status": source.status,
        "description": source.description,
        "events": list(source.events),
        "required_settings": [field.key for field in source.settings if field.required is True],
        "docs_url": source.docs_url,
    }


def source_entry(source: InboundSource) -> Entry:
    """Give everything that a declaration says of a source."""
    return {
        **source_summary(source),
        "documentation": registry.source_documentation(source.slug),
        "settings": [_field(field) for field in source.settings if not field.is_hidden],
        "methods": list(source.methods),
    }


def _field(field: Field) -> Entry:
    condition = field.required
    return {
        "key": field.key,
        "label": field.label,
        "type": f"list of {field.type}" if field.multiple else field.type,
        "description": field.description,
        "required": condition is True,
        "required_when": {"field": condition.field, "values": list(condition.values)}
        if isinstance(condition, When)
        else None,
        "secret": field.secret,
        "default": field.default,
        "placeholder": field.placeholder,
        "choices": [{"value": value, "label": label} for value, label in field.choices],
        "choices_from_vendor": bool(field.dynamic),
        "is_hashed": field.hashed is not None,
        "category": field.category,
        "properties": [_field(inner) for inner in field.properties],
    }


def _scheme(scheme: AuthScheme) -> Entry:
    return {"scheme": scheme.scheme, "label": scheme.label, "settings": list(scheme.credentials)}


def _action(action: Action) -> Entry:
    batch = action.batch
    return {
        "key": action.key,
        "title": action.title,
        "description": action.description,
        "trigger": action.default_trigger,
        "calls": calls_of([action.default_trigger]),
        "fields": [_field(field) for field in action.fields],
        "batch": {"max_items": batch.max_items, "max_bytes": batch.max_bytes, "keys": list(batch.keys)}
        if batch
        else None,
        "look_ups": [step.key for step in action.resolve],
        "is_asynchronous": action.job is not None,
        "is_repeatable": action.idempotent,
    }


# As a page


def page(connector: Connector) -> str:
    """Write the page of a destination, in Markdown."""
    parts = [f"# {connector.name}", registry.documentation(connector.slug), *_facts(connector)]
    parts += ["## Settings", _fields_table([field for field in connector.settings if not field.is_hidden])]
    for action in connector.actions:
        takes = ", ".join(calls_of([action.default_trigger])) or "no call type"
        lines = [f"## {action.title} (`{action.key}`)", action.description, f"Takes {takes}. {_how(action)}".strip()]
        parts += [*lines, _fields_table(action.fields)]
    rows = [(one.name, f"`{one.action}`", f"`{one.trigger}`") for one in connector.presets]
    parts += ["## Mappings of a new destination", table(("Name", "Action", "Trigger"), rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def source_page(source: InboundSource) -> str:
    """Write the page of a source, in Markdown."""
    parts = [f"# {source.name}", registry.source_documentation(source.slug), source.description]
    parts += ["## Settings", _fields_table([field for field in source.settings if not field.is_hidden])]
    if source.events:
        parts += ["## Events", "\n".join(f"- {name}" for name in source.events)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(connector: Connector) -> list[str]:
    limits = "; ".join(f"{one.amount} {one.unit} per {one.per_seconds:g} s" for one in connector.rate_limits)
    rows = [
        ("Status", connector.status),
        ("Category", connector.category),
        ("Calls", ", ".join(calls(connector))),
        ("Signs in by", ", ".join(scheme.label for scheme in connector.auth)),
        ("Addresses", ", ".join(connector.base_urls.values())),
        ("Limits of the vendor", limits),
        ("Erases people", "yes" if connector.delete else "no"),
        ("Needs the extra", f"`{connector.extra}`" if connector.extra else ""),
        ("The vendor's documentation", connector.docs_url),
    ]
    return [table(("", ""), [row for row in rows if row[1]])]


def _how(action: Action) -> str:
    said = []
    if action.batch:
        said.append(f"Up to {action.batch.max_items} events share a request.")
    if action.resolve:
        said.append(f"Looks up first: {', '.join(step.key for step in action.resolve)}.")
    if action.job:
        said.append("The vendor works on it and is asked later how it ended.")
    if not action.idempotent:
        said.append("Never sent again when nobody knows whether it arrived.")
    return " ".join(said)


def _fields_table(fields: Sequence[Field]) -> str:
    rows = [(f"`{field.key}`", field.label, _kind(field), _needed(field), field.description) for field in fields]
    return table(("Key", "Name", "Type", "Needed", "What it is"), rows) if rows else "None."


def _kind(field: Field) -> str:
    kind = f"list of {field.type}" if field.multiple else field.type
    said = [kind, *(["secret"] if field.secret else []), *(["hashed"] if field.hashed else [])]
    if field.choices:
        said.append("one of " + ", ".join(f"`{value}`" for value, _ in field.choices))
    if field.placeholder:
        said.append(f"such as `{field.placeholder}`")
    return ", ".join(said)


def _needed(field: Field) -> str:
    if isinstance(field.required, When):
        return f"when {field.required.field} is {' or '.join(map(str, field.required.values))}"
    return "yes" if field.required else "no"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown; a bar or a line break in a cell would end it."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |" for line in lines
    )
