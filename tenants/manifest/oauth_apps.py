"""An OAuth app of the file: its settings and public keys. A key that the file names no more stays until revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.lib import jws
from tenants import oauth, services
from tenants.errors import Invalid, TenantsError
from tenants.manifest.existing import Existing
from tenants.manifest.schema import OAuthAppSpec, PublicKeySpec
from tenants.models import OAuthApp, OAuthKey

if TYPE_CHECKING:
    from tenants.manifest.applying import Run


def apply_oauth_app(run: Run, spec: OAuthAppSpec, found: Existing) -> None:
    """Create the app or change what differs, and add public keys that it does not have."""
    path = f"{found.workspace.slug}/oauth_apps/{spec.slug}"
    app = found.oauth_apps.get(spec.slug)
    is_new = app is None
    if app is None:
        values = {"name": spec.slug, **spec.values}
        client_id = spec.client_id or ""
        app = services.create_oauth_app(found.workspace, spec.slug, client_id=client_id, actor=run.actor, **values)
        found.oauth_apps[spec.slug] = app
    is_changed = False if is_new else _update(run, spec, app)
    if spec.enabled is not None and spec.enabled != app.is_enabled:
        services.set_oauth_app_enabled(app, spec.enabled, actor=run.actor)
        is_changed = True
    known = found.oauth_keys[app.pk]
    for key in spec.keys:
        is_changed |= _add_missing(run, app, known, key)
    if is_new:
        run.report.created.append(path)
    else:
        run.report.note(path, is_changed=is_changed)


def _update(run: Run, spec: OAuthAppSpec, app: OAuthApp) -> bool:
    if spec.client_id is not None and spec.client_id != app.client_id:
        raise Invalid("client_id", f"The client id of an app cannot be changed; it is {app.client_id}.")
    if all(getattr(app, name) == value for name, value in spec.values.items()):
        return False
    services.update_oauth_app(app, actor=run.actor, **spec.values)
    return True


def _add_missing(run: Run, app: OAuthApp, known: dict[str, OAuthKey], spec: PublicKeySpec) -> bool:
    """Add a public key unless the app has it; tell whether it was added."""
    try:
        row = known.get(spec.kid)
        if row is None:
            services.add_oauth_key(app, spec.pem, spec.kid, actor=run.actor)
            return True
        if row.revoked_at is not None:
            spec.section.complain("kid", "this key was revoked")
        elif row.public_key != jws.canonical(oauth.require_key(spec.pem)):
            spec.section.complain("pem", "the app has another key of this id; give the new one an id of its own")
    except TenantsError as error:
        spec.section.complain("pem", str(error))
    return False
