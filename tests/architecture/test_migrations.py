"""Migrations that a running installation survives: nothing rewrites a table or holds a lock for long.

The first migration of an app is exempt: it meets empty tables. Those after it are applied under load, while old
processes still run. Locks are waited for two seconds at most; `manage.py migrate` sees to that.
"""

from __future__ import annotations

import re

import pytest
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

OURS = ("hub.", "tenants.")
# A later release takes away what no code of the one before it names any more; such a migration says so of itself.
CONTRACTS = "contracts"
TAKES_AWAY = (
    operations.RemoveField,
    operations.RenameField,
    operations.DeleteModel,
    operations.RenameModel,
    operations.AlterModelTable,
)
LOCKS_FOR_LONG = re.compile(
    r"\bCREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)|\bDROP\s+INDEX\s+(?!CONCURRENTLY)|\bREINDEX\s+(?!.*CONCURRENTLY)"
    r"|\bVACUUM\s+FULL|\bCLUSTER\b|\bLOCK\s+TABLE|\bALTER\s+COLUMN\s+\S+\s+(SET\s+DATA\s+)?TYPE"
    r"|\bSET\s+NOT\s+NULL|\bADD\s+(CONSTRAINT\s+\S+\s+)?(CHECK|FOREIGN|UNIQUE|PRIMARY)(?!.*NOT\s+VALID)",
    re.IGNORECASE,
)


def problems(migration: migrations.Migration) -> list[str]:
    """What a migration does that a running installation would feel."""
    made = {each.name.lower() for each in migration.operations if isinstance(each, operations.CreateModel)}
    found = [
        complaint
        for each in migration.operations
        if getattr(each, "model_name", "").lower() not in made
        for complaint in complaints(each, migration)
    ]
    if migration.atomic and any(
        isinstance(each, AddIndexConcurrently | RemoveIndexConcurrently) for each in migration.operations
    ):
        found.append("an index is made concurrently outside a transaction: atomic = False")
    return found


def complaints(each: Operation, migration: migrations.Migration) -> list[str]:
    name = type(each).__name__
    if isinstance(each, TAKES_AWAY) and not getattr(migration, CONTRACTS, False):
        return [f"{name}: old processes still name it; say contracts = True once no release in use does"]
    if isinstance(each, operations.AddIndex) and not isinstance(each, AddIndexConcurrently):
        return [f"{name}: use AddIndexConcurrently"]
    if isinstance(each, operations.RemoveIndex) and not isinstance(each, RemoveIndexConcurrently):
        return [f"{name}: use RemoveIndexConcurrently"]
    if isinstance(each, operations.AddConstraint) and not isinstance(each, AddConstraintNotValid):
        return [f"{name}: use AddConstraintNotValid, and ValidateConstraint in the next migration"]
    if isinstance(each, operations.AlterField):
        return [f"{name}: rewrites or scans the table; add a field instead"]
    if isinstance(each, operations.AddField):
        return of_a_new_field(each.field)
    if isinstance(each, operations.RunPython) and migration.atomic:
        return [f"{name}: fill in batches of their own: atomic = False, at most 5,000 rows a transaction"]
    if isinstance(each, operations.RunSQL) and LOCKS_FOR_LONG.search(str(each.sql)):
        return [f"{name}: takes a lock for as long as it works"]
    return []


def of_a_new_field(field: models.Field[object, object]) -> list[str]:
    """Old processes insert rows without the new column, so the database must know what to put there."""
    found = []
    if not field.null and field.db_default is models.NOT_PROVIDED:
        found.append("AddField: old processes do not set it; give it db_default or null")
    if field.unique or (field.remote_field and field.db_constraint):
        found.append("AddField: its index or foreign key is made under a lock; add it in steps")
    return found


LATER = [
    migration
    for migration in MigrationLoader(None).disk_migrations.values()
    if type(migration).__module__.startswith(OURS) and not migration.initial
]


