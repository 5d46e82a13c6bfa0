"""The look-up indexes of sealed partitions, built when nothing is added to them any more.

Kept up to date while events come in, two indexes in the order of random keys cost more than a quarter of the whole
write. Built at once they cost a sort each, and are smaller. Until then a look-up reads the partition's reading index,
which holds both keys behind the reader's columns.

They are built concurrently, that is, without a transaction number of their own while they sort: one that was held for
seconds would keep every reader of the log waiting at the horizon.
"""

from __future__ import annotations

from psycopg import Connection, sql

from hub.events.partitions import Bounds, child_name
from hub.lib.postgres import Row
from hub.observability import log

KEYS = {"message": "message_key", "user": "user_key"}
BUILD_TIMEOUT = "10min"
# A partition may be dropped, or an index left half built by a crash: what counts is what is there now.
MISSING = """
SELECT p.number, p.seq_from, p.seq_until, k.name
FROM event_partition p CROSS JOIN unnest(%s::text[]) AS k(name)
LEFT JOIN pg_index i ON i.indexrelid = to_regclass('event_log_p' || p.number || '_' || k.name)
WHERE p.sealed_at IS NOT NULL AND p.dropped_at IS NULL AND to_regclass('event_log_p' || p.number) IS NOT NULL
  AND i.indisvalid IS NOT TRUE
ORDER BY p.number DESC, k.name
"""
logger = log.get(__name__)


def build_missing(connection: Connection[Row]) -> list[str]:
    """Build what sealed partitions lack, newest first, as look-ups mostly ask for those; the names of what was built.

    One that was left half built is dropped and made again. Needs a connection in autocommit.
    """
    built = []
    for *numbers, key in connection.execute(MISSING, [list(KEYS)]).fetchall():
        table = child_name("event_log", Bounds(*(int(str(number)) for number in numbers)))
        name = f"{table}_{key}"
        _build(connection, table, name, KEYS[str(key)])
        built.append(name)
    return built


def _build(connection: Connection[Row], table: str, name: str, column: str) -> None:
    values = {"name": sql.Identifier(name), "table": sql.Identifier(table), "column": sql.Identifier(column)}
    before = connection.execute("SELECT current_setting('statement_timeout')").fetchone()
    connection.execute(sql.SQL("SET statement_timeout = {}").format(BUILD_TIMEOUT))
    try:
        connection.execute(sql.SQL("DROP INDEX IF EXISTS {name}").format(**values))
        connection.execute(
            sql.SQL("CREATE INDEX CONCURRENTLY {name} ON {table} (workspace_id, {column})").format(**values)
        )
    finally:
        connection.execute("SELECT set_config('statement_timeout', %s, false)", before)
    logger.info("partition_index_built", index=name)
