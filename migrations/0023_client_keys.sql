-- Clients that prove who they are by signing: their public keys, and what may be shown only once.
ALTER TABLE oauth_clients ADD COLUMN jwks TEXT; -- JWK Set of public keys; NULL when it has secrets alone

-- Assertions and proofs that were used, until they have expired and are refused anyway.
CREATE TABLE oauth_proofs (
    hash TEXT NOT NULL PRIMARY KEY,     -- SHA-256 of what the proof is for, whose it is and its jti
    expires_at BIGINT NOT NULL
);
CREATE INDEX oauth_proofs_expiry ON oauth_proofs (expires_at);
