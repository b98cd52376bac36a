-- Passkeys: public keys of authenticators (Web Authentication Level 3), which sign in without a password.
CREATE TABLE staff_passkeys (
    id TEXT NOT NULL PRIMARY KEY,
    staff_id TEXT NOT NULL REFERENCES staff (id),
    name TEXT NOT NULL,                 -- what its owner calls it
    credential_id TEXT NOT NULL,        -- base64url, of the authenticator's choice
    public_key TEXT NOT NULL,           -- base64url of the COSE_Key (RFC 9052) as the authenticator gave it
    transports TEXT NOT NULL,           -- how browsers reach it, with commas between
    sign_count BIGINT NOT NULL,         -- 0 as long as the authenticator does not count
    can_be_synced BOOLEAN NOT NULL,     -- never changes: flag BE
    is_synced BOOLEAN NOT NULL,         -- flag BS of the last use
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE UNIQUE INDEX staff_passkeys_credential_id ON staff_passkeys (credential_id);
CREATE INDEX staff_passkeys_staff ON staff_passkeys (staff_id);

-- Challenges that were answered, until they have expired and are refused anyway.
CREATE TABLE staff_challenges (
    hash TEXT NOT NULL PRIMARY KEY,     -- SHA-256 of the challenge
    expires_at BIGINT NOT NULL
);
CREATE INDEX staff_challenges_expiry ON staff_challenges (expires_at);
