"""Put events into the log and run pipelines in the test's own process, with a real sender and receiver."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import orjson
from psycopg import Connection

from hub.delivery import ledger, loop, services
from hub.delivery.models import Pipeline
from hub.delivery.sender import Sender
from hub.delivery.worker import Worker
from hub.lib import postgres
from hub.lib.ids import key8
from hub.lib.net import Gate
from hub.lib.postgres import Row
from tenants.models import AuditEntry, Destination, Source
from tests import factories

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
INSERT = """
INSERT INTO event_log (workspace_id, source_id, epoch, received_at, message_key, user_key, flags, type, event_name,
                       user_id, message_id, body)
VALUES (%s, %s, (SELECT epoch FROM log_epoch), now(), %s, %s, 0, 'track', %s, %s, %s, %s) RETURNING seq
"""
COUNT = """
INSERT INTO event_count (workspace_id, source_id, epoch, day, received, rejected, duplicate, accepted)
VALUES (%s, %s, (SELECT epoch FROM log_epoch), (now() AT TIME ZONE 'UTC')::date, %s, 0, 0, %s)
"""


def message(number: int, user: str = "u1", **extra: Any) -> dict[str, Any]:
    return {
        "type": "track", "event": f"Event {number}", "userId": user, "messageId": f"m-{number}-{uuid4().hex[:8]}",
        "properties": {"n": number}, **extra,
    }  # fmt: skip


def append(source: Source, messages: Iterable[dict[str, Any]], connection: Connection[Row] | None = None) -> list[int]:
    """Accept messages in one transaction, as ingest does."""
    if connection is None:
        with postgres.connect() as own:
            return append(source, messages, own)
    with connection.transaction():
        seqs = [_insert(connection, source, each) for each in messages]
        connection.execute(COUNT, [source.workspace_id, source.pk, len(seqs), len(seqs)])
    return seqs


def _insert(connection: Connection[Row], source: Source, sent: dict[str, Any]) -> int:
    row = connection.execute(
        INSERT,
        [source.workspace_id, source.pk, key8(sent["messageId"]), key8(sent["userId"]), sent["event"], sent["userId"],
         sent["messageId"], orjson.dumps(sent).decode()],
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(str(row[0]))


def make_worker() -> Worker:
    return Worker("test-worker", Sender(Gate(allow_private=LOOPBACK)), abort_seconds=1.0)


def run(destination: Destination, worker: Worker) -> Pipeline:
    """One turn of the destination's pipeline, as a hint would cause it."""
    with postgres.connect() as connection:
        services.ensure_pipelines(connection)
    pipeline = Pipeline.objects.get(destination_id=destination.pk)
    loop.run_turn(pipeline.pk, worker)
    pipeline.refresh_from_db()
    return pipeline


def let_time_pass(destination: Destination) -> None:
    """Make everything that waits for a time due."""
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE delivery_retry SET next_run_at = now() WHERE destination_id = %s AND state = 'retry'",
            [destination.pk],
        )
        connection.execute(
            "UPDATE delivery_pipeline SET held_until = now() - interval '1 s' WHERE destination_id = %s",
            [destination.pk],
        )


def books(destination: Destination) -> dict[str, int]:
    """The destination's books; the whole workspace must balance."""
    found = ledger.balance(ledger.Scope(workspace=destination.workspace.slug))
    assert found["difference"] == 0, found
    (row,) = [each for each in found["destinations"] if each["destination"] == destination.slug]
    return {key: value for key, value in row.items() if isinstance(value, int) and value and key != "difference"}


def connect(source: Source, url: str, **options: Any) -> Destination:
    return factories.make_destination(source.workspace, "hook", url=url, sources=[source], **options)


def log(source: Source, count: int, **extra: Any) -> None:
    append(source, [message(n, user=f"u{n}", **extra) for n in range(count)])


def let_pass(hook: Destination, **columns: str) -> None:
    """Move moments of the destination's pipeline into the past, by intervals."""
    changes = ", ".join(f"{name} = {name} - %({name})s::interval" for name in columns)
    with postgres.connect() as own:
        own.execute(
            f"UPDATE delivery_pipeline SET {changes} WHERE destination_id = %(hook)s", {**columns, "hook": hook.pk}
        )


def audited(hook: Destination) -> list[str]:
    return list(AuditEntry.unscoped.filter(object_id=str(hook.pk)).order_by("id").values_list("action", flat=True))
