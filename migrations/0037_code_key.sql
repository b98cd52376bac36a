-- The key that alone may show a code, where the app named one (RFC 9449 §10).
ALTER TABLE oauth_codes ADD COLUMN dpop_jkt TEXT;
