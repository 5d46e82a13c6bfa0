"""Apps that send with tokens: the public keys they sign with, and the tokens they were given.

An app proves itself by signing with a private key that never comes here, and gets a token for some days. Of a token
only the digest is kept. The row of a token also remembers the signed request that it was given for, so that the same
request cannot be used twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from hub.lib.clock import now
from tenants import validators
from tenants.querysets import OAuthAppQuerySet, OAuthKeyQuerySet
from tenants.scoping import WorkspaceManager, WorkspaceModel

if TYPE_CHECKING:
    from django.db.models import Manager


class TokenLife(models.IntegerChoices):
    """For how many days a token is good."""

    ONE_DAY = 1, "1 day"
    TWO_DAYS = 2, "2 days"
    THREE_DAYS = 3, "3 days"
    ONE_WEEK = 7, "1 week"
    TWO_WEEKS = 14, "2 weeks"
    THREE_WEEKS = 21, "3 weeks"
    THIRTY_DAYS = 30, "30 days"


class Algorithm(models.TextChoices):
    """What a key signs with; the kind of key decides."""

    RS256 = "RS256"
    ES256 = "ES256"


def default_scopes() -> list[str]:
    """All that there is: sending events."""
    return [validators.TRACKING]


class OAuthApp(WorkspaceModel):
    """Something that sends to sources of a workspace and proves who it is. Its id is no secret."""

    slug = models.SlugField(max_length=63, validators=[validators.slug])
    name = models.CharField(max_length=200)
    client_id = models.CharField(max_length=64, unique=True, editable=False, validators=[validators.client_id])
    token_days = models.PositiveSmallIntegerField(choices=TokenLife.choices, default=TokenLife.ONE_DAY)
    scopes = models.JSONField(default=default_scopes, validators=[validators.scopes])
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    unscoped: ClassVar[Manager[Self]] = OAuthAppQuerySet.as_manager()
    objects: ClassVar[WorkspaceManager[Self]] = WorkspaceManager.from_queryset(OAuthAppQuerySet)()

    class Meta:
        verbose_name = "OAuth app"
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "slug"], condition=Q(deleted_at=None), name="oauth_app_slug_once_per_workspace"
            ),
            models.UniqueConstraint(fields=["workspace", "id"], name="oauth_app_of_workspace"),
            models.CheckConstraint(condition=Q(token_days__in=TokenLife.values), name="oauth_app_token_life_known"),
        ]

    def __str__(self) -> str:
        return self.slug


class OAuthKey(WorkspaceModel):
    """A public key of an app. A revoked one ends every token that was given for its signature."""

    app = models.ForeignKey(OAuthApp, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    kid = models.CharField("key id", max_length=64, validators=[validators.kid])
    algorithm = models.CharField(max_length=5, choices=Algorithm.choices, editable=False)
    public_key = models.TextField(editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    unscoped: ClassVar[Manager[Self]] = OAuthKeyQuerySet.as_manager()
    objects: ClassVar[WorkspaceManager[Self]] = WorkspaceManager.from_queryset(OAuthKeyQuerySet)()

    class Meta:
        verbose_name = "OAuth key"
        constraints = [
            models.UniqueConstraint(fields=["app", "kid"], name="oauth_key_once_per_app"),
            models.UniqueConstraint(fields=["workspace", "id"], name="oauth_key_of_workspace"),
            models.CheckConstraint(condition=Q(algorithm__in=Algorithm.values), name="oauth_key_algorithm_known"),
        ]

    def __str__(self) -> str:
        return self.kid


class OAuthToken(WorkspaceModel):
    """What an app was given to send with. `assertion` is the digest of the signed request's own id."""

    app = models.ForeignKey(OAuthApp, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    key = models.ForeignKey(OAuthKey, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    digest = models.CharField(
        max_length=64, unique=True, editable=False, validators=[RegexValidator(r"^[0-9a-f]{64}$")]
    )
    last4 = models.CharField(max_length=4, editable=False)
    scope = models.CharField(max_length=200, editable=False)
    assertion = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "OAuth token"
        constraints = [
            models.UniqueConstraint(fields=["app", "assertion"], name="oauth_assertion_used_once"),
        ]
        indexes = [models.Index(fields=["app", "expires_at"], name="oauth_token_by_expiry")]

    def __str__(self) -> str:
        return f"hwt_…{self.last4}"

    def is_live(self, at: datetime) -> bool:
        """Whether the token itself is good at that time; its app and key are another question."""
        return self.revoked_at is None and self.expires_at > at
