"""The audit trail: every change leaves an entry, and an entry stays as it was written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from tenants import services
from tenants.errors import Invalid
from tenants.models import AuditEntry, Member, Workspace
from tenants.services import Actor
from tests.factories import TESTER, make_connection, make_destination, make_mapping, make_source, make_user

Change = Callable[[Workspace], object]
CHANGES: list[tuple[str, Change]] = [
    ("workspace.created", lambda acme: None),
    ("workspace.updated", lambda acme: services.update_workspace(acme, is_locked=True, actor=TESTER)),
    ("member.added", lambda acme: services.add_member(acme, make_user(), "viewer", actor=TESTER)),
    ("user.created", lambda acme: make_user()),
    ("user.password_set", lambda acme: services.set_password(make_user(), "correct horse", actor=TESTER)),
    ("source.created", make_source),
    ("source.updated", lambda acme: services.update_source(make_source(acme), name="New", actor=TESTER)),
    ("source.disabled", lambda acme: services.set_source_enabled(make_source(acme), False, actor=TESTER)),
    ("source.deleted", lambda acme: services.delete_source(make_source(acme), actor=TESTER)),
    ("source.write_key_added", make_source),
    (
        "source.write_key_rotated",
        lambda acme: services.rotate_write_key(make_source(acme), overlap=timedelta(hours=1), actor=TESTER),
    ),
    ("destination.created", make_destination),
    ("destination.updated", lambda acme: services.update_destination(make_destination(acme), name="N", actor=TESTER)),
    (
        "destination.disabled",
        lambda acme: services.set_destination_enabled(make_destination(acme), False, actor=TESTER),
    ),
    ("destination.deleted", lambda acme: services.delete_destination(make_destination(acme), actor=TESTER)),
    ("destination.paused", lambda acme: services.pause_destination(make_destination(acme), "asked", TESTER)),
    ("destination.stopped", lambda acme: services.stop_destination(make_destination(acme), "410")),
    ("connection.created", lambda acme: make_connection(make_source(acme), make_destination(acme))),
    ("mapping.created", lambda acme: make_mapping(make_destination(acme))),
    (
        "mapping.disabled",
        lambda acme: services.set_mapping_enabled(make_mapping(make_destination(acme)), False, actor=TESTER),
    ),
]


@pytest.mark.parametrize(("action", "change"), CHANGES, ids=[action for action, _ in CHANGES])
def test_every_change_leaves_an_entry(acme: Workspace, action: str, change: Change) -> None:
    change(acme)
    assert AuditEntry.unscoped.filter(action=action).exists()


def test_an_entry_says_who_from_where_and_what_differed(acme: Workspace, ada: Member) -> None:
    actor = Actor(user=ada.user, ip="192.0.2.7", request_id="r-1")
    services.update_workspace(acme, rate_limit=500, actor=actor)
    entry = AuditEntry.objects.for_workspace(acme).get(action="workspace.updated")
    assert (entry.actor, entry.actor_label, entry.ip, entry.request_id) == (
        ada.user,
        ada.user.email,
        "192.0.2.7",
        "r-1",
    )
    assert (entry.before, entry.after) == ({"rate_limit": None}, {"rate_limit": 500})
    assert (entry.object_type, entry.object_id, entry.object_label) == ("workspace", str(acme.pk), "acme")


def test_a_change_to_what_it_is_already_leaves_no_entry(acme: Workspace) -> None:
    services.update_workspace(acme, name=acme.name, actor=TESTER)
    assert not AuditEntry.objects.for_workspace(acme).filter(action="workspace.updated").exists()


def test_a_password_never_reaches_the_trail(acme: Workspace) -> None:
    user = make_user(password="hunter2hunter2")
    trail = str(list(AuditEntry.unscoped.values()))
    assert "hunter2" not in trail
    assert user.password not in trail


@pytest.mark.parametrize(
    "attempt",
    [
        lambda entries: entries.update(action="nothing.happened"),
        lambda entries: entries.delete(),
        lambda entries: entries.first().save(),
        lambda entries: entries.update(at="2020-01-01T00:00:00Z"),
    ],
)
def test_the_database_refuses_to_change_an_entry(acme: Workspace, attempt: Callable[[object], object]) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        attempt(AuditEntry.objects.for_workspace(acme))


def test_maintenance_may_remove_old_entries_in_its_own_transaction(acme: Workspace) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL app.audit_maintenance = 'on'")
        assert AuditEntry.objects.for_workspace(acme).delete()[0] == 1
        cursor.execute("SET LOCAL app.audit_maintenance = 'off'")


def test_what_is_refused_leaves_no_entry(acme: Workspace) -> None:
    user = make_user()
    before = AuditEntry.unscoped.count()
    with pytest.raises(Invalid):
        services.add_member(acme, user, "emperor", actor=TESTER)
    assert AuditEntry.unscoped.count() == before
