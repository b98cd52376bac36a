-- Compared by bytes, as SQLite does: the same order on both engines, and a prefix is a range of the index.
ALTER TABLE users ALTER COLUMN username_folded TYPE TEXT COLLATE "C";
ALTER TABLE users ALTER COLUMN email_folded TYPE TEXT COLLATE "C";
