-- What a deed changed, in a few words for people; empty for those whose name says all.
ALTER TABLE audit_log ADD COLUMN detail TEXT NOT NULL DEFAULT '';
