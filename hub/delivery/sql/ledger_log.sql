-- How many events of each source the log holds or has dropped with a partition; the books must agree.
SELECT x.source_id, sum(x.n)::bigint AS log_rows
FROM (
    SELECT e.source_id, count(*) AS n FROM event_log e
    WHERE e.workspace_id = ANY(%(workspaces)s)
      AND (%(since)s::date IS NULL OR e.received_at >= %(since)s::date::timestamp AT TIME ZONE 'UTC')
      AND (%(until)s::date IS NULL OR e.received_at < (%(until)s::date + 1)::timestamp AT TIME ZONE 'UTC')
    GROUP BY e.source_id
    UNION ALL
    SELECT d.source_id, d.row_count FROM event_dropped d WHERE d.workspace_id = ANY(%(workspaces)s)
) x
GROUP BY x.source_id
