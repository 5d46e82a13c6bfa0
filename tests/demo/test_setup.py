from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command

from hub.demo import setup
from hub.demo.setup import DemoAccess
from tenants import services
from tenants.keys import find_source
from tenants.models import AuditEntry, Connection, Destination, Member, Source, User, Workspace
from tests.factories import TESTER

pytestmark = pytest.mark.django_db


def stored_text() -> str:
    models = (Workspace, Member, Source, Destination, User, AuditEntry)
    return json.dumps([list(model._base_manager.values()) for model in models], default=str)


def test_everything_is_made_and_connected() -> None:
    access = setup.set_up()
    source = find_source(access.write_key)
    assert source is not None
    assert source.is_public_key
    assert source.workspace_slug == "demo"
    connection = Connection.unscoped.get()
    assert connection.is_enabled
    assert connection.destination.connector == "receiver"
    assert connection.destination.is_enabled
    assert access.receiver_url.endswith(f"{connection.destination.open_settings()['token']}/")


def test_the_admin_can_sign_in_and_owns_the_workspace() -> None:
    access = setup.set_up()
    admin = User.objects.get(email=access.admin_email)
    assert admin.check_password(access.admin_password)
    assert admin.is_superuser
    assert admin.is_staff
    assert Member.unscoped.get(user=admin).role == "owner"


def test_a_second_run_finds_everything_and_sets_a_new_password() -> None:
    first, second = setup.set_up(), setup.set_up()
    assert (second.workspace, second.write_key, second.receiver_url) == (
        first.workspace,
        first.write_key,
        first.receiver_url,
    )
    assert second.admin_password != first.admin_password
    assert User.objects.get().check_password(second.admin_password)
    rows = (Workspace.objects, Source.unscoped, Destination.unscoped, Connection.unscoped, Member.unscoped)
    assert [manager.count() for manager in rows] == [1, 1, 1, 1, 1]


def test_what_was_switched_off_is_switched_on_again() -> None:
    setup.set_up()
    destination = Destination.unscoped.get()
    services.set_destination_enabled(destination, False, actor=TESTER)
    services.disconnect(Source.unscoped.get(), destination, actor=TESTER)
    setup.set_up()
    destination.refresh_from_db()
    assert destination.is_enabled
    assert Connection.unscoped.get().is_enabled


def test_no_password_is_stored_in_clear() -> None:
    access = setup.set_up()
    assert access.admin_password not in stored_text()


def test_every_change_is_audited() -> None:
    setup.set_up()
    assert {entry.actor_label for entry in AuditEntry.unscoped.all()} == {"demo"}
    assert AuditEntry.unscoped.filter(action="user.created").count() == 1


def test_the_shop_finds_its_key_only_where_there_is_a_demonstration() -> None:
    assert setup.public_write_key() is None
    assert setup.set_up().write_key == setup.public_write_key()


def test_the_command_prints_one_json_line() -> None:
    out = io.StringIO()
    call_command("demo_setup", json=True, stdout=out)
    access = DemoAccess(**json.loads(out.getvalue()))
    assert out.getvalue().count("\n") == 1
    assert find_source(access.write_key) is not None


def test_the_command_says_to_people_how_to_get_in() -> None:
    out = io.StringIO()
    call_command("demo_setup", stdout=out)
    assert setup.ADMIN_EMAIL in out.getvalue()
