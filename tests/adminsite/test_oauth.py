"""OAuth in the admin: apps and keys are added on pages of their own, everything says why and is in the trail."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tenants import oauth, services
from tenants.models import AuditEntry, OAuthApp, OAuthKey, OAuthToken, Source, Workspace
from tests import factories
from tests.adminsite import staff
from tests.factories import TESTER
from tests.ingest import signing

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(acme: Workspace) -> OAuthApp:
    return factories.make_oauth_app(acme, "backend")


@pytest.fixture
def token(app: OAuthApp) -> str:
    key = services.add_oauth_key(app, signing.public_pem(signing.rsa_key()), "first", actor=TESTER)
    signer = oauth.find_signer(app.client_id, key.kid)
    assert signer is not None
    given = services.give_token(signer, "jti", "tracking_api:write")
    assert isinstance(given, services.GivenToken)
    return given.plain


def reasons() -> list[tuple[str, str]]:
    entries = AuditEntry.unscoped.exclude(after=None).order_by("at", "pk")
    return [(entry.action, entry.after["reason"]) for entry in entries if "reason" in entry.after]


def act(client: Client, model: str, name: str, pk: Any, **more: str) -> Any:
    data = {"action": name, "_selected_action": [pk], "confirmed": "1", "reason": "because", **more}
    return client.post(reverse(f"admin:tenants_{model}_changelist"), data, follow=True)


def test_a_new_app_comes_with_its_first_key_and_a_reason(acme: Workspace) -> None:
    client = staff.signed_in()
    page = reverse("admin:oauth_new_app")
    assert client.get(page).status_code == 200
    data = {
        "workspace": "acme", "slug": "backend", "name": "Backend", "token_days": "7", "kid": "first",
        "public_key": signing.public_pem(signing.rsa_key()), "reason": "new shop",
    }  # fmt: skip
    response = client.post(page, data, follow=True)
    assert response.status_code == 200
    app = OAuthApp.unscoped.get()
    assert (app.slug, app.token_days) == ("backend", 7)
    assert app.client_id in response.content.decode()
    assert OAuthKey.unscoped.get(app=app).kid == "first"
    assert ("oauth_app.created", "new shop") in reasons()


def test_what_a_service_refuses_is_shown_at_its_field_and_nothing_is_made(acme: Workspace) -> None:
    data = {
        "workspace": "acme", "slug": "Bad Slug", "name": "x", "token_days": "1",
        "public_key": signing.private_pem(signing.rsa_key()), "reason": "x",
    }  # fmt: skip
    client = staff.signed_in()
    assert client.post(reverse("admin:oauth_new_app"), data).status_code == 422
    response = client.post(reverse("admin:oauth_new_app"), {**data, "slug": "good"})
    assert (response.status_code, "This is a private key." in response.content.decode()) == (422, True)
    assert not OAuthApp.unscoped.exists()


def test_a_key_is_added_and_a_third_one_refused(app: OAuthApp) -> None:
    client = staff.signed_in()
    page = reverse("admin:oauth_new_key", args=[app.pk])
    for number, status in ((0, 302), (1, 302), (2, 422)):
        data = {"public_key": signing.public_pem(signing.rsa_key(number)), "reason": "rotation"}
        assert client.post(page, data).status_code == status
    assert OAuthKey.unscoped.count() == 2


def test_a_source_is_connected_and_then_guarded(app: OAuthApp, acme: Workspace, globex: Workspace) -> None:
    source = factories.make_source(acme, "api")
    foreign = factories.make_oauth_app(globex)
    client = staff.signed_in("Operator")
    page = reverse("admin:oauth_source", args=[source.pk])
    assert foreign.slug not in client.get(page).content.decode()
    assert client.post(page, {"oauth_app": foreign.pk, "reason": "x"}).status_code == 422
    assert client.post(page, {"oauth_required": "on", "reason": "x"}).status_code == 422
    assert client.post(page, {"oauth_app": app.pk, "oauth_required": "on", "reason": "go"}).status_code == 302
    source = Source.unscoped.get()
    assert (source.oauth_app, source.oauth_required) == (app, True)
    root = staff.signed_in()
    assert act(root, "oauthapp", "delete", app.pk).status_code == 200
    app.refresh_from_db()
    assert app.deleted_at is None
    client.post(page, {"oauth_app": "", "reason": "off"})
    act(root, "oauthapp", "delete", app.pk)
    app.refresh_from_db()
    assert app.deleted_at is not None


def test_keys_tokens_and_apps_are_ended_by_acts(app: OAuthApp, token: str) -> None:
    client = staff.signed_in("Operator")
    act(client, "oauthtoken", "revoke", OAuthToken.unscoped.get().pk)
    assert OAuthToken.unscoped.get().revoked_at is not None
    act(client, "oauthkey", "revoke", OAuthKey.unscoped.get().pk)
    assert OAuthKey.unscoped.get().revoked_at is not None
    act(client, "oauthapp", "disable", app.pk)
    app.refresh_from_db()
    assert not app.is_enabled
    assert [action for action, _ in reasons()] == [
        "oauth_app.token_revoked", "oauth_app.key_revoked", "oauth_app.switched"
    ]  # fmt: skip


def test_a_token_that_was_found_is_revoked_by_pasting_it_and_is_written_nowhere(app: OAuthApp, token: str) -> None:
    client = staff.signed_in("Operator")
    page = reverse("admin:oauth_revoke_token", args=[app.pk])
    wrong = client.post(page, {"token": token + "x", "reason": "leak"})
    assert wrong.status_code == 422
    assert token not in wrong.content.decode()
    assert client.post(page, {"token": f" {token}\n", "reason": "leak"}).status_code == 302
    assert OAuthToken.unscoped.get().revoked_at is not None
    assert token not in str(list(AuditEntry.unscoped.values()))


@pytest.mark.parametrize("page", ["oauth_new_app", "oauth_new_key"])
@pytest.mark.parametrize("group", ["Auditor", "Support", "Operator"])
def test_only_superusers_let_somebody_in(app: OAuthApp, page: str, group: str) -> None:
    arguments = [app.pk] if page == "oauth_new_key" else []
    assert staff.signed_in(group).post(reverse(f"admin:{page}", args=arguments), {}).status_code == 403


@pytest.mark.parametrize("page", ["oauth_source", "oauth_revoke_token"])
def test_who_only_looks_changes_nothing(app: OAuthApp, acme: Workspace, page: str) -> None:
    row = app if page == "oauth_revoke_token" else factories.make_source(acme)
    assert staff.signed_in("Auditor").get(reverse(f"admin:{page}", args=[row.pk])).status_code == 403


def test_a_page_of_nothing_is_404(app: OAuthApp) -> None:
    assert staff.signed_in().get(reverse("admin:oauth_source", args=[app.pk])).status_code == 404
