"""Django's view of the log's tables, for the admin and for reading. Their shape is made by SQL in `sql/`.

The log is partitioned and written by one hand-made statement, so the models are unmanaged: they name columns and
nothing more. Positions are compared in `cursors.py` only.
"""

from __future__ import annotations

from typing import Any

from django.db import models


class XidField(models.BigIntegerField):  # type: ignore[type-arg]
    """A PostgreSQL `xid8` read as an integer. It is never compared in Python's queries."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        return "%s::text::xid8"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        return None if value is None else int(value)


class Event(models.Model):
    """One accepted message. Kept until retention; an erasure blanks it and leaves its place."""

    HAS_INTEGRATIONS, CLEANED, CLIENT_SIDE, NO_MESSAGE_ID = 1, 2, 4, 8

    seq = models.BigIntegerField(primary_key=True)
    workspace_id = models.UUIDField()
    source_id = models.UUIDField()
    epoch = models.SmallIntegerField()
    xid = XidField()
    received_at = models.DateTimeField()
    message_key = models.BigIntegerField()
    user_key = models.BigIntegerField()
    flags = models.SmallIntegerField()
    type = models.TextField()
    event_name = models.TextField(null=True)  # noqa: DJ001 - absent and empty differ on the wire
    user_id = models.TextField(null=True)  # noqa: DJ001
    anonymous_id = models.TextField(null=True)  # noqa: DJ001
    message_id = models.TextField()
    body = models.TextField()

    class Meta:
        managed = False
        db_table = "event_log"
        ordering = ["-seq"]
        permissions = [("view_payload", "Can see personal data of events and attempts")]

    def __str__(self) -> str:
        return f"{self.type} {self.event_name or ''}".strip()


class Partition(models.Model):
    """A range of the log, with what is known about its content once it is sealed."""

    number = models.IntegerField(primary_key=True)
    seq_from = models.BigIntegerField()
    seq_until = models.BigIntegerField()
    created_at = models.DateTimeField()
    first_received_at = models.DateTimeField(null=True)
    last_received_at = models.DateTimeField(null=True)
    row_count = models.BigIntegerField(null=True)
    sealed_at = models.DateTimeField(null=True)
    trimmed_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "event_partition"
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"partition {self.number}"


class Rejected(models.Model):
    """A sample of a refused message with the reason; kept for seven days, at most 100 a source a minute."""

    id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    workspace_id = models.UUIDField()
    source_id = models.UUIDField()
    code = models.TextField()
    message_type = models.TextField(null=True)  # noqa: DJ001
    event_name = models.TextField(null=True)  # noqa: DJ001
    message_id = models.TextField(null=True)  # noqa: DJ001
    sample = models.TextField()

    class Meta:
        managed = False
        db_table = "event_rejected"
        ordering = ["-id"]
        verbose_name = "rejected message"

    def __str__(self) -> str:
        return self.code
