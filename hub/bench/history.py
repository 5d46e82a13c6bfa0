"""A past for a workspace: events written straight into the log, with their count rows, as if long accepted.

Only growth is measured on it, so bodies are short and the clock is today's; the keys that the indexes hold are as
random as those of real events.
"""

from __future__ import annotations

from psycopg import Connection

from hub.bench.workspace import Filled
from hub.events import partitions
from hub.lib import postgres
from hub.lib.postgres import Row

ROWS_A_COMMIT = 100_000
WRITE = """
WITH made AS (
    INSERT INTO event_log (workspace_id, source_id, epoch, received_at, message_key, user_key, type, event_name,
        user_id, message_id, body)
    SELECT %(workspace)s, %(source)s, l.epoch, now(), hashtextextended('m' || n, %(seed)s),
        hashtextextended('u' || n %% 50000, 0), 'track', 'Past', 'u' || n %% 50000, 'past-' || %(seed)s || '-' || n,
        '{"type":"track","event":"Past","messageId":"past-' || %(seed)s || '-' || n || '"}'
    FROM generate_series(1, %(count)s) n, log_epoch l WHERE l.id = 1
    RETURNING epoch
)
INSERT INTO event_count (workspace_id, source_id, epoch, day, received, rejected, duplicate, accepted)
SELECT %(workspace)s, %(source)s, epoch, (now() AT TIME ZONE 'UTC')::date, count(*), 0, 0, count(*)
FROM made GROUP BY epoch
"""


def grow(filled: Filled, have: int, wanted: int) -> None:
    """Bring the workspace's past from so many events to so many."""
    with postgres.connect() as connection:
        connection.execute("SET statement_timeout = '10min'")
        while have < wanted:
            count = min(ROWS_A_COMMIT, wanted - have)
            partitions.make_ahead(connection)
            write(connection, filled, have, count)
            have += count
        # What the filling has left to do would be paid by whoever is measured next.
        connection.execute("VACUUM (ANALYZE) event_log")
        connection.execute("CHECKPOINT")


def write(connection: Connection[Row], filled: Filled, seed: int, count: int) -> None:
    """Write one commit's worth."""
    values = {"workspace": filled.workspace.pk, "source": filled.source.pk, "seed": seed, "count": count}
    connection.execute(WRITE, values)
