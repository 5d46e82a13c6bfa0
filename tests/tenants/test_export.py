"""`export`: what it writes, `apply` reads; secrets stay behind."""

from __future__ import annotations

import json

import pytest
import yaml
from django.core.management import CommandError, call_command

from tenants import keys, services
from tenants.manifest.applying import apply
from tenants.manifest.exporting import export, variable
from tenants.models import AuditEntry, Destination, Workspace
from tests.factories import (
    TESTER,
    make_destination,
    make_mapping,
    make_member,
    make_source,
    make_source_and_key,
    make_workspace,
)

SECRETS = {
    "ACME_HOOK_SIGNING_SECRET": "whsec_" + "B" * 32,
    "ACME_HOOK_SECRET_HEADERS": '{"X-Key": "very-secret-value"}',
}


@pytest.fixture
def full(db: None) -> tuple[str, str]:
    """A workspace with something of everything, exported; and its server's key."""
    acme = make_workspace("acme", rate_limit=500, dedupe_hours=48)
    make_member(acme, "ada@acme.test", role="owner", can_see_personal_data=True)
    make_member(acme, "vic@acme.test", role="viewer", scope={"sources": ["web"]})
    web = make_source(acme, "web", kind="website", settings={"allowed_origins": ["https://a.test"]})
    api, key = make_source_and_key(acme, "api", labels={"env": "prod"}, rate_limit=10)
    services.set_source_enabled(api, False, actor=TESTER)
    hook = make_destination(
        acme,
        "hook",
        settings={"secret_headers": {"X-Key": "very-secret-value"}, "signing_secret": "whsec_" + "B" * 32},
        sources=[web],
        rate_limit={"amount": 5, "per_seconds": 0.5},
        retry_hours=1.5,
    )
    services.set_mapping_enabled(make_mapping(hook, "Orders", batch={"max_items": 10}), False, actor=TESTER)
    services.connect(api, hook, actor=TESTER)
    services.disconnect(api, hook, actor=TESTER)
    services.delete_destination(make_destination(acme, "gone"), actor=TESTER)
    return export(acme), key


def empty_everything() -> None:
    call_command("flush", interactive=False, verbosity=0)


def test_an_export_holds_no_secret(full: tuple[str, str]) -> None:
    text, key = full
    assert "very-secret-value" not in text
    assert "whsec_" not in text
    assert key not in text
    assert yaml.safe_load(text)["workspaces"][0]["destinations"][0]["settings"]["signing_secret"] == {
        "env": "ACME_HOOK_SIGNING_SECRET"
    }


def test_applying_an_export_to_what_it_came_from_changes_nothing(full: tuple[str, str]) -> None:
    before = AuditEntry.unscoped.count()
    report = apply(full[0], environment=SECRETS, actor=TESTER)
    assert (report.created, report.changed) == ([], [])
    assert AuditEntry.unscoped.count() == before


@pytest.mark.django_db(transaction=True)
def test_an_export_makes_the_same_workspace_on_an_empty_database(full: tuple[str, str]) -> None:
    text, key = full
    empty_everything()
    report = apply(text, environment=SECRETS, actor=TESTER)
    assert len(report.created) == 6
    assert (report.write_keys, report.secrets) == ({}, {})
    assert export(Workspace.objects.get()) == text
    assert keys.find_source(key)
    assert Destination.unscoped.get().open_settings()["secret_headers"] == {"X-Key": "very-secret-value"}


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("acme", "hook", "signing_secret"), "ACME_HOOK_SIGNING_SECRET"),
        (("my-shop", "e-mail", "api_key"), "MY_SHOP_E_MAIL_API_KEY"),
    ],
)
def test_a_variable_is_named_by_workspace_destination_and_setting(parts: tuple[str, ...], name: str) -> None:
    assert variable(*parts) == name


def test_the_command_prints_yaml_or_json(acme: Workspace, capsys) -> None:
    call_command("export", "acme")
    text = capsys.readouterr().out
    call_command("export", "acme", "--json")
    assert json.loads(capsys.readouterr().out) == yaml.safe_load(text)


def test_an_unknown_workspace_is_refused(db: None) -> None:
    with pytest.raises(CommandError):
        call_command("export", "nowhere")
