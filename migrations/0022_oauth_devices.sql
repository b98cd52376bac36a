-- Devices without a browser that wait for somebody to let them in (RFC 8628).
CREATE TABLE oauth_devices (
    device_hash TEXT NOT NULL PRIMARY KEY, -- SHA-256 of 256 random bits
    user_code TEXT NOT NULL,            -- what people type, without the hyphen
    client_id TEXT NOT NULL REFERENCES oauth_clients (id),
    scopes TEXT NOT NULL,               -- separated by spaces
    expires_at BIGINT NOT NULL,
    interval_seconds BIGINT NOT NULL,   -- that the device waits between two questions
    polled_at BIGINT,
    grant_id TEXT,                      -- what somebody allowed
    denied_at BIGINT,
    used_at BIGINT
);
CREATE UNIQUE INDEX oauth_devices_user_code_key ON oauth_devices (user_code);
CREATE INDEX oauth_devices_client ON oauth_devices (client_id, expires_at);
CREATE INDEX oauth_devices_expiry ON oauth_devices (expires_at);
