"""What a destination does with which events: action, trigger and field templates, with every version kept."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from hub.lib.clock import now
from tenants.models.destination import Destination
from tenants.scoping import WorkspaceModel


class Mapping(WorkspaceModel):
    """An action of the connector, when it runs, and the templates of its fields."""

    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    name = models.CharField(max_length=200)
    action = models.CharField(max_length=63)
    trigger = models.TextField()
    fields = models.JSONField(default=dict, blank=True)
    batch = models.JSONField(null=True, blank=True, help_text="Empty: the action's own rule for batches.")
    position = models.PositiveSmallIntegerField(default=0)
    is_enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "destination", "name"], name="mapping_name_once"),
            models.UniqueConstraint(fields=["workspace", "id"], name="mapping_of_workspace"),
        ]

    def __str__(self) -> str:
        return self.name


class MappingVersion(WorkspaceModel):
    """A mapping as it once stood, so that a delivery of last week can be explained by the rules of last week."""

    mapping = models.ForeignKey(Mapping, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    version = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    action = models.CharField(max_length=63)
    trigger = models.TextField()
    fields = models.JSONField()
    batch = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "mapping", "version"], name="mapping_version_once")]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
