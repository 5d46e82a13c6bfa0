"""Which source feeds which destination, and since which position of the log.

Who is subscribed is decided by log position and not by the settings at the time of reading: sources and
destinations may come and go in mid-stream, and the books stay exact. An interval is half open: an event is inside
when from <= (epoch, xid) < until.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import Q

from hub.lib.clock import now
from tenants.models.destination import Destination
from tenants.models.source import Source
from tenants.querysets import IntervalQuerySet
from tenants.scoping import WorkspaceManager, WorkspaceModel

if TYPE_CHECKING:
    from django.db.models import Manager


class Connection(WorkspaceModel):
    """A source linked to a destination, on or off."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "source", "destination"], name="connection_once"),
        ]
        indexes = [models.Index(fields=["workspace", "destination"], name="connection_by_destination")]

    def __str__(self) -> str:
        return f"{self.source_id} to {self.destination_id}"


class SubscriptionKind(models.TextChoices):
    CONNECTION = "connection"
    DESTINATION = "destination"


class SubscriptionInterval(WorkspaceModel):
    """A stretch of the log during which a connection or destination was on."""

    kind = models.CharField(max_length=12, choices=SubscriptionKind.choices)
    object_id = models.UUIDField()
    from_epoch = models.SmallIntegerField()
    from_xid = models.BigIntegerField()
    until_epoch = models.SmallIntegerField(null=True, blank=True)
    until_xid = models.BigIntegerField(null=True, blank=True)

    unscoped: ClassVar[Manager[Self]] = IntervalQuerySet.as_manager()
    objects: ClassVar[WorkspaceManager[Self]] = WorkspaceManager.from_queryset(IntervalQuerySet)()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "object_id"], condition=Q(until_xid=None), name="interval_open_once"
            ),
            models.UniqueConstraint(fields=["kind", "object_id", "from_epoch", "from_xid"], name="interval_start_once"),
            models.CheckConstraint(
                condition=Q(until_epoch=None, until_xid=None) | Q(until_epoch__isnull=False, until_xid__isnull=False),
                name="interval_end_is_whole",
            ),
        ]
        indexes = [models.Index(fields=["workspace", "kind", "object_id"], name="interval_by_object")]

    def __str__(self) -> str:
        until = "open" if self.until_xid is None else f"{self.until_epoch}/{self.until_xid}"
        return f"{self.kind} {self.from_epoch}/{self.from_xid} to {until}"


class LogEpoch(models.Model):
    """The log's present epoch, one row. A new one begins when the database was restored and counts from lower again."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.SmallIntegerField(default=1)

    class Meta:
        db_table = "log_epoch"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="log_epoch_one_row")]

    def __str__(self) -> str:
        return str(self.epoch)
