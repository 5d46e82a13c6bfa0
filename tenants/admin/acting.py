"""From a request to the audit trail: who acts, and the reason that was given."""

from __future__ import annotations

from django.db import models
from django.http import HttpRequest

from hub.adminsite.callers import address_of, request_id_of
from tenants.auditing import Actor, record
from tenants.models import User


def actor_of(request: HttpRequest) -> Actor:
    """Whoever is signed in, with address and request id."""
    user = request.user if isinstance(request.user, User) else None
    return Actor(user, ip=address_of(request), request_id=request_id_of(request))


def note_reason(request: HttpRequest, action: str, row: models.Model, reason: str) -> None:
    """Write down why an act was done whose service takes no reason; the service's own entry says what changed."""
    record(actor_of(request), action, row, label=str(row), notes={"reason": reason})
