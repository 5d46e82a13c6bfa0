"""OAuth apps, their public keys and their tokens: to look at, to switch off, to revoke."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from hub.adminsite.acts import Act, Refused
from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.site import site
from tenants import services
from tenants.admin.acting import actor_of, note_reason
from tenants.auditing import Actor
from tenants.errors import TenantsError
from tenants.models import OAuthApp, OAuthKey, OAuthToken, Source


def act(change: Callable[..., object], noted: str, done: str) -> Callable[[HttpRequest, Sequence[Any], str], str]:
    """An act that does the same to each row, all or none, and notes why."""

    @transaction.atomic
    def run(request: HttpRequest, rows: Sequence[Model], reason: str) -> str:
        actor: Actor = actor_of(request)
        for row in rows:
            try:
                change(row, actor=actor)
            except TenantsError as error:
                raise Refused(f"{row}: {error}") from error
            note_reason(request, noted, row, reason)
        return f"{len(rows)} {done}."

    return run


@admin.register(OAuthApp, site=site)
class OAuthAppAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "workspace", "client_id", "token_days", "is_enabled", "created_at", "deleted_at")
    list_select_related = ("workspace",)
    list_filter = ("is_enabled", ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("slug__exact", "client_id__exact", "workspace__slug__exact")
    search_help_text = "Exact slug or client id of the app, or exact slug of its workspace."
    ordering = ("workspace__slug", "slug")
    fields = (
        *("workspace", "slug", "name", "client_id", "token_days", "scopes", "is_enabled", "live_keys", "sources"),
        *("created_at", "deleted_at"),
    )
    acts = (
        Act(
            "enable",
            "Switch on",
            "tenants.change_oauthapp",
            "The app gets tokens again, and those it has open its sources again.",
            act(lambda app, actor: services.set_oauth_app_enabled(app, True, actor=actor), "oauth_app.switched",
                "apps switched on"),
            limit=100,
        ),
        Act(
            "disable",
            "Switch off",
            "tenants.change_oauthapp",
            "Within seconds no token of the app opens anything; what it sends to sources that require one is refused.",
            act(lambda app, actor: services.set_oauth_app_enabled(app, False, actor=actor), "oauth_app.switched",
                "apps switched off"),
            limit=100,
        ),
        Act(
            "delete",
            "Delete",
            "tenants.delete_oauthapp",
            "The app and its tokens open nothing any more. Sources must be disconnected first. This cannot be undone.",
            act(services.delete_oauth_app, "oauth_app.deleted", "apps deleted"),
            limit=10,
        ),
    )  # fmt: skip

    def describe(self, row: OAuthApp) -> str:
        return f"{row.slug} (workspace {row.workspace.slug})"

    def links(self, row: OAuthApp) -> Sequence[tuple[str, str]]:
        return [
            ("Add a public key", reverse("admin:oauth_new_key", args=[row.pk])),
            ("Revoke a token that was found", reverse("admin:oauth_revoke_token", args=[row.pk])),
            ("Its tokens", f"{reverse('admin:tenants_oauthtoken_changelist')}?q={row.slug}"),
        ]

    @admin.display(description="live public keys")
    def live_keys(self, row: OAuthApp) -> str:
        found = OAuthKey.objects.for_workspace(row.workspace_id).filter(app=row, revoked_at=None)
        return ", ".join(f"{key.kid} ({key.algorithm})" for key in found.order_by("created_at")) or "none"

    @admin.display(description="sources")
    def sources(self, row: OAuthApp) -> str:
        found = Source.objects.for_workspace(row.workspace_id).filter(oauth_app=row, deleted_at=None).order_by("slug")
        words = {True: "required", False: "not required"}
        return ", ".join(f"{source.slug} ({words[source.oauth_required]})" for source in found) or "none"


@admin.register(OAuthKey, site=site)
class OAuthKeyAdmin(ReadOnlyAdmin):
    list_display = ("kid", "app", "workspace", "algorithm", "created_at", "revoked_at")
    list_select_related = ("app", "workspace")
    list_filter = ("algorithm", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("kid__exact", "app__slug__exact", "workspace__slug__exact")
    search_help_text = "Exact key id, or exact slug of the app or of its workspace."
    ordering = ("-pk",)
    fields = ("workspace", "app", "kid", "algorithm", "public_key", "created_at", "revoked_at")
    acts = (
        Act(
            "revoke",
            "Revoke",
            "tenants.change_oauthkey",
            "The key signs for no more tokens, and every token that was given for its signature ends within seconds. "
            "This cannot be undone.",
            act(services.revoke_oauth_key, "oauth_app.key_revoked", "keys revoked"),
            limit=100,
        ),
    )

    def describe(self, row: OAuthKey) -> str:
        return f"{row.kid} of {row.app.slug}"


@admin.register(OAuthToken, site=site)
class OAuthTokenAdmin(ReadOnlyAdmin):
    list_display = ("shown", "app", "workspace", "key", "scope", "created_at", "expires_at", "revoked_at")
    list_select_related = ("app", "workspace", "key")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("app__slug__exact", "workspace__slug__exact", "last4__exact")
    search_help_text = "Exact slug of the app or of its workspace, or the last four characters of the token."
    ordering = ("-pk",)
    fields = ("workspace", "app", "key", "shown", "scope", "created_at", "expires_at", "revoked_at")
    acts = (
        Act(
            "revoke",
            "Revoke",
            "tenants.change_oauthtoken",
            "Whoever still sends with this token is refused within seconds. Its app may get another.",
            act(services.revoke_oauth_token, "oauth_app.token_revoked", "tokens revoked"),
        ),
    )

    def describe(self, row: OAuthToken) -> str:
        return f"{row} of {row.app.slug}"

    @admin.display(description="token", ordering="last4")
    def shown(self, row: OAuthToken) -> str:
        return str(row)
