-- What each source's messages became, by day of acceptance, from the count rows.
SELECT w.slug AS workspace, s.slug AS source, s.id AS source_id, c.day,
       coalesce(sum(c.received), 0)::bigint AS received, coalesce(sum(c.rejected), 0)::bigint AS rejected,
       coalesce(sum(c.duplicate), 0)::bigint AS duplicate, coalesce(sum(c.accepted), 0)::bigint AS accepted
FROM tenants_source s
JOIN tenants_workspace w ON w.id = s.workspace_id
LEFT JOIN event_count c ON c.workspace_id = s.workspace_id AND c.source_id = s.id
     AND (%(since)s::date IS NULL OR c.day >= %(since)s) AND (%(until)s::date IS NULL OR c.day <= %(until)s)
WHERE (%(workspace)s::text IS NULL OR w.slug = %(workspace)s) AND (%(source)s::text IS NULL OR s.slug = %(source)s)
GROUP BY w.slug, s.slug, s.id, c.day
ORDER BY w.slug, s.slug, c.day
