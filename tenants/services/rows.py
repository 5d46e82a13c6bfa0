"""How every service treats the row that it changes: locked first, checked before it is saved, audited after."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as ReadOnly
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from tenants.auditing import Actor, record, state_of
from tenants.errors import Gone, Invalid

EMPTY: tuple[object, ...] = ({}, [], "")
NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
UNSTORABLE = "It holds what cannot be stored: a NUL, half of a pair of surrogates, or what is no finite number."


def lock(row: models.Model) -> None:
    """Read the row anew and hold it until the transaction ends; what was deleted can no longer be changed."""
    row.refresh_from_db(from_queryset=type(row)._base_manager.select_for_update())
    if getattr(row, "deleted_at", None) is not None:
        raise Gone("It was deleted.")


def check(row: models.Model) -> None:
    """Refuse values that a column cannot mean. Foreign keys are checked by who hands the objects in."""
    relations = [field.name for field in row._meta.concrete_fields if field.is_relation]
    try:
        row.clean_fields(exclude=relations)
    except ValidationError as error:
        messages = {field: " ".join(texts) for field, texts in error.message_dict.items()}
        field, message = next(iter(messages.items()))
        raise Invalid(field, message, messages=messages) from error
    _require_something(row)
    _require_storable(row)


def _require_something(row: models.Model) -> None:
    """Refuse an empty object where absence has a meaning: a scope without names is not the whole workspace."""
    for column in row._meta.concrete_fields:
        if isinstance(column, models.JSONField) and column.null and getattr(row, column.name) in EMPTY:
            raise Invalid(column.name, "Give it a content, or leave it out.", "empty")


def _require_storable(row: models.Model) -> None:
    """Refuse JSON that Python writes and PostgreSQL does not take."""
    for column in row._meta.concrete_fields:
        if not isinstance(column, models.JSONField):
            continue
        try:
            text = json.dumps(getattr(row, column.name), ensure_ascii=False, allow_nan=False, default=str)
            text.encode()
        except ValueError as error:
            raise Invalid(column.name, UNSTORABLE, "unstorable") from error
        if NUL_IN_JSON.search(text):
            raise Invalid(column.name, UNSTORABLE, "unstorable")


def create(row: models.Model, actor: Actor, action: str, *, label: str) -> None:
    """Check, insert and audit a new row."""
    check(row)
    row.save(force_insert=True)
    record(actor, action, row, label=label, after=state_of(row))


def change(
    row: models.Model,
    values: ReadOnly[str, Any],
    actor: Actor,
    action: str,
    *,
    label: str,
    notes: ReadOnly[str, object] | None = None,
) -> bool:
    """Set, check, save and audit a locked row; tell whether anything changed, for if not nothing is written."""
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    if not changed:
        return False
    before = state_of(row)
    for name in changed:
        setattr(row, name, values[name])
    check(row)
    row.save(update_fields=changed)
    record(actor, action, row, label=label, before=before, after=state_of(row), notes=notes)
    return True


def require_known(values: ReadOnly[str, Any], known: frozenset[str]) -> None:
    """Refuse changes of fields that have a verb of their own, or none."""
    if unknown := values.keys() - known:
        raise Invalid(sorted(unknown)[0], "This cannot be changed here.", "not_changeable")