def test_every_app_has_its_first_migration_marked() -> None:
    own = [each for each in MigrationLoader(None).disk_migrations.values() if type(each).__module__.startswith(OURS)]
    assert {each.app_label for each in own} == {each.app_label for each in own if each.initial}


def test_later_migrations_can_be_applied_under_load() -> None:
    assert {str(each): problems(each) for each in LATER if problems(each)} == {}


def made_of(*steps: Operation, **marks: object) -> migrations.Migration:
    return type("Migration", (migrations.Migration,), {"operations": list(steps), **marks})("0002_later", "delivery")


INDEX = models.Index(fields=["a"], name="i")
CHECK = models.CheckConstraint(condition=models.Q(a__gt=0), name="c")


@pytest.mark.parametrize(
    "step",
    [
        operations.AddIndex("pipeline", INDEX),
        operations.RemoveIndex("pipeline", "i"),
        operations.AddConstraint("pipeline", CHECK),
        operations.AddField("pipeline", "a", models.IntegerField()),
        operations.AddField("pipeline", "a", models.IntegerField(default=0)),
        operations.AddField("pipeline", "a", models.IntegerField(null=True, unique=True)),
        operations.AddField("pipeline", "a", models.ForeignKey("tenants.User", models.CASCADE, null=True)),
        operations.AlterField("pipeline", "a", models.BigIntegerField()),
        operations.RemoveField("pipeline", "a"),
        operations.RenameField("pipeline", "a", "b"),
        operations.DeleteModel("pipeline"),
        operations.RunPython(operations.RunPython.noop),
        operations.RunSQL("CREATE INDEX i ON delivery_pipeline (a)"),
        operations.RunSQL("create unique index i on delivery_pipeline (a)"),
        operations.RunSQL("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)"),
        operations.RunSQL("ALTER TABLE t ALTER COLUMN a TYPE bigint"),
        operations.RunSQL("ALTER TABLE t ALTER a SET NOT NULL"),
        operations.RunSQL("LOCK TABLE event_log"),
    ],
    ids=lambda step: step.describe() or type(step).__name__,
)
def test_a_step_that_would_be_felt_is_found(step: Operation) -> None:
    assert len(problems(made_of(step))) == 1


@pytest.mark.parametrize(
    ("step", "marks"),
    [
        (AddIndexConcurrently("pipeline", INDEX), {"atomic": False}),
        (RemoveIndexConcurrently("pipeline", "i"), {"atomic": False}),
        (AddConstraintNotValid("pipeline", CHECK), {}),
        (ValidateConstraint("pipeline", "c"), {}),
        (operations.AddField("pipeline", "a", models.IntegerField(null=True)), {}),
        (operations.AddField("pipeline", "a", models.IntegerField(db_default=0)), {}),
        (operations.RemoveField("pipeline", "a"), {CONTRACTS: True}),
        (operations.RunPython(operations.RunPython.noop), {"atomic": False}),
        (operations.RunSQL("CREATE INDEX CONCURRENTLY i ON delivery_pipeline (a)"), {"atomic": False}),
        (operations.RunSQL("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"), {}),
        (operations.CreateModel("made", [("a", models.IntegerField())]), {}),
    ],
    ids=lambda value: value.describe() if isinstance(value, Operation) else "",
)
def test_a_step_that_nobody_feels_is_let_be(step: Operation, marks: dict[str, object]) -> None:
    assert problems(made_of(step, **marks)) == []


def test_an_index_on_a_table_that_the_same_migration_makes_needs_no_care() -> None:
    step = operations.CreateModel("made", [("a", models.IntegerField())])
    assert problems(made_of(step, operations.AddIndex("made", INDEX))) == []


def test_a_concurrent_index_inside_a_transaction_is_found() -> None:
    assert problems(made_of(AddIndexConcurrently("pipeline", INDEX))) != []
