"""Sources and their write keys. Of a key its beginning and end are shown; a new one once.

A source that takes a vendor's calls is shown with its address, unless that is a secret, and with its connector's
settings, of whose credentials only the ends are seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_variables

from hub.adminsite.acts import Act, Refused
from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.site import site
from hub.adminsite.text import pretty
from tenants import services
from tenants.admin.acting import actor_of, note_reason
from tenants.errors import Gone, TenantsError
from tenants.inbound import address_of
from tenants.models import Source, WriteKey
from tenants.services.write_keys import live_keys


@transaction.atomic
def _set_enabled(request: HttpRequest, rows: Sequence[Source], reason: str, is_enabled: bool) -> str:
    for source in rows:
        try:
            services.set_source_enabled(source, is_enabled, actor=actor_of(request))
        except TenantsError as error:
            raise Refused(f"{source.slug}: {error}") from error
        note_reason(request, "source.switched", source, reason)
    return f"{len(rows)} sources switched {'on' if is_enabled else 'off'}."


@sensitive_variables()
def rotate(request: HttpRequest, rows: Sequence[Source], reason: str) -> HttpResponse:
    """Make a new key beside the old one, and show it in this answer only."""
    source = rows[0]
    try:
        with transaction.atomic():
            issued = services.rotate_write_key(source, actor=actor_of(request))
            note_reason(request, "source.write_key_rotated", issued.row, reason)
    except TenantsError as error:
        raise Refused(str(error)) from error
    context = {
        **site.each_context(request),
        "title": "New write key",
        "source": source,
        "key": issued.plain,
        "is_public": issued.row.is_public,
        "address": address_of(settings.PUBLIC_URL, str(issued.plain)) if source.connector else "",
    }
    return TemplateResponse(request, "admin/new_write_key.html", context)


@transaction.atomic
def end_overlap(request: HttpRequest, rows: Sequence[Source], reason: str) -> str:
    """Let replaced secrets count no more."""
    for source in rows:
        if not source.former_secrets:
            raise Refused(f"{source.slug}: no replaced secret counts any more.")
        services.end_secret_overlap(source, actor=actor_of(request))
        note_reason(request, "source.former_secrets_ended", source, reason)
    return f"The replaced secrets of {len(rows)} sources count no more."


@transaction.atomic
def revoke(request: HttpRequest, rows: Sequence[WriteKey], reason: str) -> str:
    """End keys at once."""
    for key in rows:
        try:
            services.revoke_write_key(key, actor=actor_of(request))
        except Gone as error:
            raise Refused(f"{key}: {error}") from error
        note_reason(request, "source.write_key_revoked", key, reason)
    return f"{len(rows)} write keys revoked."


@admin.register(Source, site=site)
class SourceAdmin(ReadOnlyAdmin):
    list_display = (
        *("slug", "name", "workspace", "kind", "connector", "is_enabled", "rate_limit"),
        *("created_at", "deleted_at"),
    )
    list_select_related = ("workspace",)
    list_filter = ("kind", "connector", "is_enabled", ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("slug__exact", "workspace__slug__exact")
    search_help_text = "Exact slug of the source or of its workspace."
    ordering = ("workspace__slug", "slug")
    fields = (
        *("workspace", "slug", "name", "kind", "is_enabled", "rate_limit", "oauth_app", "oauth_required"),
        *("connector", "addresses", "connector_settings_shown", "former_secrets_shown"),
        *("settings_shown", "labels_shown"),
        *("created_at", "deleted_at"),
    )
    acts = (
        Act(
            "enable",
            "Switch on",
            "tenants.change_source",
            "The source accepts events again.",
            lambda request, rows, reason: _set_enabled(request, rows, reason, True),
            limit=100,
        ),
        Act(
            "disable",
            "Switch off",
            "tenants.change_source",
            "The source refuses every event from now on; SDKs see an error and may give their events up.",
            lambda request, rows, reason: _set_enabled(request, rows, reason, False),
            limit=100,
        ),
        Act(
            "rotate_key",
            "Rotate write key",
            "tenants.add_writekey",
            "A new key is made and shown once, beside the present one, which stays until you revoke it.",
            rotate,
            limit=1,
        ),
        Act(
            "end_overlap",
            "End replaced secrets",
            "tenants.change_source",
            "Calls that the vendor signed with a secret that was replaced are refused from now on.",
            end_overlap,
            limit=100,
        ),
    )

    def describe(self, row: Source) -> str:
        return f"{row.slug} ({row.kind}, workspace {row.workspace.slug})"

    def links(self, row: Source) -> Sequence[tuple[str, str]]:
        may_have_tokens = not (row.has_public_keys or row.connector)
        return [("OAuth", reverse("admin:oauth_source", args=[row.pk]))] if may_have_tokens else []

    @admin.display(description="settings")
    def settings_shown(self, row: Source) -> SafeString:
        return pretty(row.settings)

    @admin.display(description="addresses")
    def addresses(self, row: Source) -> str:
        """Where the vendor calls. A secret address was shown when it was made."""
        if not row.connector:
            return "-"
        keys = live_keys(row)
        known = [address_of(settings.PUBLIC_URL, key.value) for key in keys if key.value]
        return "\n".join(known) or ", ".join(f"secret, ends with {key.last4}" for key in keys) or "none"

    @admin.display(description="connector settings")
    def connector_settings_shown(self, row: Source) -> SafeString:
        return pretty(row.masked_settings())

    @admin.display(description="replaced secrets that count until")
    def former_secrets_shown(self, row: Source) -> SafeString:
        return pretty({name: kept["until"] for name, kept in row.former_secrets.items()})

    @admin.display(description="labels")
    def labels_shown(self, row: Source) -> SafeString:
        return pretty(row.labels)


@admin.register(WriteKey, site=site)
class WriteKeyAdmin(ReadOnlyAdmin):
    list_display = ("shown", "source", "workspace", "is_public", "created_at", "expires_at", "revoked_at")
    list_select_related = ("source", "workspace")
    list_filter = ("is_public", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("source__slug__exact", "workspace__slug__exact")
    search_help_text = "Exact slug of the source or of its workspace."
    ordering = ("-pk",)
    fields = (
        *("workspace", "source", "shown", "is_public", "rate_limit"),
        *("created_at", "expires_at", "revoked_at"),
    )
    acts = (
        Act(
            "revoke",
            "Revoke",
            "tenants.change_writekey",
            "Whoever still sends with this key is refused within seconds. This cannot be undone.",
            revoke,
            limit=100,
        ),
    )

    def describe(self, row: WriteKey) -> str:
        return f"{row} of {row.source.slug}"

    @admin.display(description="key", ordering="prefix")
    def shown(self, row: WriteKey) -> str:
        return str(row)
