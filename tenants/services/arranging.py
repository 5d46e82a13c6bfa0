"""The mappings or filters of a destination: each under a name of its own, so many at most, in an order of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db.models import Max, Model, QuerySet

from tenants.auditing import Actor
from tenants.errors import Invalid, Taken
from tenants.services import rows

Row = TypeVar("Row", bound=Model)


def place_after(others: QuerySet[Any], name: str, noun: str, most: int) -> int:
    """The position of one more, if its name is free and there are not too many of them already."""
    require_free_name(others, name, noun)
    if others.count() >= most:
        raise Invalid("name", f"A destination has at most {most} {noun}s.", f"too_many_{noun}s")
    last = others.aggregate(last=Max("position"))["last"]
    return 0 if last is None else last + 1


def require_free_name(others: QuerySet[Any], name: str, noun: str) -> None:
    """Refuse a name that another has."""
    if others.filter(name=name).exists():
        raise Taken(f"There is a {noun} {name} already.")


def move(row: Row, ordered: Sequence[Row], places: int, actor: Actor, action: str, label: str) -> bool:
    """Move a row by so many places, up for less than none, and number all anew; tell whether it is elsewhere now."""
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
