"""The key ring in use: rotation moves every credential, and nothing starts while a needed key is missing."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from hub.lib.crypto import Tampered, UnknownKey, new_key
from tenants import checks
from tenants.models import AuditEntry, Destination, Workspace
from tests.factories import make_destination

SECOND = new_key("second")


def ids_in_use() -> dict[str, int]:
    return checks.key_ids_in_use()


def test_rotation_moves_every_credential_to_the_first_key(acme: Workspace, settings, capsys) -> None:
    opened = [make_destination(acme).open_settings() for _ in range(5)]
    settings.SECRETS_KEYS = f"{SECOND},{settings.SECRETS_KEYS}"
    call_command("rotate_secrets", "--batch", "2", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told == {"rotated": 5, "in_use": {"second": 5}, "unused": ["test"]}
    settings.SECRETS_KEYS = SECOND
    assert [one.open_settings() for one in Destination.unscoped.order_by("id")] == opened
    assert AuditEntry.unscoped.filter(action="destination.secrets_reencrypted").count() == 5


def test_a_second_rotation_finds_nothing(acme: Workspace, capsys) -> None:
    make_destination(acme)
    call_command("rotate_secrets", "--json")
    assert json.loads(capsys.readouterr().out)["rotated"] == 0


def test_nothing_starts_without_the_keys_that_rows_need(acme: Workspace, settings) -> None:
    destination = make_destination(acme)
    assert checks.check_stored_key_ids(databases=["default"]) == []
    settings.SECRETS_KEYS = SECOND
    found = checks.check_stored_key_ids(databases=["default"])
    assert [error.id for error in found] == ["tenants.E002"]
    assert "test (1)" in found[0].msg
    with pytest.raises(UnknownKey):
        destination.open_settings()


def test_nothing_starts_with_another_key_of_the_same_id(acme: Workspace, settings) -> None:
    destination = make_destination(acme)
    settings.SECRETS_KEYS = new_key("test")
    found = checks.check_stored_key_ids(databases=["default"])
    assert [error.id for error in found] == ["tenants.E003"]
    assert "test" in found[0].msg
    with pytest.raises(Tampered):
        destination.open_settings()


def test_one_credential_that_cannot_be_opened_stops_nothing_else(acme: Workspace) -> None:
    damaged = make_destination(acme)
    make_destination(acme)
    field, text = next(iter(damaged.secrets.items()))
    Destination.unscoped.filter(pk=damaged.pk).update(secrets={**damaged.secrets, field: text[:-8] + "AAAAAAA="})
    assert checks.check_stored_key_ids(databases=["default"]) == []


@pytest.mark.parametrize("ring", ["", "k1:short", "no-colon"])
def test_nothing_starts_without_a_ring_that_can_be_read(settings, ring: str) -> None:
    settings.SECRETS_KEYS = ring
    assert [error.id for error in checks.check_key_ring()] == ["tenants.E001"]
