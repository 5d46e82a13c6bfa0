-- How many dead letters nobody has seen to, kept by group, so that no page has to count them. Whatever statement writes,
-- changes or removes dead letters appends what it changed in the same transaction: shards never wait for one another's
-- counter. A chore folds the rows, and another compares them with the letters.

-- An event's dead parts are one event, at the destination's own pipelines and at each replay. Who writes or takes away
-- a part holds the lock of its pipeline, so that of two parts that go together one is the last.
CREATE FUNCTION delivery_count_dead(letters delivery_dead[], direction integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO delivery_dead_count (workspace_id, destination_id, signature, reason, status_code, letters, events)
    SELECT e.workspace_id, e.destination_id, e.signature, e.reason, e.status_code, direction * sum(e.letters),
        direction * count(*) FILTER (WHERE NOT EXISTS (
            -- Apart, lest the planner prefer the index of groups, in which a million may be alike.
            SELECT FROM (SELECT x.* FROM delivery_dead x
                         WHERE x.destination_id = e.destination_id AND x.seq = e.seq OFFSET 0) o
            JOIN delivery_pipeline q ON q.id = o.pipeline_id
            WHERE o.discarded_at IS NULL AND q.replay_id IS NOT DISTINCT FROM e.replay_id AND NOT o.id = ANY(e.ids)
              AND (o.signature, o.reason, o.status_code) = (e.signature, e.reason, e.status_code)))
    FROM (SELECT l.workspace_id, l.destination_id, l.signature, l.reason, l.status_code, l.seq, p.replay_id,
              count(*) AS letters, array_agg(l.id) AS ids
          FROM unnest(letters) l LEFT JOIN delivery_pipeline p ON p.id = l.pipeline_id
          GROUP BY 1, 2, 3, 4, 5, 6, 7) e
    GROUP BY 1, 2, 3, 4, 5
$$;

CREATE FUNCTION delivery_dead_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    come delivery_dead[];
    gone delivery_dead[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(ROW(n.*)::delivery_dead) INTO come FROM after_it n WHERE n.discarded_at IS NULL;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(ROW(o.*)::delivery_dead) INTO gone FROM before_it o WHERE o.discarded_at IS NULL;
    ELSE
        -- Planned anew each time, by how many there are: the plan for a single letter, which a session would keep,
        -- compares each with each.
        EXECUTE 'SELECT array_agg(ROW(n.*)::delivery_dead) FILTER (WHERE n.discarded_at IS NULL),
                array_agg(ROW(o.*)::delivery_dead) FILTER (WHERE o.discarded_at IS NULL)
            FROM after_it n JOIN before_it o ON o.id = n.id
            WHERE (n.discarded_at IS NULL, n.signature, n.reason, n.status_code)
                <> (o.discarded_at IS NULL, o.signature, o.reason, o.status_code)' INTO come, gone;
    END IF;
    IF come IS NOT NULL THEN
        PERFORM delivery_count_dead(come, 1);
    END IF;
    IF gone IS NOT NULL THEN
        PERFORM delivery_count_dead(gone, -1);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER delivery_dead_come AFTER INSERT ON delivery_dead REFERENCING NEW TABLE AS after_it
    FOR EACH STATEMENT EXECUTE FUNCTION delivery_dead_changed();
CREATE TRIGGER delivery_dead_gone AFTER DELETE ON delivery_dead REFERENCING OLD TABLE AS before_it
    FOR EACH STATEMENT EXECUTE FUNCTION delivery_dead_changed();
CREATE TRIGGER delivery_dead_other AFTER UPDATE ON delivery_dead REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it
    FOR EACH STATEMENT EXECUTE FUNCTION delivery_dead_changed();
