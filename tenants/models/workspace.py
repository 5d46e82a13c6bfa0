"""The tenant, and who may do what in it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from hub.lib.clock import now
from hub.lib.ids import uuid7
from tenants import validators
from tenants.scoping import WorkspaceModel


class Workspace(models.Model):
    """The tenant; owns everything. Limits left empty fall back to the installation's settings."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=63, unique=True, validators=[validators.slug])
    name = models.CharField(max_length=200)
    is_locked = models.BooleanField(default=False, help_text="Refuses new events and delivers nothing.")
    rate_limit = models.PositiveIntegerField(
        null=True, blank=True, validators=[validators.at_least_one], help_text="Events per second, over all sources."
    )
    dedupe_hours = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[validators.at_least_one, validators.within_a_week]
    )
    retention_days = models.PositiveSmallIntegerField(null=True, blank=True, validators=[validators.at_least_one])
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(rate_limit__gte=1), name="workspace_rate_limit_positive"),
            models.CheckConstraint(condition=Q(dedupe_hours__range=(1, 168)), name="workspace_dedupe_within_a_week"),
            models.CheckConstraint(condition=Q(retention_days__gte=1), name="workspace_retention_positive"),
        ]

    def __str__(self) -> str:
        return self.slug


class Role(models.TextChoices):
    """What a member may do; `scope` narrows it to some sources or labels."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    MARKETER = "marketer"
    PRIVACY_OFFICER = "privacy_officer", "privacy officer"
    VIEWER = "viewer"


class Member(WorkspaceModel):
    """A user's place in a workspace. Seeing personal data in clear is granted apart from the role."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=20, choices=Role.choices)
    scope = models.JSONField(
        null=True,
        blank=True,
        validators=[validators.member_scope],
        help_text='Empty: the whole workspace. Else {"sources": […]} or {"labels": […]}.',
    )
    can_see_personal_data = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="member_once_per_workspace"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="member_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} as {self.role}"
