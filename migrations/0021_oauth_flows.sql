-- What people let apps do for them. A client says how its users come to it; a grant is what one of them allowed.
ALTER TABLE oauth_clients ADD COLUMN grant_types TEXT NOT NULL DEFAULT 'client_credentials'; -- separated by spaces
ALTER TABLE oauth_clients ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '[]';               -- JSON array
ALTER TABLE oauth_clients ADD COLUMN is_public BIGINT NOT NULL DEFAULT 0;                    -- 1: it can keep no secret

CREATE TABLE oauth_grants (
    id TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES oauth_clients (id),
    staff_id TEXT NOT NULL REFERENCES staff (id),
    scopes TEXT NOT NULL,               -- separated by spaces
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,                -- when the app last got a token; NULL until the first
    ends_at BIGINT NOT NULL,            -- unless it is used before
    refresh_number BIGINT NOT NULL,     -- of the newest refresh token; 0 without one
    revoked_at BIGINT
);
CREATE INDEX oauth_grants_staff ON oauth_grants (staff_id, created_at, id);
CREATE INDEX oauth_grants_end ON oauth_grants (ends_at);
CREATE INDEX oauth_grants_revoked ON oauth_grants (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE oauth_codes (
    code_hash TEXT NOT NULL PRIMARY KEY, -- SHA-256 of 256 random bits
    grant_id TEXT NOT NULL REFERENCES oauth_grants (id),
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,            -- SHA-256 of the verifier (RFC 7636, S256)
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX oauth_codes_grant ON oauth_codes (grant_id);

CREATE TABLE oauth_refresh_tokens (
    token_hash TEXT NOT NULL PRIMARY KEY, -- SHA-256 of 256 bits
    grant_id TEXT NOT NULL REFERENCES oauth_grants (id),
    number BIGINT NOT NULL,             -- 1, 2, 3 … within the grant
    used_at BIGINT
);
CREATE INDEX oauth_refresh_tokens_grant ON oauth_refresh_tokens (grant_id, number);

-- Every node looks twice a second whose role was changed: it caps the tokens of their apps.
CREATE INDEX staff_changed ON staff (updated_at);
