"""Intervals of the log during which a connection or destination was on, written with the change itself.

Callers hold the lock on the row that the interval is about, so two changes of one object cannot meet here.
"""

from __future__ import annotations

import uuid

from django.db.models import Q

from tenants.models.connection import SubscriptionInterval, SubscriptionKind
from tenants.positions import current_position


def open_before_any_reader(workspace_id: uuid.UUID, kind: SubscriptionKind, object_id: uuid.UUID) -> None:
    """Begin an interval of something whose destination is made in this transaction, events in flight included."""
    position = current_position()
    _begin(workspace_id, kind, object_id, position.epoch, position.first_in_flight)


def open_interval(workspace_id: uuid.UUID, kind: SubscriptionKind, object_id: uuid.UUID) -> None:
    """Begin an interval; one that ended at or after this position goes on instead, so intervals never overlap."""
    position = current_position()
    gone_on = (
        SubscriptionInterval.objects.for_workspace(workspace_id)
        .filter(kind=kind, object_id=object_id, until_epoch=position.epoch, until_xid__gte=position.start)
        .update(until_epoch=None, until_xid=None)
    )
    if not gone_on:
        _begin(workspace_id, kind, object_id, position.epoch, position.start)


def close_interval(workspace_id: uuid.UUID, kind: SubscriptionKind, object_id: uuid.UUID) -> None:
    """End the open interval, if there is one, past everything that is being written now."""
    position = current_position()
    SubscriptionInterval.objects.for_workspace(workspace_id).filter(
        Q(until_xid=None), kind=kind, object_id=object_id
    ).update(until_epoch=position.epoch, until_xid=position.end)


def _begin(workspace_id: uuid.UUID, kind: SubscriptionKind, object_id: uuid.UUID, epoch: int, xid: int) -> None:
    SubscriptionInterval.unscoped.create(
        workspace_id=workspace_id, kind=kind, object_id=object_id, from_epoch=epoch, from_xid=xid
    )
