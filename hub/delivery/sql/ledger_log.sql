-- How many events of each source the log holds or has dropped with a partition; the books must agree.
SELECT x.source_id, sum(x.n)::bigint AS log_rows
FROM (
    SELECT e.source_id, count(*) AS n FROM event_log e
    WHERE e.workspace_id = ANY(%(workspaces)s)
      -- Of a range that is being dropped the rows are in event_dropped already.
      AND e.seq >= coalesce((SELECT max(p.seq_until) FROM event_partition p WHERE p.dropped_at IS NOT NULL), 0)
      AND (%(since)s::date IS NULL OR e.received_at >= %(since)s::date::timestamp AT TIME ZONE 'UTC')
      AND (%(until)s::date IS NULL OR e.received_at < (%(until)s::date + 1)::timestamp AT TIME ZONE 'UTC')
    GROUP BY e.source_id
    UNION ALL
    SELECT d.source_id, d.row_count FROM event_dropped d WHERE d.workspace_id = ANY(%(workspaces)s)
      AND (%(since)s::date IS NULL OR d.day >= %(since)s) AND (%(until)s::date IS NULL OR d.day <= %(until)s)
) x
GROUP BY x.source_id
