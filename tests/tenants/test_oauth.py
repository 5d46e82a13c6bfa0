"""OAuth apps in the control plane: their rules, their trail, and what files say of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.db import IntegrityError, transaction

from tenants import keys, oauth, services
from tenants.errors import Gone, InUse, Invalid, Taken, TooManyKeys, WrongWorkspace
from tenants.manifest.applying import apply
from tenants.manifest.errors import ManifestError
from tenants.manifest.exporting import export
from tenants.models import AuditEntry, OAuthApp, OAuthKey, OAuthToken, Source, Workspace
from tests.factories import TESTER, make_oauth_app, make_source, make_source_and_key, make_workspace
from tests.ingest import signing

PEM = signing.public_pem(signing.rsa_key())
OTHER_PEM = signing.public_pem(signing.rsa_key(1))


def file(pem: str = PEM, **app: Any) -> str:
    """A workspace with an app and a source that requires its tokens."""
    described = {"slug": "backend", "token_days": 7, "public_keys": [{"kid": "first", "pem": pem}], **app}
    source = {"slug": "api", "kind": "server", "oauth_app": "backend", "oauth_required": True}
    return json.dumps({"workspaces": [{"slug": "acme", "oauth_apps": [described], "sources": [source]}]})


def run(text: str) -> Any:
    return apply(text, environment={}, actor=TESTER)


def complaints(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        run(text)
    return str(caught.value)


def actions() -> list[str]:
    found = AuditEntry.unscoped.filter(action__startswith="oauth_app.").order_by("at", "pk")
    return list(found.values_list("action", flat=True))


def test_an_app_has_a_client_id_that_nobody_else_has(acme: Workspace, globex: Workspace) -> None:
    app = make_oauth_app(acme, client_id="brought-client-id")
    assert app.client_id == "brought-client-id"
    assert len(make_oauth_app(acme).client_id) == oauth.ID_LENGTH
    with pytest.raises(Taken) as caught:
        make_oauth_app(globex, client_id="brought-client-id")
    assert str(caught.value) == "This client id cannot be used; choose another."


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"token_days": 5}, "token_days"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["functions:write"]}, "scopes"),
        ({"client_id": "a b c d e f g h"}, "client_id"),
        ({"slug": "Not A Slug"}, "slug"),
    ],
)
def test_an_app_that_cannot_be_meant_is_refused(acme: Workspace, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        make_oauth_app(acme, **{"slug": "backend", **changes})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("nothing", "no public key in PEM form"),
        ("schlüssel", "no public key in PEM form"),
        (signing.private_pem(signing.rsa_key()), "private key"),
        (signing.public_pem(signing.rsa_key(2, 1024)), "2,048"),
        (signing.public_pem(signing.ec_key(signing.ec.SECP384R1)), "P-256"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_the_reason(acme: Workspace, pem: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        services.add_oauth_key(make_oauth_app(acme), pem, actor=TESTER)
    assert not OAuthKey.unscoped.exists()


def test_an_app_has_at_most_two_live_keys_and_a_key_id_is_used_once(acme: Workspace) -> None:
    app = make_oauth_app(acme)
    first = services.add_oauth_key(app, PEM, "first", actor=TESTER)
    services.add_oauth_key(app, OTHER_PEM, actor=TESTER)
    with pytest.raises(TooManyKeys):
        services.add_oauth_key(app, PEM, actor=TESTER)
    services.revoke_oauth_key(first, actor=TESTER)
    with pytest.raises(Gone):
        services.revoke_oauth_key(first, actor=TESTER)
    with pytest.raises(Taken):
        services.add_oauth_key(app, PEM, "first", actor=TESTER)
    services.add_oauth_key(app, PEM, "third", actor=TESTER)


def test_a_source_is_connected_to_an_app_of_its_own_workspace_only(acme: Workspace, globex: Workspace) -> None:
    source = make_source(acme)
    with pytest.raises(WrongWorkspace):
        services.set_source_oauth(source, make_oauth_app(globex), is_required=True, actor=TESTER)
    with pytest.raises(IntegrityError), transaction.atomic():
        Source.unscoped.filter(pk=source.pk).update(oauth_app=make_oauth_app(globex))


@pytest.mark.parametrize("kind", ["website", "mobile"])
def test_what_cannot_keep_a_private_key_needs_none(acme: Workspace, kind: str) -> None:
    with pytest.raises(Invalid, match="servers"):
        services.set_source_oauth(make_source(acme, kind=kind), make_oauth_app(acme), is_required=False, actor=TESTER)


def test_tokens_are_required_of_a_connected_app_only(acme: Workspace) -> None:
    source, key = make_source_and_key(acme)
    with pytest.raises(Invalid):
        services.set_source_oauth(source, None, is_required=True, actor=TESTER)
    app = make_oauth_app(acme)
    for is_required in (False, True):
        services.set_source_oauth(source, app, is_required=is_required, actor=TESTER)
        found = keys.find_source(key)
        assert found is not None and found.token_app == (app.pk if is_required else None)


def test_an_app_cannot_go_while_a_source_is_connected(acme: Workspace) -> None:
    source, app = make_source(acme, "api"), make_oauth_app(acme)
    services.set_source_oauth(source, app, is_required=False, actor=TESTER)
    with pytest.raises(InUse, match="api"):
        services.delete_oauth_app(app, actor=TESTER)
    services.set_source_oauth(source, None, is_required=False, actor=TESTER)
    services.delete_oauth_app(app, actor=TESTER)
    with pytest.raises(Gone):
        services.set_source_oauth(source, app, is_required=True, actor=TESTER)


def test_every_change_is_in_the_trail_and_no_token_is(acme: Workspace) -> None:
    app = make_oauth_app(acme)
    key = services.add_oauth_key(app, PEM, actor=TESTER)
    signer = oauth.find_signer(app.client_id, key.kid)
    assert signer is not None
    given = services.give_token(signer, "jti", "tracking_api:write")
    assert isinstance(given, services.GivenToken)
    services.revoke_pasted_token(app, given.plain, actor=TESTER)
    services.update_oauth_app(app, token_days=30, actor=TESTER)
    services.set_oauth_app_enabled(app, False, actor=TESTER)
    services.revoke_oauth_key(key, actor=TESTER)
    services.delete_oauth_app(app, actor=TESTER)
    assert actions() == [
        f"oauth_app.{verb}"
        for verb in ("created", "key_added", "token_revoked", "updated", "disabled", "key_revoked", "deleted")
    ]
    assert given.plain not in str(list(AuditEntry.unscoped.values()))


def test_a_token_of_another_app_is_not_revoked_by_pasting_it(acme: Workspace, globex: Workspace) -> None:
    app = make_oauth_app(globex)
    key = services.add_oauth_key(app, PEM, actor=TESTER)
    signer = oauth.find_signer(app.client_id, key.kid)
    assert signer is not None
    given = services.give_token(signer, "jti", "tracking_api:write")
    assert isinstance(given, services.GivenToken)
    with pytest.raises(Gone):
        services.revoke_pasted_token(make_oauth_app(acme), given.plain, actor=TESTER)
    assert OAuthToken.unscoped.get().revoked_at is None


def test_a_file_makes_an_app_and_guards_a_source_and_a_second_run_changes_nothing(db: None) -> None:
    assert run(file()).created == ["acme", "acme/oauth_apps/backend", "acme/sources/api"]
    app, source = OAuthApp.unscoped.get(), Source.unscoped.get()
    assert (app.token_days, source.oauth_app, source.oauth_required) == (7, app, True)
    before = AuditEntry.unscoped.count()
    report = run(file())
    assert (report.created, report.changed) == ([], [])
    assert AuditEntry.unscoped.count() == before


def test_a_file_changes_what_differs_and_adds_keys(db: None) -> None:
    run(file())
    more = [{"kid": "first", "pem": PEM}, {"kid": "second", "pem": OTHER_PEM}]
    assert run(file(token_days=30, enabled=False, public_keys=more)).changed == ["acme/oauth_apps/backend"]
    app = OAuthApp.unscoped.get()
    assert (app.token_days, app.is_enabled, OAuthKey.unscoped.count()) == (30, False, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token_days": 4}, "this must be one of 1, 2, 3, 7, 14, 21, 30"),
        ({"scopes": ["everything"]}, "scopes must list"),
        ({"client_id": "short"}, "8 to 64"),
        ({"public_keys": [{"kid": "first"}]}, "pem is missing"),
        ({"public_keys": [{"kid": "first", "pem": "x"}]}, "no public key in PEM form"),
        ({"public_keys": [{"kid": "a", "pem": PEM}, {"kid": "a", "pem": PEM}]}, "stands here twice"),
        ({"secret": "x"}, "there is no key secret"),
        ({"slug": "other"}, "There is no OAuth app backend"),
    ],
)
def test_what_is_wrong_with_an_app_is_told_by_line(db: None, changes: dict[str, Any], words: str) -> None:
    assert words in complaints(file(**changes))
    assert not Workspace.objects.exists()


def test_a_key_is_not_replaced_under_its_id_nor_a_revoked_one_brought_back(db: None) -> None:
    run(file())
    assert "id of its own" in complaints(file(OTHER_PEM))
    services.revoke_oauth_key(OAuthKey.unscoped.get(), actor=TESTER)
    assert "revoked" in complaints(file())


@pytest.mark.django_db(transaction=True)
def test_an_export_is_applied_elsewhere_and_its_clients_go_on() -> None:
    run(file(client_id="client-of-acme"))
    token_row = services.give_token(oauth.find_signer("client-of-acme", "first"), "jti", "x")  # type: ignore[arg-type]
    text = export(Workspace.objects.get())
    assert isinstance(token_row, services.GivenToken)
    assert token_row.plain not in text and oauth.digest(token_row.plain) not in text
    (workspace,) = yaml.safe_load(text)["workspaces"]
    assert workspace["oauth_apps"][0]["public_keys"] == [{"kid": "first", "pem": PEM}]
    assert workspace["sources"][0]["oauth_required"] is True
    call_command("flush", interactive=False, verbosity=0)
    run(text)
    assert oauth.find_signer("client-of-acme", "first") is not None
    assert Source.unscoped.get().oauth_required


def test_a_workspace_without_apps_is_exported_as_before(db: None) -> None:
    make_source(make_workspace("plain"))
    text = export(Workspace.objects.get())
    assert "oauth" not in text
