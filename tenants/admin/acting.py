"""From a request to the audit trail: who acts, and the reason that was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from django.db import models, transaction
from django.http import HttpRequest

from hub.adminsite.acts import Act, Refused
from hub.adminsite.callers import address_of, request_id_of
from tenants.auditing import Actor, record
from tenants.errors import TenantsError
from tenants.models import User


def actor_of(request: HttpRequest) -> Actor:
    """Whoever is signed in, with address and request id."""
    user = request.user if isinstance(request.user, User) else None
    return Actor(user, ip=address_of(request), request_id=request_id_of(request))


def note_reason(request: HttpRequest, action: str, row: models.Model, reason: str) -> None:
    """Write down why an act was done whose service takes no reason; the service's own entry says what changed."""
    record(actor_of(request), action, row, label=str(row), notes={"reason": reason})


def steering(
    name: str,
    label: str,
    permission: str,
    effect: str,
    verb: Callable[[Any, Actor, str], None],
    refusal: type[Exception],
) -> Act:
    """An act that does one verb to all chosen rows or to none; `refusal` is what the verb raises to say no."""

    @transaction.atomic
    def run(request: HttpRequest, rows: Sequence[models.Model], reason: str) -> str:
        for row in rows:
            try:
                verb(row, actor_of(request), reason)
            except refusal as error:
                raise Refused(str(error)) from error
        return f"{label}: {counted(rows)}."

    return Act(name, label, permission, effect, run, limit=100)


def noted(
    name: str,
    label: str,
    permission: str,
    effect: str,
    verb: Callable[[Any, Actor], object],
    action: str,
    limit: int = 100,
) -> Act:
    """An act of a service that takes no reason: done to all chosen rows or to none, and the reason noted at each."""

    def act(row: models.Model, actor: Actor, reason: str) -> None:
        verb(row, actor)
        record(actor, action, row, label=str(row), notes={"reason": reason})

    return replace(steering(name, label, permission, effect, act, TenantsError), limit=limit)


def counted(rows: Sequence[models.Model]) -> str:
    """How many of what, in words."""
    if not rows:
        return "nothing"
    names = rows[0]._meta
    return f"{len(rows)} {names.verbose_name if len(rows) == 1 else names.verbose_name_plural}"
