"""Connections: which source feeds which destination. Each switch is written down as a position of the log."""

from __future__ import annotations

from django.db import transaction

from tenants.auditing import Actor
from tenants.errors import WrongWorkspace
from tenants.models import Connection, Destination, Source
from tenants.models.connection import SubscriptionKind
from tenants.scoping import require_same_workspace
from tenants.services import rows
from tenants.subscriptions import close_interval, open_before_any_reader, open_interval


@transaction.atomic
def connect(source: Source, destination: Destination, *, actor: Actor) -> Connection:
    """Link a source to a destination, or switch an old link on again."""
    require_same_workspace(destination.workspace_id, source)
    rows.lock(source)
    rows.lock(destination)
    known = Connection.objects.for_workspace(destination.workspace_id).filter(source=source, destination=destination)
    if found := known.first():
        return set_connection_enabled(found, True, actor=actor)
    connection = _add(source, destination, actor)
    open_interval(connection.workspace_id, SubscriptionKind.CONNECTION, connection.pk)
    return connection


def connect_new_destination(source: Source, destination: Destination, *, actor: Actor) -> Connection:
    """Link a source to a destination that is made in the same transaction, so that nobody reads for it yet."""
    require_same_workspace(destination.workspace_id, source)
    rows.lock(source)
    connection = _add(source, destination, actor)
    open_before_any_reader(connection.workspace_id, SubscriptionKind.CONNECTION, connection.pk)
    return connection


def disconnect(source: Source, destination: Destination, *, actor: Actor) -> Connection:
    """Switch the link off: later events are not for this destination, and what still waits ends as filtered."""
    require_same_workspace(destination.workspace_id, source)
    known = Connection.objects.for_workspace(destination.workspace_id).filter(source=source, destination=destination)
    if (found := known.first()) is None:
        raise WrongWorkspace("They are not connected.")
    return set_connection_enabled(found, False, actor=actor)


@transaction.atomic
def set_connection_enabled(connection: Connection, is_enabled: bool, *, actor: Actor) -> Connection:
    """Switch a connection on or off, from this position of the log."""
    rows.lock(connection)
    action = "connection.enabled" if is_enabled else "connection.disabled"
    if rows.change(connection, {"is_enabled": is_enabled}, actor, action, label=_label(connection)):
        move = open_interval if is_enabled else close_interval
        move(connection.workspace_id, SubscriptionKind.CONNECTION, connection.pk)
    return connection


def _add(source: Source, destination: Destination, actor: Actor) -> Connection:
    connection = Connection(workspace_id=destination.workspace_id, source=source, destination=destination)
    rows.create(connection, actor, "connection.created", label=_label(connection))
    return connection


def _label(connection: Connection) -> str:
    return f"{connection.source.slug} to {connection.destination.slug}"
