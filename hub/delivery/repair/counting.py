"""How many dead letters nobody has seen to, by group: read from kept counts, folded, and compared with the letters.

Every statement that changes dead letters appends what it changed to `delivery_dead_count`, by triggers, so that neither
repair nor retention nor a deletion can forget it. A group's count is the sum of its rows at any moment.
"""

from __future__ import annotations

from hub.lib.postgres import PgConnection
from hub.observability import log, metrics

TOTAL = "SELECT coalesce(sum(letters), 0)::bigint FROM delivery_dead_count"
# What is taken away is put back as one row in the same statement, so a reader sees the one or the other.
FOLD = """
WITH crowded AS (
    SELECT workspace_id, destination_id, signature, reason, status_code FROM delivery_dead_count
    GROUP BY 1, 2, 3, 4, 5 HAVING count(*) > 1
), taken AS (
    DELETE FROM delivery_dead_count c USING crowded g
    WHERE (c.workspace_id, c.destination_id, c.signature, c.reason, c.status_code)
        = (g.workspace_id, g.destination_id, g.signature, g.reason, g.status_code)
    RETURNING c.*
)
INSERT INTO delivery_dead_count (workspace_id, destination_id, signature, reason, status_code, letters, events)
SELECT workspace_id, destination_id, signature, reason, status_code, sum(letters), sum(events) FROM taken
GROUP BY 1, 2, 3, 4, 5 HAVING sum(letters) <> 0 OR sum(events) <> 0
"""
# In one snapshot, in which each letter is there together with its count; so the correction is exact too, whatever is
# written meanwhile.
CHECK = """
WITH counted AS (
    SELECT workspace_id, destination_id, signature, reason, status_code, sum(letters) AS letters, sum(events) AS events
    FROM delivery_dead_count GROUP BY 1, 2, 3, 4, 5
), held AS (
    SELECT workspace_id, destination_id, signature, reason, status_code, sum(e.letters) AS letters, count(*) AS events
    FROM (SELECT x.workspace_id, x.destination_id, x.signature, x.reason, x.status_code, x.seq, p.replay_id,
              count(*) AS letters
          FROM delivery_dead x JOIN delivery_pipeline p ON p.id = x.pipeline_id
          WHERE x.discarded_at IS NULL GROUP BY 1, 2, 3, 4, 5, 6, 7) e
    GROUP BY 1, 2, 3, 4, 5
), wrong AS (
    SELECT workspace_id, destination_id, signature, reason, status_code,
        coalesce(h.letters, 0) - coalesce(c.letters, 0) AS letters,
        coalesce(h.events, 0) - coalesce(c.events, 0) AS events
    FROM counted c FULL JOIN held h USING (workspace_id, destination_id, signature, reason, status_code)
), corrected AS (
    INSERT INTO delivery_dead_count (workspace_id, destination_id, signature, reason, status_code, letters, events)
    SELECT * FROM wrong WHERE letters <> 0 OR events <> 0
    RETURNING letters, events
)
SELECT count(*), coalesce(sum(greatest(abs(letters), abs(events))), 0)::bigint FROM corrected
"""
logger = log.get(__name__)


def total(connection: PgConnection) -> int:
    """How many dead letters of all workspaces nobody has seen to."""
    row = connection.execute(TOTAL).fetchone()
    return int(str(row[0])) if row else 0


def fold(connection: PgConnection) -> None:
    """Make one row of the many that a group has gathered."""
    connection.execute(FOLD)


def check(connection: PgConnection) -> int:
    """Compare the counts with the letters themselves: by how many letters they differ. What is wrong is put right."""
    row = connection.execute(CHECK).fetchone()
    groups, difference = (int(str(value)) for value in row) if row else (0, 0)
    metrics.failure_count_difference.set(difference)
    if difference:
        logger.error("failure_counts_differ", groups=groups, difference=difference)
    return difference
