-- When the password was given last; what was signed in before this was known has to give it again.
ALTER TABLE staff_sessions ADD COLUMN proved_at BIGINT NOT NULL DEFAULT 0;

-- A second factor: codes of an app (RFC 6238).
ALTER TABLE staff ADD COLUMN totp_key TEXT;                         -- sealed; NULL while it is off
ALTER TABLE staff ADD COLUMN totp_since BIGINT;
ALTER TABLE staff ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;   -- the last one of which a code was used

CREATE TABLE staff_recovery_codes (
    code_hash TEXT NOT NULL PRIMARY KEY,                            -- SHA-256 of 80 random bits
    staff_id TEXT NOT NULL REFERENCES staff (id),
    used_at BIGINT
);
CREATE INDEX staff_recovery_codes_staff ON staff_recovery_codes (staff_id);
