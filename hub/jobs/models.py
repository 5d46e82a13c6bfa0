"""The table of jobs: each row is the whole truth about one piece of long work, so that it survives whoever does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from hub.lib.clock import now
from tenants.scoping import WorkspaceModel

UNATTENDED_AFTER = timedelta(seconds=30)


class Job(WorkspaceModel):
    """Long work of a workspace. `cursor` is the kind's own note of how far it has come."""

    class State(models.TextChoices):
        QUEUED = "queued"  # waits for a worker
        RUNNING = "running"  # a worker has begun it; between two turns nobody holds it
        PAUSED = "paused"  # goes on when somebody says so
        CANCELLED = "cancelled"  # what was done stays done, the rest stays as it was
        DONE = "done"
        FAILED = "failed"  # `error` says why; it can be resumed

    kind = models.CharField(max_length=50)
    arguments: Any = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    done = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True, blank=True)
    cursor: Any = models.JSONField(default=dict, blank=True)
    note = models.CharField(max_length=300, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")
    failure_count = models.SmallIntegerField(default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    created_label = models.CharField(max_length=254, blank=True, default="")
    created_at = models.DateTimeField(default=now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    # When it last began to go on, and how much was done by then: the rate is that of the time since.
    resumed_at = models.DateTimeField(null=True, blank=True)
    resumed_done = models.BigIntegerField(default=0)
    stepped_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    next_run_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.BigIntegerField(default=0)
    owner = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["next_run_at"], condition=Q(state__in=["queued", "running"]), name="job_due"),
            models.Index(fields=["workspace", "-id"], name="job_workspace"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def is_active(self) -> bool:
        """Whether a worker is to go on with it by itself."""
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    def is_unattended(self, at: datetime) -> bool:
        """Whether it has been due for half a minute and no worker has taken it up."""
        is_free = self.lease_until is None or self.lease_until < at
        return self.is_active and is_free and self.next_run_at < at - UNATTENDED_AFTER

    @property
    def per_second(self) -> float | None:
        """How fast it has gone since it last began to go on; None until there is something to go by."""
        if self.resumed_at is None or self.stepped_at is None:
            return None
        seconds = (self.stepped_at - self.resumed_at).total_seconds()
        done = self.done - self.resumed_done
        return done / seconds if seconds >= 1.0 and done > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the rate so far; None where that would be a guess."""
        rate = self.per_second
        if self.state != self.State.RUNNING or rate is None or self.total is None:
            return None
        return max(0, self.total - self.done) / rate
