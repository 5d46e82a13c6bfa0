"""Migrations of a database that is in use: nobody waits long for them, and they come through in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from hub.lib import postgres
from hub.management.commands import migrate

pytestmark = pytest.mark.django_db(transaction=True)
TABLE = "SELECT to_regclass('demo_received') IS NOT NULL"


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A long transaction that has read the table which a migration is about to drop."""
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", (0.0, 0.0))
    with psycopg.connect(postgres.dsn()) as connection:
        connection.execute("SELECT count(*) FROM demo_received")
        yield connection
    call_command("migrate", "demo", verbosity=0)


def has_table() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
        return bool(cursor.fetchone()[0])


class Impatient(StringIO):
    """Lets the reader end when it has been told a third time that somebody waits for it."""

    def __init__(self, reader: psycopg.Connection[tuple[object, ...]]) -> None:
        super().__init__()
        self.told = 0
        self._reader = reader

    def write(self, text: str) -> int:
        self.told += "lets them pass" in text
        if self.told == 3:
            self._reader.rollback()
        return super().write(text)


def test_a_migration_that_gets_no_lock_is_tried_again_until_it_does(
    reader: psycopg.Connection[tuple[object, ...]],
) -> None:
    complaints = Impatient(reader)
    call_command("migrate", "demo", "zero", verbosity=0, stderr=complaints)
    assert (complaints.told, has_table()) == (3, False)


def test_a_lock_that_is_never_let_go_ends_with_advice_and_nothing_half_done(
    reader: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "TRIES", 2)
    with pytest.raises(CommandError, match="pg_stat_activity"):
        call_command("migrate", "demo", "zero", verbosity=0)
    assert has_table()
    reader.rollback()


def test_scripts_are_told_what_was_applied() -> None:
    call_command("migrate", "demo", "zero", verbosity=0)
    printed = StringIO()
    call_command("migrate", "demo", "--json", stdout=printed)
    assert json.loads(printed.getvalue()) == {"applied": ["demo.0001_received"]}
    again = StringIO()
    call_command("migrate", "--json", stdout=again)
    assert json.loads(again.getvalue()) == {"applied": []}


def test_other_statements_wait_as_long_as_before() -> None:
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
