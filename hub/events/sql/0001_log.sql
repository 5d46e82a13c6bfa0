-- The event log and what is written with it, in the same transaction.

CREATE SEQUENCE event_log_seq AS bigint CACHE 1;

-- The log: append-only, partitioned by seq so that a clock step never moves a row to a partition that readers
-- have already left behind. xid and epoch order it for reading; see hub/events/cursors.py.
CREATE TABLE event_log (
    seq bigint NOT NULL DEFAULT nextval('event_log_seq'),
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    epoch smallint NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    received_at timestamptz NOT NULL,
    message_key bigint NOT NULL,
    user_key bigint NOT NULL,
    flags smallint NOT NULL DEFAULT 0,
    type text NOT NULL,
    event_name text,
    user_id text,
    anonymous_id text,
    message_id text NOT NULL,
    body text NOT NULL
) PARTITION BY RANGE (seq);
ALTER SEQUENCE event_log_seq OWNED BY event_log.seq;
ALTER TABLE event_log ADD PRIMARY KEY (seq);
-- Readers go by its first four columns. The keys behind them let a look-up by person or message in the partition that is
-- being filled be answered from the index alone, workspace by workspace: an index in the order of the keys would take a
-- random page for each event that comes in. A sealed partition gets such indexes; see hub/events/indexes.py.
CREATE INDEX event_log_read ON event_log (workspace_id, epoch, xid, seq, user_key, message_key);
CREATE INDEX event_log_received ON event_log USING brin (received_at);

-- A net: a row in here means that partitions were not made in time, and raises an alarm.
CREATE TABLE event_log_default PARTITION OF event_log DEFAULT;

-- Which partitions exist, for every table that is partitioned with the log's bounds.
CREATE TABLE event_partition (
    number integer PRIMARY KEY,
    seq_from bigint NOT NULL UNIQUE,
    seq_until bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    first_received_at timestamptz,
    last_received_at timestamptz,
    row_count bigint,
    -- The sequence has left it; sealed once everything that was under way at that moment has ended.
    closed_epoch smallint,
    closed_xid xid8,
    sealed_at timestamptz,
    -- Records of delivered batches were given up early, for want of room.
    trimmed_at timestamptz,
    dropped_at timestamptz
);

-- What a sealed partition holds, counted once: the books are compared with the log every hour without reading it again.
CREATE TABLE event_sealed (
    number integer NOT NULL,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    day date NOT NULL,
    row_count bigint NOT NULL,
    PRIMARY KEY (number, workspace_id, source_id, day)
);

-- Rows that left the log with a dropped partition, so that the books can still be compared with it.
CREATE TABLE event_dropped (
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    day date NOT NULL,
    row_count bigint NOT NULL,
    PRIMARY KEY (workspace_id, source_id, day)
);

-- Dedupe keys of the window, a partition a day.
CREATE TABLE event_dedupe (
    day date NOT NULL,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    key uuid NOT NULL,
    PRIMARY KEY (workspace_id, source_id, key, day)
) PARTITION BY RANGE (day);

-- What each ingest transaction did, one row per source. Folded into ranges of xids below the horizon.
CREATE TABLE event_count (
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    epoch smallint NOT NULL,
    xid_from xid8 NOT NULL DEFAULT pg_current_xact_id(),
    xid_to xid8 NOT NULL DEFAULT pg_current_xact_id(),
    day date NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    received integer NOT NULL,
    rejected integer NOT NULL,
    duplicate integer NOT NULL,
    accepted integer NOT NULL,
    CHECK (received = rejected + duplicate + accepted)
);
CREATE INDEX event_count_source ON event_count (workspace_id, source_id, epoch, xid_to);
CREATE INDEX event_count_recent ON event_count (epoch, xid_to);

-- Samples of what was refused, for the people who sent it; the counts are in event_count.
CREATE TABLE event_rejected (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    code text NOT NULL,
    message_type text,
    event_name text,
    message_id text,
    sample text NOT NULL
);
CREATE INDEX event_rejected_source ON event_rejected (workspace_id, source_id, at);

CREATE TABLE event_dedupe_default PARTITION OF event_dedupe DEFAULT;
