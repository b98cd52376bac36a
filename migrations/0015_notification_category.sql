-- What a message is about: only marketing needs the person's consent.
ALTER TABLE notifications ADD COLUMN category TEXT NOT NULL DEFAULT 'transactional';
