-- The books of each destination, all parts counted, none got by subtraction.
-- eligible: accepted while both the connection and the destination were on. A count row never straddles a boundary.
-- waiting: eligible beyond the cursor, by count rows; within the one range that holds the cursor, by the log itself;
--          plus open deliveries in retry rows.
WITH dest AS (
    SELECT d.workspace_id, w.slug AS workspace, d.id, d.slug AS destination
    FROM tenants_destination d JOIN tenants_workspace w ON w.id = d.workspace_id
    WHERE (%(workspace)s::text IS NULL OR w.slug = %(workspace)s)
      AND (%(destination)s::text IS NULL OR d.slug = %(destination)s)
), share AS (
    SELECT d.id AS destination_id, c.workspace_id, c.source_id, c.epoch, c.xid_from::text::bigint AS low,
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
    -- Ranges of a source may overlap: they are cut by time, transaction numbers are not drawn in order of time.
    SELECT h.*, h.low > coalesce(max(h.high) OVER (PARTITION BY h.destination_id, h.source_id, h.epoch
        ORDER BY h.low, h.high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS starts
    FROM share h
), numbered AS (
    SELECT m.*, count(*) FILTER (WHERE m.starts) OVER (PARTITION BY m.destination_id, m.source_id, m.epoch
        ORDER BY m.low, m.high) AS island
    FROM marked m
), island AS (
    SELECT n.destination_id, n.workspace_id, n.source_id, n.epoch, min(n.low) AS low, max(n.high) AS high,
           sum(n.accepted) AS accepted
    FROM numbered n GROUP BY n.destination_id, n.workspace_id, n.source_id, n.epoch, n.island
), standing AS (
    SELECT h.*, p.cursor_epoch, p.cursor_xid, p.cursor_seq,
           p.id IS NULL OR (h.epoch, h.low) > (p.cursor_epoch, p.cursor_xid) AS is_beyond,
           (h.epoch, h.low) <= (p.cursor_epoch, p.cursor_xid) AND (h.epoch, h.high) >= (p.cursor_epoch, p.cursor_xid)
               AS is_partial
    FROM island h LEFT JOIN delivery_pipeline p ON p.destination_id = h.destination_id AND p.shard = 0
), eligible AS (
    SELECT destination_id, sum(accepted) AS eligible, sum(accepted) FILTER (WHERE is_beyond) AS beyond
    FROM standing GROUP BY destination_id
), partial AS (
    SELECT g.destination_id, count(*) AS n
    FROM standing g
    JOIN event_log e ON e.workspace_id = g.workspace_id AND e.epoch = g.epoch
        AND (e.xid, e.seq) > (g.cursor_xid::text::xid8, g.cursor_seq)
        AND e.xid <= g.high::text::xid8 AND e.source_id = g.source_id
    WHERE g.is_partial
      AND (%(since)s::date IS NULL OR (e.received_at AT TIME ZONE 'UTC')::date >= %(since)s)
      AND (%(until)s::date IS NULL OR (e.received_at AT TIME ZONE 'UTC')::date <= %(until)s)
    GROUP BY g.destination_id
), retrying AS (
    SELECT r.destination_id, count(DISTINCT r.seq) AS n
    FROM delivery_retry r JOIN dest d ON d.id = r.destination_id JOIN tenants_source s ON s.id = r.source_id
    WHERE (%(source)s::text IS NULL OR s.slug = %(source)s)
      AND (%(since)s::date IS NULL OR r.day >= %(since)s) AND (%(until)s::date IS NULL OR r.day <= %(until)s)
    GROUP BY r.destination_id
), ended AS (
    SELECT o.destination_id, sum(o.delivered) AS delivered, sum(o.filtered) AS filtered, sum(o.dead) AS dead,
           sum(o.expired) AS expired
    FROM delivery_count o JOIN dest d ON d.id = o.destination_id JOIN tenants_source s ON s.id = o.source_id
    WHERE (%(source)s::text IS NULL OR s.slug = %(source)s)
      AND (%(since)s::date IS NULL OR o.day >= %(since)s) AND (%(until)s::date IS NULL OR o.day <= %(until)s)
    GROUP BY o.destination_id
)
SELECT d.workspace, d.destination, d.id AS destination_id, coalesce(e.eligible, 0)::bigint AS eligible,
       coalesce(o.delivered, 0)::bigint AS delivered, coalesce(o.filtered, 0)::bigint AS filtered,
       (coalesce(e.beyond, 0) + coalesce(p.n, 0) + coalesce(r.n, 0))::bigint AS waiting,
       coalesce(o.dead, 0)::bigint AS dead, coalesce(o.expired, 0)::bigint AS expired
FROM dest d
LEFT JOIN eligible e ON e.destination_id = d.id
LEFT JOIN partial p ON p.destination_id = d.id
LEFT JOIN retrying r ON r.destination_id = d.id
LEFT JOIN ended o ON o.destination_id = d.id
ORDER BY d.workspace, d.destination
