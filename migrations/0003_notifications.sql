-- ---- notifications ------------------------------------------------------------------------------
CREATE TABLE notifications (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('email', 'sms', 'push')),
    priority TEXT NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'critical')),
    status TEXT NOT NULL CHECK (status IN ('queued', 'sending', 'sent', 'retrying', 'dead', 'suppressed')),
    reason TEXT,
    title TEXT,
    message TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,         -- not tried again from this instant on
    sent_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX notifications_order ON notifications (created_at, id);
CREATE INDEX notifications_user ON notifications (user_id, created_at, id);
CREATE INDEX notifications_status ON notifications (status, created_at, id);
CREATE INDEX notifications_type ON notifications (type, created_at, id);

-- Every transition, append-only; version is the notification's after it.
CREATE TABLE notification_events (
    notification_id TEXT NOT NULL REFERENCES notifications (id),
    version BIGINT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    detail TEXT,                        -- what the provider answered
    created_at BIGINT NOT NULL,
    PRIMARY KEY (notification_id, version)
);
