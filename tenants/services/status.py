"""Pausing and stopping: the destination stays subscribed and its backlog waits, so no interval moves."""

from __future__ import annotations

from django.db import transaction

from hub.lib.clock import now
from tenants.auditing import SYSTEM, Actor
from tenants.models import Destination
from tenants.models.destination import Status
from tenants.services import rows


def pause_destination(destination: Destination, reason: str, actor: Actor = SYSTEM) -> Destination:
    """Hold deliveries back: by a user's wish, or because the destination refuses our credentials."""
    return _set_status(destination, Status.PAUSED, reason, actor, "destination.paused")


def stop_destination(destination: Destination, reason: str, actor: Actor = SYSTEM) -> Destination:
    """Hold deliveries back because the receiver said that it wants no more."""
    return _set_status(destination, Status.STOPPED, reason, actor, "destination.stopped")


def resume_destination(destination: Destination, actor: Actor = SYSTEM) -> Destination:
    """Let deliveries go on, the backlog first."""
    return _set_status(destination, Status.ACTIVE, "", actor, "destination.resumed")


@transaction.atomic
def note_trouble(destination: Destination, reason: str, actor: Actor = SYSTEM) -> Destination:
    """Tell the owner, on an active destination, that nothing gets through and why; it is tried on and on."""
    rows.lock(destination)
    if destination.status == Status.ACTIVE:
        values = {"status_reason": reason[:500]}
        rows.change(destination, values, actor, "destination.circuit_open", label=destination.slug)
    return destination


@transaction.atomic
def note_recovery(destination: Destination, actor: Actor = SYSTEM) -> Destination:
    """Take back what `note_trouble` said."""
    rows.lock(destination)
    if destination.status == Status.ACTIVE:
        values = {"status_reason": ""}
        rows.change(destination, values, actor, "destination.circuit_closed", label=destination.slug)
    return destination


@transaction.atomic
def _set_status(destination: Destination, status: Status, reason: str, actor: Actor, action: str) -> Destination:
    rows.lock(destination)
    if (destination.status, destination.status_reason) != (status, reason[:500]):
        values = {"status": status, "status_reason": reason[:500], "status_changed_at": now()}
        rows.change(destination, values, actor, action, label=destination.slug)
    return destination
