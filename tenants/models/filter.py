"""What a destination does not get: filters with every version kept, and the toggles of sources for it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from hub.lib.clock import now
from tenants.models.destination import Destination
from tenants.models.source import Source
from tenants.scoping import WorkspaceModel

NAME_LENGTH = 64
EVENT_LENGTH = 200


class FilterAction(models.TextChoices):
    """What happens to the events that meet a filter's condition, in the order in which filters are asked."""

    SAMPLE = "sample", "send a share of them"
    DROP = "drop", "send none of them"
    DROP_PROPERTIES = "drop_properties", "send them without some properties"
    ALLOW_PROPERTIES = "allow_properties", "send them with some properties only"


class DestinationFilter(WorkspaceModel):
    """A condition and what happens to events that meet it, of one source or of all."""

    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, related_name="+", db_constraint=False, null=True, blank=True
    )
    name = models.CharField(max_length=NAME_LENGTH)
    condition = models.TextField(help_text="In the filter language, or the word all.")
    action = models.CharField(max_length=20, choices=FilterAction.choices)
    percent = models.FloatField(null=True, blank=True, help_text="Of a sample: the share that is sent, from 0 to 1.")
    path = models.CharField(max_length=500, blank=True, help_text="Of a sample: the value that decides.")
    fields = models.JSONField(null=True, blank=True, help_text="Of properties: keys by the object they are in.")
    position = models.PositiveSmallIntegerField(default=0)
    is_enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        verbose_name = "filter"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "destination", "name"], name="filter_name_once"),
            models.UniqueConstraint(fields=["workspace", "id"], name="filter_of_workspace"),
            models.CheckConstraint(condition=Q(action__in=FilterAction.values), name="filter_action_known"),
            models.CheckConstraint(
                condition=Q(action="sample", percent__range=(0, 1)) | (~Q(action="sample") & Q(percent=None, path="")),
                name="filter_percent_is_of_a_sample",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source_slug(self) -> str | None:
        """The source that it is about; all of them when there is none."""
        return self.source.slug if self.source is not None else None


class FilterVersion(WorkspaceModel):
    """A filter as it once stood."""

    filter = models.ForeignKey(DestinationFilter, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    version = models.PositiveIntegerField()
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, related_name="+", db_constraint=False, null=True, blank=True
    )
    name = models.CharField(max_length=NAME_LENGTH)
    condition = models.TextField()
    action = models.CharField(max_length=20, choices=FilterAction.choices)
    percent = models.FloatField(null=True, blank=True)
    path = models.CharField(max_length=500, blank=True)
    fields = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "filter", "version"], name="filter_version_once")]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class Call(models.TextChoices):
    """The calls of the tracking API."""

    TRACK = "track"
    IDENTIFY = "identify"
    PAGE = "page"
    SCREEN = "screen"
    GROUP = "group"
    ALIAS = "alias"


class SourceToggle(WorkspaceModel):
    """What of a source's calls a destination does not get: all of an event, or some of its properties."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    call = models.CharField(max_length=8, choices=Call.choices)
    event_name = models.CharField(max_length=EVENT_LENGTH, blank=True, help_text="Empty: every call of this type.")
    paths = models.JSONField(null=True, blank=True, help_text="What is taken out; empty: the event is not sent at all.")
    is_enabled = models.BooleanField(default=True, help_text="Off: the events are sent as if the toggle were not here.")
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        verbose_name = "toggle"
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "destination", "source", "call", "event_name"], name="toggle_once"
            ),
            models.CheckConstraint(condition=Q(call__in=Call.values), name="toggle_call_known"),
        ]

    def __str__(self) -> str:
        return f"{self.call} {self.event_name}".strip()
