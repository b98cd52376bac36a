-- What the platform keeps. The PostgreSQL twin differs in how the log is numbered and settled.
CREATE TABLE sequences (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO sequences (name, value) VALUES ('order_number', 1000);

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id TEXT NOT NULL,
    object_version BIGINT NOT NULL,
    actor TEXT NOT NULL,
    data TEXT NOT NULL,
    occurred_at BIGINT NOT NULL
);
CREATE INDEX events_object ON events (object_type, object_id, seq);
-- One writer: commit order is sequence order, so every event is settled.
CREATE VIEW settled_events AS
    SELECT 0 AS tx, seq, id, kind, object_type, object_id, object_version, actor, data, occurred_at FROM events;

-- What is committed, settled or not: the same here.
CREATE VIEW committed_events AS SELECT * FROM settled_events;

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
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
