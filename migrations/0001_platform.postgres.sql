-- What the platform keeps. The SQLite twin differs in how the log is numbered and settled.
CREATE SEQUENCE order_number START 1001;

CREATE TABLE events (
    -- The writing transaction: two transactions may commit in the other order than their seq.
    tx BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id TEXT NOT NULL,
    object_version BIGINT NOT NULL,
    actor TEXT NOT NULL,
    data TEXT NOT NULL,
    occurred_at BIGINT NOT NULL
);
CREATE INDEX events_order ON events (tx, seq);
CREATE INDEX events_object ON events (object_type, object_id, seq);
-- Hides what a transaction that is still running could precede.
CREATE VIEW settled_events AS
    SELECT tx, seq, id, kind, object_type, object_id, object_version, actor, data, occurred_at FROM events
    WHERE tx < (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint);

-- What is committed, settled or not: for followers that must not wait and may see an event late.
CREATE VIEW committed_events AS
    SELECT tx, seq, id, kind, object_type, object_id, object_version, actor, data, occurred_at FROM events;

CREATE TABLE followers (name TEXT NOT NULL PRIMARY KEY, tx BIGINT NOT NULL, seq BIGINT NOT NULL);

CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 3),
    run_at BIGINT NOT NULL,         -- not before; of a running one, when its lease ends
    attempts BIGINT NOT NULL,
    attempts_max BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'dead')),
    lease_owner TEXT,
    last_error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX jobs_due ON jobs (kind, priority, run_at, id) WHERE state <> 'dead';

CREATE TABLE idempotency_keys (
    client_id TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    status BIGINT NOT NULL,
    location TEXT,
    etag TEXT,
    content_type TEXT,
    body TEXT NOT NULL,
    PRIMARY KEY (client_id, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
