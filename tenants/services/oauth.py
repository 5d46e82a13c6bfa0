"""OAuth apps: what they are, the public keys they sign with, and which sources take their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from hub.lib import jws
from hub.lib.clock import now
from tenants import oauth
from tenants.auditing import Actor
from tenants.errors import Gone, InUse, Invalid, Taken, TooManyKeys
from tenants.models import OAuthApp, OAuthKey, Source, Workspace
from tenants.models.oauth import TokenLife, default_scopes
from tenants.scoping import require_same_workspace
from tenants.services import rows

MOST_LIVE_KEYS = 2
CHANGEABLE = frozenset({"name", "token_days", "scopes"})


@transaction.atomic
def create_oauth_app(
    workspace: Workspace,
    slug: str,
    name: str,
    *,
    actor: Actor,
    client_id: str = "",
    token_days: int = TokenLife.ONE_DAY,
    scopes: Sequence[str] | None = None,
) -> OAuthApp:
    """Make an app. Its client id may be brought, so that what is set up elsewhere need not change."""
    if OAuthApp.objects.for_workspace(workspace).filter(slug=slug, deleted_at=None).exists():
        raise Taken(f"There is an OAuth app {slug} already.")
    client_id = client_id or oauth.new_id()
    if OAuthApp.unscoped.filter(client_id=client_id).exists():
        # The same words wherever the id is, so that nobody learns of another workspace's apps.
        raise Taken("This client id cannot be used; choose another.")
    app = OAuthApp(
        workspace=workspace,
        slug=slug,
        name=name,
        client_id=client_id,
        token_days=token_days,
        scopes=default_scopes() if scopes is None else list(scopes),
    )
    rows.create(app, actor, "oauth_app.created", label=slug)
    return app


@transaction.atomic
def update_oauth_app(app: OAuthApp, *, actor: Actor, **changes: Any) -> OAuthApp:
    """Change name, scopes or how long new tokens are good; tokens that were given keep theirs."""
    rows.require_known(changes, CHANGEABLE)
    rows.lock(app)
    rows.change(app, changes, actor, "oauth_app.updated", label=app.slug)
    return app


@transaction.atomic
def set_oauth_app_enabled(app: OAuthApp, is_enabled: bool, *, actor: Actor) -> OAuthApp:
    """Switch an app on or off. Off, it gets no tokens, and those it has open nothing."""
    rows.lock(app)
    action = "oauth_app.enabled" if is_enabled else "oauth_app.disabled"
    rows.change(app, {"is_enabled": is_enabled}, actor, action, label=app.slug)
    return app


@transaction.atomic
def delete_oauth_app(app: OAuthApp, *, actor: Actor) -> None:
    """Delete an app that no source is connected to any more; its tokens open nothing."""
    rows.lock(app)
    connected = Source.objects.for_workspace(app.workspace_id).filter(oauth_app=app, deleted_at=None)
    if slugs := sorted(connected.values_list("slug", flat=True)):
        raise InUse(f"Sources are connected to it: {', '.join(slugs)}. Disconnect them first.")
    rows.change(app, {"deleted_at": now(), "is_enabled": False}, actor, "oauth_app.deleted", label=app.slug)


@transaction.atomic
def add_oauth_key(app: OAuthApp, pem: str, kid: str = "", *, actor: Actor) -> OAuthKey:
    """Give an app one more public key, under the id that its signatures name; an app has two at most."""
    rows.lock(app)
    key = oauth.require_key(pem)
    known = OAuthKey.objects.for_workspace(app.workspace_id).filter(app=app)
    kid = kid or oauth.new_id()
    if known.filter(kid=kid).exists():
        raise Taken(f"The app has had a key {kid} before; choose another key id.")
    if known.filter(revoked_at=None).count() >= MOST_LIVE_KEYS:
        raise TooManyKeys(f"An app has at most {MOST_LIVE_KEYS} live public keys; revoke one first.")
    row = OAuthKey(
        workspace_id=app.workspace_id,
        app=app,
        kid=kid,
        algorithm=jws.algorithm_of(key),
        public_key=jws.canonical(key),
    )
    rows.create(row, actor, "oauth_app.key_added", label=f"{app.slug}/{kid}")
    return row


@transaction.atomic
def revoke_oauth_key(key: OAuthKey, *, actor: Actor) -> OAuthKey:
    """End a key, and with it every token that was given for its signature."""
    rows.lock(key)
    if key.revoked_at is not None:
        raise Gone("The key was revoked before.")
    rows.change(key, {"revoked_at": now()}, actor, "oauth_app.key_revoked", label=f"{key.app.slug}/{key.kid}")
    return key


@transaction.atomic
def set_source_oauth(source: Source, app: OAuthApp | None, *, is_required: bool, actor: Actor) -> Source:
    """Connect a source to an app, or to none, and say whether a write key alone still opens it."""
    rows.lock(source)
    if app is not None:
        require_same_workspace(source.workspace_id, app)
        rows.lock(app)
        if source.has_public_keys or source.connector:
            raise Invalid("oauth_app", "Only servers of your own can keep a private key; vendors and browsers cannot.")
    if is_required and app is None:
        raise Invalid("oauth_required", "Connect an OAuth app before its tokens are required.")
    values = {"oauth_app": app, "oauth_required": is_required}
    rows.change(source, values, actor, "source.oauth_changed", label=source.slug)
    return source
