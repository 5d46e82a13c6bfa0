"""Who changed what setting, when. Kept at least a year; the database itself refuses to change an entry."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from hub.lib.clock import now
from tenants.scoping import WorkspaceModel


class AuditEntry(WorkspaceModel):
    """One change, with the state before and after, secrets left out. Entries without a workspace are the platform's."""

    workspace = models.ForeignKey(  # type: ignore[assignment]  # the base requires one
        "tenants.Workspace", on_delete=models.PROTECT, related_name="+", null=True, blank=True, editable=False
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    actor_label = models.CharField(max_length=254)
    action = models.CharField(max_length=100)
    object_type = models.CharField(max_length=50)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=254, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField(default=now, editable=False)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["workspace", "-at"], name="audit_by_workspace"),
            models.Index(fields=["object_type", "object_id"], name="audit_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_label}"
