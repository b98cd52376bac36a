-- When the password was given last; what was signed in before this was known has to give it again.
ALTER TABLE staff_sessions ADD COLUMN proved_at BIGINT NOT NULL DEFAULT 0;
