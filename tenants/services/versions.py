"""What a version of a mapping or filter consists of, and which of them can be brought back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Model, QuerySet

from tenants.errors import Invalid


def content_of(row: Model, names: Iterable[str]) -> dict[str, Any]:
    """The content of a row, or of a version of it: both have it in fields of the same names."""
    return {name: getattr(row, name) for name in names}


def to_restore(versions: QuerySet[Any], number: int, present: dict[str, Any], noun: str) -> dict[str, Any]:
    """The content of the version with this number, which must be there and other than the present one."""
    kept = versions.filter(version=number).first()
    if kept is None:
        raise Invalid("version", f"There is no version {number}.", "no_such_version")
    content = content_of(kept, present)
    if content == present:
        raise Invalid("version", f"The {noun} is as it was in version {number}.", "nothing_to_restore")
    return content
