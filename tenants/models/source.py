"""Where data comes from, and the keys that name it on the tracking API."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from connectors import registry
from connectors.errors import UnknownConnector
from hub.lib.clock import now
from tenants import credentials, validators
from tenants.models.oauth import OAuthApp
from tenants.querysets import SourceQuerySet, WriteKeyQuerySet
from tenants.scoping import WorkspaceManager, WorkspaceModel

if TYPE_CHECKING:
    from django.db.models import Manager


class SourceKind(models.TextChoices):
    """What sends the data; decides whether its keys are public."""

    WEBSITE = "website"
    MOBILE = "mobile"
    SERVER = "server"
    WEBHOOK = "webhook"
    WAREHOUSE = "warehouse"
    AUDIENCE = "audience"
    JOURNEY = "journey"


PUBLIC_KINDS = frozenset({SourceKind.WEBSITE, SourceKind.MOBILE})


def default_source_settings() -> dict[str, object]:
    """Any origin may send, and the sender's address is kept with the event."""
    return {"allowed_origins": [], "capture_ip": True}


class Source(WorkspaceModel):
    """Where data comes from. A deleted source keeps its row: the log names it for as long as its events are kept."""

    slug = models.SlugField(max_length=63, validators=[validators.slug])
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=SourceKind.choices)
    is_enabled = models.BooleanField(default=True)
    settings = models.JSONField(default=default_source_settings, blank=True, validators=[validators.source_settings])
    rate_limit = models.PositiveIntegerField(
        null=True, blank=True, validators=[validators.at_least_one], help_text="Events per second."
    )
    labels = models.JSONField(default=dict, blank=True, validators=[validators.labels])
    connector = models.CharField(max_length=63, blank=True, help_text="Of a webhook source: whose calls it takes.")
    connector_settings = models.JSONField(default=dict, blank=True)
    secrets = models.JSONField(default=dict, blank=True, editable=False)
    secret_hints = models.JSONField(default=dict, blank=True, editable=False)
    former_secrets = models.JSONField(default=dict, blank=True, editable=False)
    oauth_app = models.ForeignKey(
        OAuthApp, on_delete=models.PROTECT, related_name="+", db_constraint=False, null=True, blank=True
    )
    oauth_required = models.BooleanField(default=False, help_text="A write key alone opens nothing.")
    created_at = models.DateTimeField(default=now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    unscoped: ClassVar[Manager[Self]] = SourceQuerySet.as_manager()
    objects: ClassVar[WorkspaceManager[Self]] = WorkspaceManager.from_queryset(SourceQuerySet)()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "slug"], condition=Q(deleted_at=None), name="source_slug_once_per_workspace"
            ),
            models.UniqueConstraint(fields=["workspace", "id"], name="source_of_workspace"),
            models.CheckConstraint(condition=Q(rate_limit__gte=1), name="source_rate_limit_positive"),
            models.CheckConstraint(
                condition=Q(connector="") | Q(kind=SourceKind.WEBHOOK), name="source_connector_of_webhooks_only"
            ),
            models.CheckConstraint(
                condition=Q(oauth_required=False) | Q(oauth_app__isnull=False), name="source_requires_a_known_app"
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def oauth_app_slug(self) -> str | None:
        """The app whose tokens count here."""
        return self.oauth_app.slug if self.oauth_app is not None else None

    @property
    def has_public_keys(self) -> bool:
        """Browsers and phones cannot keep a secret, so their keys are none. Nor is the address a secret of a vendor
        that signs its calls."""
        return self.kind in PUBLIC_KINDS or (bool(self.connector) and not self.has_secret_address)

    @property
    def has_secret_address(self) -> bool:
        """Whether the address alone may keep strangers out. So it is, too, when nobody knows the connector any more."""
        try:
            return registry.get_source(self.connector).has_secret_url
        except UnknownConnector:
            return True

    def open_settings(self) -> dict[str, object]:
        """The connector's settings with credentials in clear: for ingest, which checks signatures, and nobody else."""
        return {**self.connector_settings, **credentials.open_all(self.workspace_id, self.pk, self.secrets)}

    def masked_settings(self) -> dict[str, object]:
        """The connector's settings as people may read them: of a credential only that it is set, and its end."""
        return {**self.connector_settings, **credentials.masked(self.secrets, self.secret_hints)}


class WriteKey(WorkspaceModel):
    """A credential that names a source. Of a server's key only the digest is kept; public keys can be shown again."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    is_public = models.BooleanField()
    value = models.CharField(max_length=128, null=True, blank=True, editable=False)  # noqa: DJ001 - null: only hashed
    digest = models.CharField(
        max_length=64, unique=True, editable=False, validators=[RegexValidator(r"^[0-9a-f]{64}$")]
    )
    prefix = models.CharField(max_length=16, blank=True, editable=False)
    last4 = models.CharField(max_length=4, blank=True, editable=False)
    rate_limit = models.PositiveIntegerField(
        null=True, blank=True, validators=[validators.at_least_one], help_text="Events per second."
    )
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="End of a rotation's overlap.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    unscoped: ClassVar[Manager[Self]] = WriteKeyQuerySet.as_manager()
    objects: ClassVar[WorkspaceManager[Self]] = WorkspaceManager.from_queryset(WriteKeyQuerySet)()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(is_public=True, value__isnull=False) | Q(is_public=False, value__isnull=True),
                name="write_key_clear_only_if_public",
            ),
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="write_key_digest_is_sha256"),
            models.CheckConstraint(condition=Q(rate_limit__gte=1), name="write_key_rate_limit_positive"),
        ]
        indexes = [models.Index(fields=["workspace", "source"], name="write_key_by_source")]

    def __str__(self) -> str:
        return f"{self.prefix}…{self.last4}"

    def is_live(self, at: datetime) -> bool:
        """Whether the key still opens its source at that time."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)
