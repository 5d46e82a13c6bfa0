"""A workspace's configured use of a connector: its settings, its credentials, and how it is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import Q

from hub.lib.clock import now
from tenants import credentials, validators
from tenants.querysets import DestinationQuerySet
from tenants.scoping import WorkspaceManager, WorkspaceModel

if TYPE_CHECKING:
    from django.db.models import Manager


class Ordering(models.TextChoices):
    """Whether events of one user wait for each other."""

    NONE = "none"
    PER_USER = "per_user", "per user"


class PastCap(models.TextChoices):
    """What happens when too many events of one user wait behind a failing one."""

    DEAD_LETTER = "dead_letter", "the oldest becomes a dead letter"
    LOSE_ORDER = "lose_order", "the user's events go on without order"


class Status(models.TextChoices):
    """Paused and stopped destinations stay subscribed: their backlog waits."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"


class Destination(WorkspaceModel):
    """Where events go. A deleted destination keeps its row: deliveries and the books name it."""

    slug = models.SlugField(max_length=63, validators=[validators.slug])
    name = models.CharField(max_length=200)
    connector = models.CharField(max_length=63)
    settings = models.JSONField(default=dict, blank=True)
    secrets = models.JSONField(default=dict, blank=True, editable=False)
    secret_hints = models.JSONField(default=dict, blank=True, editable=False)
    is_enabled = models.BooleanField(default=True)
    ordering = models.CharField(max_length=10, choices=Ordering.choices, default=Ordering.NONE)
    past_cap = models.CharField(
        max_length=15,
        choices=PastCap.choices,
        default=PastCap.DEAD_LETTER,
        help_text="Of an ordered destination: what happens when more than 200 events of one user wait.",
    )
    shards = models.PositiveSmallIntegerField(
        default=1,
        validators=validators.shards,
        help_text="Readers that share the events, by user; 1 is enough for most.",
    )
    retry_hours = models.FloatField(default=24.0, validators=validators.retry_hours)
    rate_limit = models.JSONField(
        null=True, blank=True, validators=[validators.rate_limit], help_text='{"amount": …, "per_seconds": …}'
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=500, blank=True)
    status_changed_at = models.DateTimeField(default=now, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    unscoped: ClassVar[Manager[Self]] = DestinationQuerySet.as_manager()
    objects: ClassVar[WorkspaceManager[Self]] = WorkspaceManager.from_queryset(DestinationQuerySet)()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "slug"], condition=Q(deleted_at=None), name="destination_slug_once_per_workspace"
            ),
            models.UniqueConstraint(fields=["workspace", "id"], name="destination_of_workspace"),
            models.CheckConstraint(condition=Q(ordering__in=Ordering.values), name="destination_ordering_known"),
            models.CheckConstraint(condition=Q(past_cap__in=PastCap.values), name="destination_past_cap_known"),
            models.CheckConstraint(
                condition=Q(shards__range=(1, validators.MOST_SHARDS)), name="destination_shards_in_range"
            ),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="destination_status_known"),
            models.CheckConstraint(
                condition=Q(retry_hours__range=(validators.LEAST_RETRY_HOURS, validators.MOST_RETRY_HOURS)),
                name="destination_retry_hours_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def open_settings(self) -> dict[str, object]:
        """The settings with credentials in clear: for the worker that sends, as late as possible, and nobody else."""
        return {**self.settings, **credentials.open_all(self.workspace_id, self.pk, self.secrets)}

    def masked_settings(self) -> dict[str, object]:
        """The settings as people may read them: of a credential only that it is set, and its end."""
        return {**self.settings, **credentials.masked(self.secrets, self.secret_hints)}
