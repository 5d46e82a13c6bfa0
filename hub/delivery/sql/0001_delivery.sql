-- What delivery leaves behind, partitioned with the log's bounds so that it goes when the events go.

-- One row per committed chunk of a pipeline: which events it decided, packed.
CREATE TABLE delivery_batch (
    id bigint GENERATED ALWAYS AS IDENTITY,
    seq bigint NOT NULL,
    seq_min bigint NOT NULL,
    workspace_id uuid NOT NULL,
    destination_id uuid NOT NULL,
    pipeline_id bigint NOT NULL,
    fence bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    mappings jsonb NOT NULL,
    event_count integer NOT NULL,
    delivered integer NOT NULL,
    filtered integer NOT NULL,
    failed integer NOT NULL,
    is_retry boolean NOT NULL,
    seqs bytea NOT NULL,
    outcomes bytea NOT NULL,
    reasons bytea NOT NULL,
    statuses bytea NOT NULL,
    durations bytea NOT NULL
) PARTITION BY RANGE (seq);
ALTER TABLE delivery_batch ADD PRIMARY KEY (seq, id);
CREATE INDEX delivery_batch_destination ON delivery_batch (destination_id, seq);
CREATE INDEX delivery_batch_workspace ON delivery_batch (workspace_id, id);
CREATE INDEX delivery_batch_id ON delivery_batch (id);
CREATE TABLE delivery_batch_default PARTITION OF delivery_batch DEFAULT;

-- One try of one part of a delivery, with request and answer.
CREATE TABLE delivery_attempt (
    id bigint GENERATED ALWAYS AS IDENTITY,
    seq bigint NOT NULL,
    workspace_id uuid NOT NULL,
    destination_id uuid NOT NULL,
    mapping_id uuid,
    delivery_id text NOT NULL,
    message_id text NOT NULL,
    at timestamptz NOT NULL,
    attempt integer NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL DEFAULT '',
    status_code smallint NOT NULL,
    duration_ms integer NOT NULL,
    request text NOT NULL,
    response text NOT NULL,
    worker text NOT NULL
) PARTITION BY RANGE (seq);
ALTER TABLE delivery_attempt ADD PRIMARY KEY (seq, id);
CREATE INDEX delivery_attempt_destination ON delivery_attempt (destination_id, seq);
CREATE INDEX delivery_attempt_workspace ON delivery_attempt (workspace_id, id);
CREATE INDEX delivery_attempt_delivery ON delivery_attempt (delivery_id);
CREATE INDEX delivery_attempt_id ON delivery_attempt (id);
CREATE TABLE delivery_attempt_default PARTITION OF delivery_attempt DEFAULT;
