-- Runs of reports, and the files that they made.
CREATE TABLE report_runs (
    id TEXT NOT NULL PRIMARY KEY,
    type TEXT NOT NULL,
    type_version BIGINT NOT NULL,
    format TEXT NOT NULL CHECK (format IN ('json', 'csv')),
    parameters TEXT NOT NULL,           -- with nothing left open
    timezone TEXT NOT NULL,
    currency TEXT,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'expired')),
    phase TEXT NOT NULL,
    attempt BIGINT NOT NULL,            -- the try whose parts are the file
    row_count BIGINT,
    size BIGINT,
    sha256 TEXT,
    problem TEXT,
    as_of BIGINT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    completed_at BIGINT,
    expires_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX report_runs_order ON report_runs (created_at, id);
CREATE INDEX report_runs_status ON report_runs (status, created_at, id);
CREATE INDEX report_runs_type ON report_runs (type, created_at, id);
CREATE INDEX report_runs_expiry ON report_runs (expires_at) WHERE status = 'succeeded';

-- A file in parts of at most 256 KiB, so that no statement and no answer holds the whole.
CREATE TABLE report_chunks (
    run_id TEXT NOT NULL REFERENCES report_runs (id),
    attempt BIGINT NOT NULL,
    part BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, attempt, part)
);

-- Cancellations are dated when they happen.
CREATE INDEX orders_cancelled ON orders (cancelled_at, id) WHERE cancelled_at IS NOT NULL;
