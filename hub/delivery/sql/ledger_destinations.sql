-- The books of each destination by source and day of acceptance, all parts counted, none got by subtraction. Only live
-- pipelines are in them; a replay has books of its own.
-- eligible: accepted while both the connection and the destination were on. A count row never straddles a boundary.
-- waiting: eligible beyond the cursors, by count rows; within the ranges that hold a cursor, by the log itself; plus
--          open deliveries in retry rows. The shards of a destination stand in different places: between the first
--          and the last of them the log is asked, event by event, where its own shard stands.
WITH dest AS (
    SELECT d.workspace_id, w.slug AS workspace, d.id, d.slug AS destination
    FROM tenants_destination d JOIN tenants_workspace w ON w.id = d.workspace_id
    WHERE (%(workspace)s::text IS NULL OR w.slug = %(workspace)s)
      AND (%(destination)s::text IS NULL OR d.slug = %(destination)s)
), standing AS (
    SELECT p.destination_id, min(p.floor_seq) AS floor, max(p.shard_count)::int AS shards,
           min(ARRAY[p.cursor_epoch, p.cursor_xid, p.cursor_seq]::bigint[]) AS near,
           max(ARRAY[p.cursor_epoch, p.cursor_xid, p.cursor_seq]::bigint[]) AS far
    FROM delivery_pipeline p WHERE p.kind = 'live' GROUP BY p.destination_id
), share AS MATERIALIZED (
    SELECT d.id AS destination_id, c.workspace_id, c.source_id, c.day, c.epoch, c.xid_from::text::bigint AS low,
           c.xid_to::text::bigint AS high, c.accepted
    FROM dest d
    JOIN tenants_connection k ON k.workspace_id = d.workspace_id AND k.destination_id = d.id
    JOIN tenants_source s ON s.id = k.source_id
    JOIN event_count c ON c.workspace_id = d.workspace_id AND c.source_id = k.source_id
    WHERE c.accepted > 0
      AND (%(source)s::text IS NULL OR s.slug = %(source)s)
      AND (%(since)s::date IS NULL OR c.day >= %(since)s) AND (%(until)s::date IS NULL OR c.day <= %(until)s)
      AND EXISTS (SELECT FROM tenants_subscriptioninterval i WHERE i.workspace_id = d.workspace_id AND i.object_id = k.id
          AND i.kind = 'connection' AND (i.from_epoch, i.from_xid) <= (c.epoch, c.xid_from::text::bigint)
          AND (i.until_epoch IS NULL OR (c.epoch, c.xid_from::text::bigint) < (i.until_epoch, i.until_xid)))
      AND EXISTS (SELECT FROM tenants_subscriptioninterval i WHERE i.workspace_id = d.workspace_id AND i.object_id = d.id
          AND i.kind = 'destination' AND (i.from_epoch, i.from_xid) <= (c.epoch, c.xid_from::text::bigint)
          AND (i.until_epoch IS NULL OR (c.epoch, c.xid_from::text::bigint) < (i.until_epoch, i.until_xid)))
), marked AS (
    -- Ranges of two days may overlap at midnight; what overlaps is judged as one.
    SELECT h.*, t.floor, t.shards, t.near, t.far, h.low > coalesce(max(h.high) OVER (
        PARTITION BY h.destination_id, h.source_id, h.epoch
        ORDER BY h.low, h.high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS starts
    FROM share h LEFT JOIN standing t ON t.destination_id = h.destination_id
    WHERE t.near IS NULL OR ARRAY[h.epoch, h.high] >= t.near[1:2]
), numbered AS (
    SELECT m.*, count(*) FILTER (WHERE m.starts) OVER (PARTITION BY m.destination_id, m.source_id, m.epoch
        ORDER BY m.low, m.high) AS island
    FROM marked m
), placed AS (
    SELECT n.*, min(n.low) OVER whole AS island_low, max(n.high) OVER whole AS island_high
    FROM numbered n WINDOW whole AS (PARTITION BY n.destination_id, n.source_id, n.epoch, n.island)
), judged AS MATERIALIZED (
    SELECT g.*, g.near IS NULL OR ARRAY[g.epoch, g.island_low] > g.far[1:2] AS is_beyond FROM placed g
), partial AS (
    SELECT g.destination_id, g.source_id, e.day, e.n
    FROM (SELECT DISTINCT j.destination_id, j.workspace_id, j.source_id, j.epoch, j.island_low, j.island_high, j.floor,
                 j.shards, j.near = j.far AS is_one_place,
                 CASE WHEN j.epoch = j.near[1] THEN greatest(j.near[2], j.island_low) ELSE j.island_low END AS after_xid,
                 CASE WHEN j.epoch = j.near[1] AND j.near[2] >= j.island_low THEN j.near[3] ELSE 0 END AS after_seq
          FROM judged j WHERE NOT j.is_beyond) g
    CROSS JOIN LATERAL (
        SELECT (e.received_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n FROM event_log e
        WHERE e.workspace_id = g.workspace_id AND e.epoch = g.epoch AND e.source_id = g.source_id AND e.seq >= g.floor
          AND (e.xid, e.seq) > (g.after_xid::text::xid8, g.after_seq) AND e.xid <= g.island_high::text::xid8
          AND (g.is_one_place OR EXISTS (
              SELECT FROM delivery_pipeline p
              WHERE p.destination_id = g.destination_id AND p.kind = 'live'
                AND p.shard = ((e.user_key %% g.shards) + g.shards) %% g.shards
                AND (e.epoch, e.xid::text::bigint, e.seq) > (p.cursor_epoch, p.cursor_xid, p.cursor_seq)))
        GROUP BY 1) e
    WHERE (%(since)s::date IS NULL OR e.day >= %(since)s) AND (%(until)s::date IS NULL OR e.day <= %(until)s)
), line AS (
    SELECT destination_id, source_id, day, accepted AS eligible, 0 AS delivered, 0 AS filtered, 0 AS waiting, 0 AS dead,
           0 AS expired
    FROM share
    UNION ALL
    SELECT destination_id, source_id, day, 0, 0, 0, accepted, 0, 0 FROM judged WHERE is_beyond
    UNION ALL
    SELECT destination_id, source_id, day, 0, 0, 0, n, 0, 0 FROM partial
    UNION ALL
    SELECT r.destination_id, r.source_id, r.day, 0, 0, 0, count(DISTINCT r.seq), 0, 0
    FROM delivery_retry r JOIN delivery_pipeline p ON p.id = r.pipeline_id AND p.kind = 'live'
    GROUP BY r.destination_id, r.source_id, r.day
    UNION ALL
    SELECT o.destination_id, o.source_id, o.day, 0, o.delivered, o.filtered, 0, o.dead, o.expired FROM delivery_count o
), total AS (
    SELECT l.destination_id, s.slug AS source, l.day, sum(l.eligible)::bigint AS eligible,
           sum(l.delivered)::bigint AS delivered, sum(l.filtered)::bigint AS filtered,
           sum(l.waiting)::bigint AS waiting, sum(l.dead)::bigint AS dead, sum(l.expired)::bigint AS expired
    FROM line l JOIN tenants_source s ON s.id = l.source_id
    WHERE (%(source)s::text IS NULL OR s.slug = %(source)s)
      AND (%(since)s::date IS NULL OR l.day >= %(since)s) AND (%(until)s::date IS NULL OR l.day <= %(until)s)
    GROUP BY l.destination_id, s.slug, l.day
)
SELECT d.workspace, d.destination, d.id AS destination_id, t.source, t.day, coalesce(t.eligible, 0) AS eligible,
       coalesce(t.delivered, 0) AS delivered, coalesce(t.filtered, 0) AS filtered, coalesce(t.waiting, 0) AS waiting,
       coalesce(t.dead, 0) AS dead, coalesce(t.expired, 0) AS expired
FROM dest d LEFT JOIN total t ON t.destination_id = d.id
ORDER BY d.workspace, d.destination, t.day, t.source
