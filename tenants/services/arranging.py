"""The order of a destination's mappings or filters: one is moved, and all are numbered anew without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.db.models import Model

from tenants.auditing import Actor
from tenants.services import rows

Row = TypeVar("Row", bound=Model)


def move(row: Row, ordered: Sequence[Row], places: int, actor: Actor, action: str, label: str) -> bool:
    """Move a row by so many places, up for less than none; tell whether it is elsewhere now."""
    others = [each for each in ordered if each.pk != row.pk]
    at = [each.pk for each in ordered].index(row.pk)
    target = max(0, min(len(others), at + places))
    others.insert(target, row)
    for position, each in enumerate(others):
        if each.pk == row.pk:
            rows.change(row, {"position": position}, actor, action, label=label)
        else:  # they only make room, which the entry of the one that was moved tells
            type(each)._base_manager.filter(pk=each.pk).exclude(position=position).update(position=position)
    return target != at
