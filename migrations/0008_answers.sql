-- Whom a stored answer tells of, so that it can be erased when that person is forgotten.
ALTER TABLE idempotency_keys ADD COLUMN subject TEXT;
CREATE INDEX idempotency_keys_subject ON idempotency_keys (subject) WHERE subject IS NOT NULL;
