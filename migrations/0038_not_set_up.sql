-- Messages that could not go because nobody has set their channel up; few of those that are suppressed are.
CREATE INDEX notifications_not_set_up ON notifications (created_at, id)
    WHERE status = 'suppressed' AND reason = 'channel_not_configured';
