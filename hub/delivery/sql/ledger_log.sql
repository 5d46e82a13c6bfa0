-- How many events of each source and day the log holds or has dropped with a partition; the books must agree.
-- A sealed partition was counted once. From the first that is not, or is to be counted again, the log itself is read.
WITH start AS (
    SELECT coalesce(
        (SELECT min(p.seq_from) FROM event_partition p
         WHERE p.dropped_at IS NULL AND (p.sealed_at IS NULL OR %(is_full)s)),
        (SELECT max(p.seq_until) FROM event_partition p), 0) AS seq
)
SELECT x.source_id, x.day, sum(x.n)::bigint AS log_rows
FROM (
    SELECT e.source_id, (e.received_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n FROM event_log e
    WHERE e.workspace_id = ANY(%(workspaces)s) AND e.seq >= (SELECT seq FROM start)
    GROUP BY 1, 2
    UNION ALL
    SELECT d.source_id, d.day, d.row_count FROM event_sealed d
    JOIN event_partition p ON p.number = d.number AND p.seq_until <= (SELECT seq FROM start)
    WHERE d.workspace_id = ANY(%(workspaces)s)
    UNION ALL
    SELECT d.source_id, d.day, d.row_count FROM event_dropped d WHERE d.workspace_id = ANY(%(workspaces)s)
) x
WHERE (%(since)s::date IS NULL OR x.day >= %(since)s) AND (%(until)s::date IS NULL OR x.day <= %(until)s)
GROUP BY x.source_id, x.day
