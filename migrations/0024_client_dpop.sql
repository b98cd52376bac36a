-- Clients whose tokens are always bound to a key of theirs (DPoP).
ALTER TABLE oauth_clients ADD COLUMN dpop_bound BIGINT NOT NULL DEFAULT 0 CHECK (dpop_bound IN (0, 1));
