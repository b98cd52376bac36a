-- Clients that register themselves (RFC 7591 and 7592), with a token that somebody gave them for that.
CREATE TABLE oauth_registration_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,                 -- SHA-256 of 256 random bits
    scopes TEXT NOT NULL,               -- all that its clients may ever be allowed, separated by spaces
    for_machines BOOLEAN NOT NULL,      -- whether its clients may act for themselves (client_credentials)
    uses_left BIGINT NOT NULL CHECK (uses_left >= 0),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX oauth_registration_tokens_hash ON oauth_registration_tokens (hash);

ALTER TABLE oauth_clients ADD COLUMN registered_with TEXT;      -- the id of that token; NULL for clients made by people
ALTER TABLE oauth_clients ADD COLUMN registration_hash TEXT;    -- SHA-256 of the token by which it looks after itself
ALTER TABLE oauth_clients ADD COLUMN about TEXT;                -- what else it says of itself: JSON
ALTER TABLE oauth_clients ADD COLUMN last_used_at BIGINT;       -- when it last got a token without a secret
ALTER TABLE oauth_clients ADD COLUMN first_token_at BIGINT;     -- noted of clients that registered themselves
CREATE INDEX oauth_clients_registered ON oauth_clients (first_token_at, created_at) WHERE registered_with IS NOT NULL;
