-- Who works in the dashboard, and what they did.
CREATE TABLE staff (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_folded TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'developer', 'read_only')),
    password_hash TEXT,                 -- argon2id in PHC form; NULL until a password is chosen
    theme TEXT NOT NULL CHECK (theme IN ('system', 'light', 'dark')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    signed_in_at BIGINT,                -- the last time
    disabled_at BIGINT
);
CREATE UNIQUE INDEX staff_email_folded_key ON staff (email_folded);

CREATE TABLE staff_sessions (
    id TEXT NOT NULL PRIMARY KEY,       -- names the session where it is listed and ended; not secret
    token_hash TEXT NOT NULL,           -- SHA-256 of a 256-bit random token
    staff_id TEXT NOT NULL REFERENCES staff (id),
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,       -- to about a minute
    expires_at BIGINT NOT NULL,
    user_agent TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE UNIQUE INDEX staff_sessions_token_hash_key ON staff_sessions (token_hash);
CREATE INDEX staff_sessions_staff ON staff_sessions (staff_id, last_used_at);
CREATE INDEX staff_sessions_expiry ON staff_sessions (expires_at);

CREATE TABLE staff_links (
    token_hash TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('setup', 'invitation', 'reset')),
    staff_id TEXT REFERENCES staff (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX staff_links_expiry ON staff_links (expires_at);

-- One row, made together with the owner: the key lets only one setup win.
CREATE TABLE shop (
    id TEXT NOT NULL PRIMARY KEY CHECK (id = 'shop'),
    name TEXT NOT NULL,
    currency TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Rows are only ever added.
CREATE TABLE audit_log (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,                -- a staff id, or what acted instead
    who TEXT NOT NULL,                  -- its email as it was then
    action TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX audit_log_order ON audit_log (at, id);
